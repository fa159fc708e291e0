import type { PendingWriteRecord } from "./journal-port.ts";

/** Channels that tell of a task rather than of what it has put out, as `@langchain/langgraph-checkpoint` names them. */
const interrupt = "__interrupt__";
const resume = "__resume__";
/** Names the node whose error another node handles; the package has no special number for it. */
const errorSource = "__error_source_node__";
/** LangGraph's name for nobody in particular: an answer that names no question goes to whoever waits. */
const anyTask = "00000000-0000-0000-0000-000000000000";

/**
 * The tasks that wait for an answer, of all checkpoints that were read: they have asked, nobody has answered since, and they
 * have put out nothing. LangGraph itself takes a task for done as soon as one of its questions was answered.
 */
export class WaitingTasks {
  readonly #ids = new Set<string>();

  has(taskId: string): boolean {
    return this.#ids.has(taskId);
  }

  /** Takes note of a checkpoint's pending writes, oldest first; answers those that tell LangGraph whether a task is done. */
  note(writes: readonly PendingWriteRecord[]): PendingWriteRecord[] {
    const done = new Set(writes.filter(isOutput).map(({ taskId }) => taskId));
    const waiting = new Set<string>();
    for (const { taskId, channel } of writes) {
      if (channel === interrupt && !done.has(taskId)) waiting.add(taskId);
      else if (channel === resume) waiting.delete(taskId === anyTask && waiting.size === 1 ? [...waiting][0]! : taskId);
    }
    for (const { taskId } of writes) this.#ids.delete(taskId);
    for (const taskId of waiting) this.#ids.add(taskId);
    return writes.filter(({ channel }) => channel !== resume);
  }

  /** The questions that a checkpoint's waiting tasks have asked, of its pending writes. */
  questions(writes: readonly PendingWriteRecord[]): PendingWriteRecord[] {
    this.note(writes);
    return writes.filter(({ taskId, channel }) => channel === interrupt && this.has(taskId));
  }
}

const isOutput = ({ index, channel }: PendingWriteRecord): boolean => index >= 0 && channel !== errorSource;
