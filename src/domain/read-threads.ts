import { checkMetadata } from "./check-metadata.ts";
import { cannotBeRead } from "./errors.ts";
import { checkpointNotFound, threadNotFound } from "./not-found.ts";
import type { ThreadStore } from "./ports.ts";
import {
  type FindCheckpoint,
  type GraphOf,
  graphOfCheckpoint,
  namedCheckpoint,
  requireCheckpoint,
} from "./run/checkpoints.ts";
import type { CheckpointName } from "./run/run.ts";
import type { StateAtEnd } from "./thread/pay-debts.ts";
import { idleStatus, type Thread, type ThreadName } from "./thread.ts";

export interface HistoryQuery {
  readonly limit: number;
  readonly beforeCheckpointId?: string;
  /** The subgraph; the graph itself when absent. */
  readonly checkpointNs?: string;
  /** Fields at the top of the states' metadata that must be equal. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly omitValues: boolean;
}

export interface StateQuery {
  readonly checkpointId?: string;
  readonly checkpointNs?: string;
  /** Also the states of the subgraphs that the next tasks run. */
  readonly subgraphs?: boolean;
  readonly omitValues: boolean;
}

/** As it was asked for: `checkpointId` and `checkpoint` exclude each other. */
interface StateRequest extends Omit<StateQuery, "checkpointNs"> {
  readonly checkpoint?: CheckpointName;
}

export interface ReadThreadsParts<State> {
  readonly threads: Pick<ThreadStore, "find">;
  readonly findCheckpoint: FindCheckpoint;
  readonly graphOf: GraphOf;
  /** Reads with the graph's own code; throws GRAPH_UNAVAILABLE when it cannot be loaded. */
  readonly readState: (thread: Thread, graph: string, query: StateQuery) => Promise<State>;
  readonly readHistory: (thread: Thread, graph: string, query: HistoryQuery) => Promise<readonly State[]>;
  /** What of a state is remembered of a thread. */
  readonly toRemember: (state: State) => StateAtEnd;
  /** The state of a thread on which no run has started. */
  readonly emptyState: State;
}

export interface ReadThreads<State> {
  /** The thread, with its questions whole however large they are. */
  get(name: ThreadName): Promise<Thread>;
  state(name: ThreadName, request: StateRequest): Promise<State>;
  history(name: ThreadName, query: HistoryQuery): Promise<readonly State[]>;
}

export function createReadThreads<State>(parts: ReadThreadsParts<State>): ReadThreads<State> {
  /** What could not be kept beside the thread, or not be read at its run's end, is read now. */
  async function complete(thread: Thread): Promise<Thread> {
    const { state, status } = thread;
    if (!state?.cut && !state?.unread) return thread;
    const query = { omitValues: !state.unread };
    const read = await parts.readState(thread, state.graph, query).catch((error: unknown) => {
      if (!cannotBeRead(error)) throw error;
    });
    if (!read) return thread;
    const { cut: _, unread: __, ...kept } = state;
    const now = { ...kept, ...parts.toRemember(read), ...(!state.unread && { values: state.values }) };
    const isIdle = state.unread && (status === "idle" || status === "interrupted");
    return { ...thread, state: now, status: isIdle ? idleStatus({ state: now }) : status };
  }

  async function get(name: ThreadName): Promise<Thread> {
    const thread = await parts.threads.find(name);
    if (!thread) throw threadNotFound(name.threadId);
    return thread;
  }

  async function checkHistory(thread: Thread, query: HistoryQuery): Promise<void> {
    const { checkpointNs = "", beforeCheckpointId: checkpointId } = query;
    checkMetadata(query.metadata ?? {}, "metadata");
    if (checkpointNs !== "") await requireCheckpoint(parts.findCheckpoint, thread, { checkpointNs }, "checkpoint_ns");
    if (checkpointId === undefined) return;
    // A subgraph's states can also be limited to those before a checkpoint of the graph itself.
    for (const ns of new Set([checkpointNs, ""])) {
      if (await parts.findCheckpoint(thread, { checkpointId, checkpointNs: ns })) return;
    }
    throw checkpointNotFound(thread.threadId, { checkpointId, checkpointNs }, "before_checkpoint_id");
  }

  return {
    get: async (name) => complete(await get(name)),
    async state(name, { checkpointId, checkpoint, ...rest }) {
      const named = namedCheckpoint({ checkpointId, checkpoint });
      const thread = await get(name);
      const found = named && (await requireCheckpoint(parts.findCheckpoint, thread, named.name, named.field));
      const graph = (found && graphOfCheckpoint(found)) ?? (await parts.graphOf(thread));
      if (graph === undefined) return parts.emptyState;
      const at = found && { checkpointNs: found.checkpointNs, checkpointId: named?.name.checkpointId };
      return parts.readState(thread, graph, { ...rest, ...at });
    },
    async history(name, query) {
      const thread = await get(name);
      await checkHistory(thread, query);
      const graph = await parts.graphOf(thread);
      return graph === undefined ? [] : parts.readHistory(thread, graph, query);
    },
  };
}
