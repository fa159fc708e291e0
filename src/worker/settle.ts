import { DomainError } from "../domain/errors.ts";
import type { BeforeEnd, FinishRun, StateAtEnd } from "../domain/finish-run.ts";
import type { RunEnd, RunStore } from "../domain/ports.ts";
import type { Run, RunError } from "../domain/run.ts";
import { type CancelOutcome, maxLostAttempts } from "../domain/transitions.ts";

/** How an attempt came to its end, as the worker knows it. Nothing of it runs any more, and it can write nothing. */
export type AttemptResult =
  | { readonly kind: "success" }
  | { readonly kind: "error"; readonly error: RunError }
  /** It could not be begun as it was asked for, and has left nothing. */
  | { readonly kind: "refused"; readonly error: RunError }
  /** Its nodes have settled, or its process is dead, after a stop that was asked for. */
  | { readonly kind: "stopped"; readonly by: "cancel" | "timeout"; readonly killed: boolean }
  /** It can go on elsewhere: it was drained, or its process was killed for another's sake. */
  | { readonly kind: "displaced"; readonly killed: boolean; readonly noPlace: boolean }
  /** Its process crashed, or its server did. `suspect`: the run itself may have been the cause. */
  | { readonly kind: "lost"; readonly suspect: boolean; readonly reachable: boolean; readonly error?: RunError };

export interface SettleParts {
  readonly runs: RunStore;
  readonly finish: FinishRun;
  /** The run waits for a worker again. */
  readonly handedBack: () => void;
  /** A late write: the run belongs to another worker by now, or is gone. It is counted and dropped. */
  readonly dropped: (run: Run) => void;
  /** Whether an error means that the database is away for the moment. */
  readonly isPassing: (error: unknown) => boolean;
}

/**
 * Writes an attempt's outcome. One guarded update decides: a run with a stored cancel is settled as cancelled whatever its
 * result was, and a result that comes too late is dropped. An outcome that the database refuses as such ends the run with an
 * error that says so: refused again and again, it would be executed without end. Repeatable.
 */
export function createSettle({ runs, finish, handedBack, dropped, isPassing }: SettleParts) {
  const isRefusal = (error: unknown): boolean => !isPassing(error) && !(error instanceof DomainError);

  return async (
    run: Run,
    token: string,
    result: AttemptResult,
    end: RunEnd,
    known: { state?: StateAtEnd; before?: BeforeEnd } = {},
  ): Promise<void> => {
    const asItIs = () => settle(run, token, result, end, known);
    try {
      // Once more, since it may not have been the outcome that was refused.
      await asItIs().catch((error: unknown) => (isRefusal(error) ? asItIs() : Promise.reject(error)));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const now = await runs.find(run);
      // The run is over, or is being rolled back: what it was thought to have left is not what it can be finished with.
      if (now?.cleanupPending) await finish.finishRun(now);
      else await settle(run, token, { kind: "error", error: unstorable(error) }, end, {});
    }
  };

  async function settle(
    run: Run,
    token: string,
    result: AttemptResult,
    end: RunEnd,
    known: { state?: StateAtEnd; before?: BeforeEnd },
  ): Promise<void> {
    for (;;) {
      const settled = await settleUncancelled(run, token, result, end);
      if (settled) {
        // Without a place it is of no use to look at once: the next free slot is a reason to.
        if (settled.phase === "waiting") (result.kind === "displaced" && result.noPlace) || handedBack();
        else await finish.finishRun(settled, known.state, known.before);
        return;
      }
      const now = await runs.find(run);
      if (!now || now.lease?.token !== token) {
        dropped(run);
        return;
      }
      if (!now.cancellation) continue;
      const cancelled = await runs.settleCancelled(now, token, { ...end, outcome: outcomeOf(result) });
      if (cancelled) {
        await finish.finishRun(cancelled, known.state, known.before);
        return;
      }
    }
  }

  function settleUncancelled(run: Run, token: string, result: AttemptResult, end: RunEnd): Promise<Run | undefined> {
    switch (result.kind) {
      case "success":
        return runs.finish(run, token, { ...end, status: "success" });
      case "error":
        return runs.finish(run, token, { ...end, status: "error", error: result.error });
      case "refused":
        return runs.finish(run, token, { ...end, status: "error", error: result.error, neverStarted: true });
      case "stopped":
        return result.by === "timeout"
          ? runs.finish(run, token, { ...end, status: "timeout", error: timeoutError(run) })
          : Promise.resolve(undefined);
      case "displaced":
        return runs.handBack(run, token, { ...end, lost: false, suspect: false });
      case "lost":
        return run.lostAttempts + 1 < maxLostAttempts
          ? runs.handBack(run, token, { ...end, lost: true, suspect: result.suspect })
          : runs.finish(run, token, { ...end, status: "error", error: lostError(result.error) });
    }
  }
}

function outcomeOf(result: AttemptResult): CancelOutcome {
  if (result.kind === "lost") return result.reachable ? "killed" : "fenced";
  return (result.kind === "stopped" || result.kind === "displaced") && result.killed ? "killed" : "stopped";
}

const timeoutError = (run: Run): RunError => ({
  name: "TimeoutError",
  message: `the run's time of ${run.spec.timeoutMs} ms was over`,
});

const lostError = (cause?: RunError): RunError => ({
  name: "AttemptsLostError",
  message: `${maxLostAttempts} attempts were lost${cause ? `: ${cause.name}: ${cause.message}` : ""}`,
});

const unstorable = (error: unknown): RunError => ({
  name: "OutcomeNotStoredError",
  message: `the run's outcome could not be stored: ${error instanceof Error ? error.message : String(error)}`,
});

/** Of a run that nobody executes: one whose outcome could not be written may come to this each time, so that it counts. */
export const orphanedResult = (wasUnsettled: boolean): AttemptResult =>
  wasUnsettled
    ? { kind: "lost", suspect: false, reachable: true }
    : { kind: "displaced", killed: false, noPlace: false };
