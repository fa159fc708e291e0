import type { Checkpoint } from "@langchain/langgraph-checkpoint";
import type { StateAtEnd } from "../domain/thread/pay-debts.ts";
import type { ThreadInterrupt } from "../domain/thread.ts";
import type { JournalPort, PendingWriteRecord, StoredCheckpoint } from "./journal-port.ts";
import { loadValue } from "./segment-list.ts";
import { WaitingTasks } from "./waiting-tasks.ts";

/**
 * What the journal says of a thread's state by itself, at a checkpoint or now, when its graph cannot read it: where it stands and
 * what is asked.
 */
export async function unreadState(journal: JournalPort, checkpointId?: string): Promise<StateAtEnd> {
  const newest = await journal.read({ namespace: "", checkpointId });
  if (!newest) return { next: [], interrupts: [] };
  const questions = new WaitingTasks().questions(newest.writes);
  return {
    checkpointId: newest.checkpointId,
    next: nextIn(newest),
    interrupts: questions.flatMap((write) => interruptsOf(write, newest)),
    unread: true,
  };
}

/** A StateGraph's node has a channel of its own: https://github.com/langchain-ai/langgraphjs, libs/langgraph-core/src/graph/state.ts. */
const nodeChannel = /^branch:to:(.+)$/s;

/** The nodes of a StateGraph that run next: what has been put into their channels they have not seen. */
function nextIn({ checkpoint, values }: StoredCheckpoint): string[] {
  const { channel_versions: versions, versions_seen: seen } = JSON.parse(
    new TextDecoder().decode(checkpoint.bytes),
  ) as Pick<Checkpoint, "channel_versions" | "versions_seen">;
  return Object.keys(values).flatMap((channel) => {
    const node = nodeChannel.exec(channel)?.[1];
    return node === undefined || seen[node]?.[channel] === versions[channel] ? [] : [node];
  });
}

/** LangGraph stores a task's questions as a list, in JSON. */
function interruptsOf({ taskId, value }: PendingWriteRecord, { segmentBytes }: StoredCheckpoint): ThreadInterrupt[] {
  try {
    const text = new TextDecoder().decode(loadValue(value, segmentBytes).bytes);
    const asked = [JSON.parse(text)].flat() as { id?: string; value?: unknown }[];
    return asked.map((one) => ({ id: one.id ?? "", taskId, value: JSON.stringify(one.value ?? null) }));
  } catch {
    return [{ id: "", taskId }];
  }
}
