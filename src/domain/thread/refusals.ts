import { DomainError } from "../errors.ts";
import type { Refusal } from "./commands.ts";
import { type Entry, firstInTurn, liveEntries, statusOf, type ThreadControl } from "./entry.ts";

/** The error that a refusal stands for. */
export const errorOf = ({ reason, message, metadata, run }: Refusal): DomainError =>
  new DomainError(reason, message, { metadata, run });

export const refusalOf = ({ reason, message, metadata, run }: DomainError): Refusal => ({
  reason,
  message,
  metadata: { ...metadata },
  run,
});

export const threadIsGone = ({ threadId }: ThreadControl): Refusal => ({
  reason: "THREAD_NOT_FOUND",
  message: `thread_id: there is no thread ${threadId}`,
  metadata: { thread_id: threadId },
});

/** Names the run that is first, or else a delayed one, or else what holds the thread. `then` says what the caller may do. */
export function threadIsBusy({ threadId, lane }: ThreadControl, then: string): Refusal {
  const live = firstInTurn(lane) ?? liveEntries(lane)[0];
  const what = live ? `run ${live.run}` : holding[lane.holder?.kind ?? "delete"];
  return {
    reason: "THREAD_BUSY",
    message: `thread_id: thread ${threadId} is busy with ${what}; ${then}`,
    metadata: live ? { thread_id: threadId, run_id: live.run } : { thread_id: threadId },
    run: live && { runId: live.run, threadId, status: statusOf(live) },
  };
}

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
export function runIsOver({ threadId }: Pick<ThreadControl, "threadId">, entry: Entry): Refusal {
  const status = statusOf(entry);
  const name = status.toUpperCase();
  return {
    reason: "RUN_NOT_CANCELLABLE",
    message: `run ${entry.run} is over with status ${name}; only PENDING and RUNNING runs can be cancelled`,
    metadata: { run_id: entry.run, status: name },
    run: { runId: entry.run, threadId, status },
  };
}
