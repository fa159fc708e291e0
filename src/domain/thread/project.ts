import type { Requester, RunError } from "../run.ts";
import type { CancelAction, CancelOutcome, RunStatus } from "../transitions.ts";
import { type Entry, isDelayed, lean, statusOf, type Time } from "./entry.ts";

/** What a run's record says of its life: repeatable from its entry, and never ahead of it. */
export interface Projection {
  /** Replaces only a projection with a smaller count, and never makes a record that is gone. */
  readonly changes: number;
  /** The order on its thread. */
  readonly n: number;
  readonly status: RunStatus;
  readonly stage: Stage;
  readonly attempt: number;
  readonly startedAt?: Time;
  readonly endedAt?: Time;
  readonly dueAt?: Time;
  readonly error?: RunError;
  readonly cancellation?: ProjectedCancellation;
  readonly lastSequence?: number;
  readonly endCheckpointId?: string;
}

export type Stage = "queued" | "delayed" | "running" | "stopping" | "rolling_back" | "over";

export interface ProjectedCancellation {
  readonly action: CancelAction;
  readonly reason: string;
  readonly requestedBy: Requester;
  readonly actor?: string;
  readonly causeRunId?: string;
  readonly requestedAt: Time;
  readonly deliveredAt?: Time;
  readonly settledAt?: Time;
  readonly outcome: CancelOutcome;
}

export function projectionOf(entry: Entry): Projection {
  const { changes, n, end, left } = entry;
  const isOver = entry.phase === "over";
  return lean({
    changes,
    n,
    status: statusOf(entry),
    stage: stageOf(entry),
    attempt: entry.attempt ?? 0,
    startedAt: entry.first,
    endedAt: isOver ? end!.at : undefined,
    dueAt: entry.due,
    error: end?.error,
    cancellation: cancellationOf(entry),
    lastSequence: end?.sequence ?? left?.sequence,
    endCheckpointId: isOver ? end!.checkpoint : undefined,
  });
}

function stageOf(entry: Entry): Stage {
  if (entry.phase !== "waiting") return entry.phase;
  return isDelayed(entry) ? "delayed" : "queued";
}

function cancellationOf({ cancel, end, phase }: Entry): ProjectedCancellation | undefined {
  if (!cancel) return undefined;
  const isOver = phase === "over";
  const outcome: CancelOutcome = (isOver ? end!.outcome : undefined) ?? "requested";
  return lean({
    action: cancel.action,
    reason: cancel.reason,
    requestedBy: cancel.by,
    actor: cancel.actor,
    causeRunId: cancel.cause,
    requestedAt: cancel.at,
    deliveredAt: cancel.deliveredAt,
    settledAt: isOver ? end!.at : undefined,
    outcome,
  });
}
