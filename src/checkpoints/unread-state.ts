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
    next: [],
    interrupts: questions.flatMap((write) => interruptsOf(write, newest)),
    unread: true,
  };
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
