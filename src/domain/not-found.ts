import { DomainError } from "./errors.ts";
import type { CheckpointName, RunName } from "./run/run.ts";

/*
 * What is asked for and is not there. `field` is where the request names it.
 */

export function threadNotFound(threadId: string): DomainError {
  return new DomainError("THREAD_NOT_FOUND", `thread_id: there is no thread ${threadId}`, {
    metadata: { thread_id: threadId },
  });
}

export function runNotFound({ threadId, runId }: RunName): DomainError {
  return new DomainError("RUN_NOT_FOUND", `run_id: thread ${threadId} has no run ${runId}`, {
    metadata: { run_id: runId, thread_id: threadId },
  });
}

export function parentNotFound({ threadId, runId }: RunName): DomainError {
  return new DomainError("RUN_NOT_FOUND", `parent: thread ${threadId} has no run ${runId}`, {
    metadata: { field: "parent", run_id: runId, thread_id: threadId },
  });
}

/** It was there before. */
export function runDeleted({ runId }: RunName): DomainError {
  return new DomainError("RUN_NOT_FOUND", `run ${runId} was deleted`, { metadata: { run_id: runId } });
}

/** Of a batch that is asked for again. */
export function runOfRequestGone({ threadId, runId }: RunName): DomainError {
  return new DomainError("RUN_NOT_FOUND", `request_id: run ${runId} of this request is over and gone`, {
    metadata: { run_id: runId, thread_id: threadId },
  });
}

export function assistantNotFound(assistantId: string): DomainError {
  return new DomainError("ASSISTANT_NOT_FOUND", `assistant_id: there is no assistant ${assistantId}`, {
    metadata: { assistant_id: assistantId },
  });
}

export function checkpointNotFound(threadId: string, name: CheckpointName, field: string): DomainError {
  const { checkpointId, checkpointNs } = name;
  const where = checkpointNs === "" ? "" : ` of its subgraph "${checkpointNs}"`;
  return new DomainError(
    "CHECKPOINT_NOT_FOUND",
    checkpointId === undefined
      ? `${field}: thread ${threadId} has no checkpoint${where}`
      : `${field}: thread ${threadId} has no checkpoint ${checkpointId}${where}`,
    { metadata: { checkpoint_id: checkpointId ?? "", checkpoint_ns: checkpointNs } },
  );
}

/** Of a field that takes an assistant's id or a graph's name. */
export function graphNotFound(graphs: Iterable<string>, field: string, graph: string): DomainError {
  return new DomainError(
    "GRAPH_NOT_FOUND",
    `${field}: there is no assistant or graph "${graph}"; the graphs are ${[...graphs].join(", ")}`,
    { metadata: { [field]: graph } },
  );
}
