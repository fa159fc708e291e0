import { runNotFound } from "./cancel-runs.ts";
import { checkMetadata } from "./check-metadata.ts";
import type { StateAtEnd } from "./finish-run.ts";
import { pageToken, readPageToken } from "./page-token.ts";
import type { Json, Run, RunName } from "./run.ts";
import type { LiveFilter, RunFilter, RunStore, ThreadStore } from "./stores.ts";
import type { Thread, ThreadInterrupt } from "./thread.ts";
import { threadNotFound } from "./threads.ts";

export interface ReadRunsParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  /** The thread's state at a checkpoint; undefined when its graph cannot be loaded. */
  readonly readState: (thread: Thread, graph: string, checkpointId?: string) => Promise<StateAtEnd | undefined>;
}

/** The thread's state at a run's end. */
export interface EndState {
  readonly values?: Json;
  readonly interrupts: readonly ThreadInterrupt[];
}

export interface ReadRuns {
  get(name: RunName): Promise<Run>;
  /** Also the last record of a run that was rolled back meanwhile. */
  latest(name: RunName): Promise<Run>;
  list(filter: RunFilter, page: { size: number; token: string }): Promise<{ runs: Run[]; nextPageToken: string }>;
  live(filter: LiveFilter, limit: number): Promise<Run[]>;
  /** The state at the end of a run that is over, whatever has come after it; of a rolled back run the state before it. */
  endState(run: Run): Promise<EndState>;
}

const defaultPageSize = 20;

export function createReadRuns({ runs, threads, readState }: ReadRunsParts): ReadRuns {
  return {
    async get(name) {
      const run = await runs.find(name);
      if (!run) throw runNotFound(name);
      return run;
    },

    async latest(name) {
      const run = (await runs.find(name)) ?? (await runs.tombstone(name));
      if (!run) throw runNotFound(name);
      return run;
    },

    async list(filter, { size, token }) {
      checkMetadata(filter.metadata ?? {}, "metadata");
      const position = readPageToken(token, filter, "number");
      const after = position && { createdAt: new Date(position[0]), runId: position[1] };
      const { owner, threadId } = filter;
      if (threadId !== undefined && !(await threads.find({ owner, threadId }))) throw threadNotFound(threadId);
      const limit = size || defaultPageSize;
      const found = await runs.list(filter, { limit: limit + 1, after });
      const page = found.slice(0, limit);
      const more = found.length > limit ? page.at(-1) : undefined;
      return { runs: page, nextPageToken: more ? pageToken([more.createdAt.getTime(), more.runId], filter) : "" };
    },

    live: (filter, limit) => runs.live(filter, limit),

    async endState(run) {
      const thread = await threads.find(run);
      const remembered = thread?.state;
      if (!thread) return { interrupts: [] };
      const isItsOwn = remembered && remembered.n <= run.n && sameCheckpoint(remembered.checkpointId, run);
      if (isItsOwn && remembered.values !== undefined) return remembered;
      if (run.endCheckpointId === undefined) return { interrupts: [] };
      return (await readState(thread, run.graph, run.endCheckpointId)) ?? { interrupts: [] };
    },
  };
}

/** A run that never started has no checkpoint of its own to compare with: the thread stands where it stood. */
const sameCheckpoint = (checkpointId: string | undefined, run: Run): boolean =>
  run.endCheckpointId === undefined ? run.startedAt === undefined : checkpointId === run.endCheckpointId;
