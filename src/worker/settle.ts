import { boundedState } from "../domain/bounded.ts";
import { DomainError } from "../domain/errors.ts";
import type { RunStore, StoredThread } from "../domain/ports.ts";
import type { Run, RunError, RunName } from "../domain/run/run.ts";
import type { Slot } from "../domain/run/store-run.ts";
import type { Act, Acted, Wish } from "../domain/thread/act.ts";
import { LifeIsOver } from "../domain/thread/decide.ts";
import { fitsEntry } from "../domain/thread/entry-text.ts";
import type { StateAtEnd } from "../domain/thread/pay-debts.ts";

/** How an attempt came to its end, as the worker knows it. Nothing of it runs any more, and it can write nothing. */
export type AttemptResult =
  | { readonly kind: "success" }
  | { readonly kind: "error"; readonly error: RunError }
  /** It could not be begun as it was asked for, and has left nothing. */
  | { readonly kind: "refused"; readonly error: RunError }
  /** Its nodes have settled, or its process is dead, after a stop that was asked for. */
  | { readonly kind: "stopped"; readonly by: "cancel" | "timeout"; readonly killed: boolean }
  /** It can go on elsewhere: it was drained, or its process was killed for another's sake. */
  | { readonly kind: "displaced"; readonly killed: boolean }
  /** Its process crashed, or its server did. `runAlone`: the run may be the cause, and gets a process of its own from now on. */
  | { readonly kind: "lost"; readonly runAlone: boolean; readonly error?: RunError };

/** What it has left. */
export interface AttemptLeft {
  readonly lastSequence: number;
  readonly endCheckpointId?: string;
  readonly state?: StateAtEnd;
  /** When it was told of a cancel, should that not be stored yet. */
  readonly deliveredAt?: Date;
  /** The run's record as it was when the run was claimed. */
  readonly record?: Run;
}

export interface SettleParts {
  readonly runs: Pick<RunStore, "keepError">;
  readonly act: Pick<Act, "decide" | "follow">;
  /** A worker's slot for the run that is next. */
  readonly reserve: (run: { readonly owner: string }) => Slot | undefined;
  /** A late write: the run belongs to another worker by now, or is gone. It is counted and dropped. */
  readonly dropped: (run: RunName) => void;
  /** Whether an error means that the database is away for the moment. */
  readonly isTransient: (error: unknown) => boolean;
}

/** A run by its name, with what its outcome is told by. */
type SettledRun = RunName & {
  readonly spec?: Pick<Run["spec"], "timeoutMs">;
  readonly graph?: string;
  readonly assistant?: Pick<Run["assistant"], "assistantId">;
};

/** `seen`: the thread as it was when the run was claimed, which most often nobody has decided about since. */
export type Settle = (
  run: SettledRun,
  token: string,
  result: AttemptResult,
  left: AttemptLeft,
  seen?: StoredThread,
) => Promise<void>;

/**
 * Writes an attempt's outcome: one decision of its thread, in which a run with a stored cancel is settled as cancelled whatever
 * its result was, and a result that comes too late is dropped. An outcome that the database refuses as such ends the run with
 * an error that says so: refused again and again, it would be executed without end. Repeatable.
 */
export function createSettle({ runs, act, reserve, dropped, isTransient }: SettleParts): Settle {
  const isRefusal = (error: unknown): boolean => !isTransient(error) && !(error instanceof DomainError);

  const settle: Settle = async (run, token, result, left, seen) => {
    const wish = wishOf(run, token, result, left);
    const isLong = "error" in wish && wish.error !== undefined && !fitsEntry(wish.error);
    if (isLong) await runs.keepError(run, token, wish.error!);
    const slot = reserve(run);
    let acted: Acted | undefined;
    try {
      acted = await act.decide(run, { ...wish, next: slot?.token }, { seen });
    } finally {
      const claimed = acted?.answer.claimed;
      if (acted && claimed) slot?.start({ ...acted, entry: claimed });
      else slot?.release();
    }
    if (!acted || acted.answer.did === "missed") return dropped(run);
    await act.follow(acted, { run: run.runId, state: left.state, record: isLong ? undefined : left.record });
  };

  return async (run, token, result, left, seen) => {
    const asItIs = () => settle(run, token, result, left, seen);
    try {
      // Tried once more: what was refused may have been something else than the outcome.
      await asItIs().catch((error: unknown) => (isRefusal(error) ? asItIs() : Promise.reject(error)));
    } catch (error) {
      // What this server executed in a life that is over belongs to those who have declared it dead.
      if (error instanceof LifeIsOver) return dropped(run);
      if (!isRefusal(error)) throw error;
      const { lastSequence, endCheckpointId } = left;
      await settle(run, token, { kind: "error", error: unstorable(error) }, { lastSequence, endCheckpointId });
    }
  };
}

type Outcome = Extract<Wish, { kind: "settle" | "handBack" }>;

function wishOf(run: SettledRun, token: string, result: AttemptResult, left: AttemptLeft): Outcome {
  const { runId, graph, assistant } = run;
  const common = {
    run: runId,
    token,
    sequence: left.lastSequence,
    checkpoint: left.endCheckpointId,
    deliveredAt: left.deliveredAt?.getTime(),
    state: left.state && remembered(left.state, graph!, assistant?.assistantId),
  };
  switch (result.kind) {
    case "success":
      return { kind: "settle", ...common, result: "success" };
    case "error":
      return { kind: "settle", ...common, result: "error", error: result.error };
    case "refused":
      return { kind: "settle", ...common, result: "error", error: result.error, neverStarted: true };
    case "stopped":
      return result.by === "timeout"
        ? { kind: "settle", ...common, killed: result.killed, result: "timeout", error: timeoutError(run) }
        : { kind: "settle", ...common, killed: result.killed, result: "stopped" };
    case "displaced":
      return { kind: "handBack", ...common, killed: result.killed };
    case "lost":
      return { kind: "handBack", ...common, killed: true, lost: true, alone: result.runAlone, error: result.error };
  }
}

function remembered(left: StateAtEnd, graph: string, assistantId: string | undefined): Outcome["state"] {
  const { n: _, ...state } = boundedState({ ...left, n: 0, graph, assistantId });
  return state;
}

const timeoutError = (run: SettledRun): RunError => ({
  name: "TimeoutError",
  message: `the run's time of ${run.spec?.timeoutMs} ms was over`,
});

const unstorable = (error: unknown): RunError => ({
  name: "OutcomeNotStoredError",
  message: `the run's outcome could not be stored: ${error instanceof Error ? error.message : String(error)}`,
});
