import { unreadState } from "../checkpoints/unread-state.ts";
import { cannotBeRead } from "../domain/errors.ts";
import { createItems } from "../domain/items.ts";
import type { HistoryQuery, StateQuery } from "../domain/read-threads.ts";
import { createGraphOf, type FindCheckpoint } from "../domain/run/checkpoints.ts";
import type { StateAtEnd } from "../domain/thread/pay-debts.ts";
import type { RememberedState, Thread } from "../domain/thread.ts";
import { toState } from "../worker/attempt.ts";
import { createInspectThread } from "../worker/inspect-thread.ts";
import { createLastOpening } from "../worker/last-opening.ts";
import type { StateReport } from "../worker/protocol.ts";
import { readOnlyItems } from "../worker/read-items.ts";
import type { Foundation } from "./foundation.ts";

export type States = ReturnType<typeof createStates>;

/** Where threads stand, as their graphs read it, and the long-term memory that graphs may read meanwhile. */
export function createStates({ config, stores, journal, host, reports, log }: Foundation) {
  const { runs } = stores;
  const items = createItems(stores.items, config);
  const lastOpening = createLastOpening(runs, reports);
  const inspect = createInspectThread({ host, lastOpening, readItems: (owner) => readOnlyItems(items, owner) });
  const findCheckpoint: FindCheckpoint = (thread, name) => journal.checkpoint(thread.journal, name);
  const graphOf = createGraphOf(runs, findCheckpoint);

  async function readState(thread: Thread, graph: string, query: StateQuery): Promise<StateReport> {
    return (await inspect(thread, journal.reader(thread.journal), { kind: "state", graph, ...query }))[0]!;
  }

  const readHistory = (thread: Thread, graph: string, query: HistoryQuery): Promise<readonly StateReport[]> =>
    inspect(thread, journal.reader(thread.journal), { kind: "history", graph, ...query });

  async function stateIfReadable(thread: Thread, graph: string, checkpointId?: string) {
    try {
      return await readState(thread, graph, { checkpointId, omitValues: false });
    } catch (error) {
      if (!cannotBeRead(error)) throw error;
      log.warn({ err: error, thread_id: thread.threadId }, "the thread's state cannot be read");
      return undefined;
    }
  }

  /** At a checkpoint, or else where the thread stands now. */
  async function stateAtEnd(thread: Thread, graph: string, checkpointId?: string): Promise<StateAtEnd> {
    const report = await stateIfReadable(thread, graph, checkpointId);
    return report ? toState(report) : unreadState(journal.reader(thread.journal), checkpointId);
  }

  return {
    items,
    inspect,
    lastOpening,
    findCheckpoint,
    graphOf,
    readState,
    readHistory,
    stateIfReadable,
    stateAtEnd,
    newestCheckpoint: (thread: Thread) => journal.newest(thread.journal),

    /** What is to be remembered of the thread; null without a checkpoint. */
    async whereItStands(thread: Thread): Promise<RememberedState | null> {
      const graph = await graphOf(thread);
      const state = graph === undefined ? undefined : await stateAtEnd(thread, graph);
      const last = await runs.lastStarted(thread);
      const n = last?.n ?? 0;
      const assistantId = last?.assistant.assistantId ?? thread.state?.assistantId;
      return state?.checkpointId === undefined ? null : { ...state, n, graph: graph!, assistantId };
    },
  };
}
