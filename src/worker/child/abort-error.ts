import type { CancelAction } from "../../domain/transitions.ts";

/**
 * The reason on a run's AbortSignal when the run is being stopped. Its name is the platform's `AbortError`, which LangGraph
 * and most clients treat as "do not retry".
 */
export class AbortError extends Error {
  override readonly name = "AbortError";
  readonly action: CancelAction;

  constructor(action: CancelAction, reason: string) {
    super(reason === "" ? `The run is being stopped (${action}).` : reason);
    this.action = action;
  }
}
