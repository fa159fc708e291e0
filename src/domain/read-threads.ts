import { DomainError } from "./errors.ts";
import type { RunStore, ThreadName, ThreadStore } from "./stores.ts";
import type { Thread } from "./thread.ts";
import { threadNotFound } from "./threads.ts";

export interface HistoryQuery {
  readonly limit: number;
  readonly beforeCheckpointId?: string;
  readonly omitValues: boolean;
}

export interface StateQuery {
  readonly checkpointId?: string;
  readonly omitValues: boolean;
}

export interface ReadThreadsParts<State> {
  readonly runs: Pick<RunStore, "lastStarted">;
  readonly threads: Pick<ThreadStore, "find">;
  readonly checkpointExists: (thread: Thread, checkpointId: string) => Promise<boolean>;
  /** Reads with the graph's own code; throws GRAPH_UNAVAILABLE when it cannot be loaded. */
  readonly readState: (thread: Thread, graph: string, query: StateQuery) => Promise<State>;
  readonly readHistory: (thread: Thread, graph: string, query: HistoryQuery) => Promise<readonly State[]>;
  /** The state of a thread on which no run has started. */
  readonly emptyState: State;
}

export interface ReadThreads<State> {
  get(name: ThreadName): Promise<Thread>;
  state(name: ThreadName, query: StateQuery): Promise<State>;
  history(name: ThreadName, query: HistoryQuery): Promise<readonly State[]>;
}

export function createReadThreads<State>(parts: ReadThreadsParts<State>): ReadThreads<State> {
  async function get(name: ThreadName): Promise<Thread> {
    const thread = await parts.threads.find(name);
    if (!thread) throw threadNotFound(name.threadId);
    return thread;
  }

  async function check(thread: Thread, field: string, checkpointId: string | undefined): Promise<void> {
    if (checkpointId === undefined || (await parts.checkpointExists(thread, checkpointId))) return;
    throw new DomainError(
      "CHECKPOINT_NOT_FOUND",
      `${field}: thread ${thread.threadId} has no checkpoint ${checkpointId}`,
      { metadata: { checkpoint_id: checkpointId } },
    );
  }

  /** The graph that the thread's checkpoints belong to: that of the last run that started. A copy has had none. */
  const graphOf = async (thread: Thread) => (await parts.runs.lastStarted(thread))?.graph ?? thread.state?.graph;

  return {
    get,
    async state(name, query) {
      const thread = await get(name);
      await check(thread, "checkpoint_id", query.checkpointId);
      const graph = await graphOf(thread);
      return graph === undefined ? parts.emptyState : parts.readState(thread, graph, query);
    },
    async history(name, query) {
      const thread = await get(name);
      await check(thread, "before_checkpoint_id", query.beforeCheckpointId);
      const graph = await graphOf(thread);
      return graph === undefined ? [] : parts.readHistory(thread, graph, query);
    },
  };
}
