import { DomainError } from "./errors.ts";
import type { Run } from "./run.ts";

export interface ThreadBusy {
  /** Where the request names the thread, when the message is to say so. */
  readonly field?: "thread_id";
  readonly threadId: string;
  /** The run that is live, as far as it is known. */
  readonly run?: Pick<Run, "runId" | "status">;
  /** What the thread is busy with when it is no run. */
  readonly otherwise?: string;
  /** What to do about it. */
  readonly advice: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The thread is in use by somebody else. */
export function threadBusy({
  field,
  threadId,
  run,
  otherwise = "something else",
  advice,
  metadata,
}: ThreadBusy): DomainError {
  const what = run ? `run ${run.runId}` : otherwise;
  const where = field === undefined ? "" : `${field}: `;
  return new DomainError("THREAD_BUSY", `${where}thread ${threadId} is busy with ${what}; ${advice}`, {
    metadata: { thread_id: threadId, ...metadata },
    run: run && { runId: run.runId, threadId, status: run.status },
  });
}
