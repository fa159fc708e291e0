import { DomainError } from "../errors.ts";
import { threadNotFound } from "../not-found.ts";
import type { Run } from "../run/run.ts";
import type { Refusal } from "./commands.ts";
import { firstInTurn, liveEntries, statusOf, type ThreadControl } from "./entry.ts";

/** The error that a refusal stands for. */
export const errorOf = ({ reason, message, metadata, run }: Refusal): DomainError =>
  new DomainError(reason, message, { metadata, run });

export const refusalOf = ({ reason, message, metadata, run }: DomainError): Refusal => ({
  reason,
  message,
  metadata: { ...metadata },
  run,
});

export const threadIsGone = ({ threadId }: ThreadControl): Refusal => refusalOf(threadNotFound(threadId));

/** Names the run that is first, or else a delayed one, or else what holds the thread. `then` says what the caller may do. */
export function threadIsBusy({ threadId, lane }: ThreadControl, then: string): Refusal {
  const live = firstInTurn(lane) ?? liveEntries(lane)[0];
  if (!live) return busyWith(threadId, holding[lane.holder?.kind ?? "delete"], then);
  return {
    ...busyWith(threadId, `run ${live.run}`, then),
    metadata: { thread_id: threadId, run_id: live.run },
    run: { runId: live.run, threadId, status: statusOf(live) },
  };
}

/** Somebody else has got the thread, since this server took longer than its hold of it was sure. */
export const holdIsLost = (threadId: string): Refusal =>
  busyWith(threadId, "something that was begun when this took too long", "try again when that is over");

const busyWith = (threadId: string, what: string, then: string): Refusal => ({
  reason: "THREAD_BUSY",
  message: `thread_id: thread ${threadId} is busy with ${what}; ${then}`,
  metadata: { thread_id: threadId },
});

const holding = {
  copy: "the copying of what it holds",
  prune: "the removal of old checkpoints",
  edit: "a change of its state",
  delete: "the deletion of a run",
} as const;

export const tooManyRuns = ({ threadId }: ThreadControl, limit: number): Refusal => ({
  reason: "TOO_MANY_RUNS",
  message: `thread ${threadId} has ${limit} live runs, the most that it may have; wait until some are over, or cancel some`,
  metadata: { limit: String(limit), thread_id: threadId },
});

export const takesNoOtherRun = ({ threadId }: ThreadControl): Refusal => ({
  reason: "INVALID_FIELD",
  message: `thread_id: thread ${threadId} is the temporary one of a stateless run and takes no other run`,
  metadata: { field: "thread_id" },
});

/** For a request to cancel that was refused: the run ended otherwise. */
export function runIsOver({ threadId, runId, status }: Pick<Run, "threadId" | "runId" | "status">): Refusal {
  const name = status.toUpperCase();
  return {
    reason: "RUN_NOT_CANCELLABLE",
    message: `run ${runId} is over with status ${name}; only PENDING and RUNNING runs can be cancelled`,
    metadata: { run_id: runId, status: name },
    run: { runId, threadId, status },
  };
}
