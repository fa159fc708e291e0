import type { Cancellation, Run, RunError } from "../run/run.ts";
import type { CancelOutcome } from "../transitions.ts";
import { type Entry, lean, statusOf, type Time } from "./entry.ts";

/** What a run's record says of its life: repeatable from its entry, and never ahead of it. */
export type Projection = Pick<
  Run,
  | "changes"
  | "n"
  | "status"
  | "phase"
  | "attempt"
  | "startedAt"
  | "endedAt"
  | "dueAt"
  | "error"
  | "cancellation"
  | "lastSequence"
  | "endCheckpointId"
> & {
  /** Of the thread: see {@link Run.journal}. */
  readonly journal: string;
  /** The lease that ended with it: a longer error that was stored under it counts. */
  readonly endToken?: string;
};

export const projectionOf = (entry: Entry, journal: string): Projection =>
  lean({ ...lifeOf(entry), journal, endToken: entry.end?.token });

function lifeOf(entry: Entry): Omit<Projection, "journal" | "endToken"> {
  const { changes, n, phase, end, left } = entry;
  const isOver = phase === "over";
  return lean({
    changes,
    n,
    status: statusOf(entry),
    phase,
    attempt: entry.attempt ?? 0,
    startedAt: dateOf(entry.first),
    endedAt: isOver ? dateOf(end!.at) : undefined,
    dueAt: dateOf(entry.due),
    error: end?.error,
    cancellation: cancellationOf(entry),
    lastSequence: end?.sequence ?? left?.sequence,
    endCheckpointId: isOver ? end!.checkpoint : undefined,
  });
}

/** The run as its thread's lane has it, which may be ahead of its record. */
export function asInLane(run: Run, entry: Entry): Run {
  if (entry.changes <= run.changes) return run;
  return lean({ ...run, ...unlived, ...lifeOf(entry) });
}

/** A field that the entry does not have is not to stay as it was in the record. */
const unlived: Partial<Run> = {
  startedAt: undefined,
  endedAt: undefined,
  dueAt: undefined,
  error: undefined as RunError | undefined,
  cancellation: undefined,
  lastSequence: undefined,
  endCheckpointId: undefined,
};

function cancellationOf({ cancel, end, phase }: Entry): Cancellation | undefined {
  if (!cancel) return undefined;
  const isOver = phase === "over";
  const outcome: CancelOutcome = (isOver ? end!.outcome : undefined) ?? "requested";
  return lean({
    action: cancel.action,
    reason: cancel.reason,
    requestedBy: cancel.by,
    actor: cancel.actor,
    causeRunId: cancel.cause,
    requestedAt: new Date(cancel.at),
    deliveredAt: dateOf(cancel.deliveredAt),
    settledAt: isOver ? dateOf(end!.at) : undefined,
    outcome,
  });
}

const dateOf = (time: Time | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));
