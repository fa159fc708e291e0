/**
 * The reason on a run's AbortSignal when the run is being stopped. Its name is the platform's `AbortError`, which LangGraph
 * and most clients treat as "do not retry".
 */
export class AbortError extends Error {
  override readonly name = "AbortError";
  readonly action: "interrupt" | "rollback";

  constructor(action: "interrupt" | "rollback", reason: string) {
    super(reason === "" ? `The run is being stopped (${action}).` : reason);
    this.action = action;
  }
}
