import { checkMetadata, invalid } from "./check-metadata.ts";
import type { FindRun } from "./find-run.ts";
import { runNotFound, threadNotFound } from "./not-found.ts";
import { pageToken, readPageToken } from "./page-token.ts";
import type { Lanes, LiveFilter, RunFilter, RunPosition, RunStore, ThreadStore } from "./ports.ts";
import { readPage } from "./read-page.ts";
import type { Json, Run, RunName } from "./run.ts";
import { entryOf } from "./thread/entry.ts";
import type { StateAtEnd } from "./thread/pay-debts.ts";
import { asInLane } from "./thread/project.ts";
import type { Thread, ThreadInterrupt, ThreadName } from "./thread.ts";

export interface ReadRunsParts {
  readonly findRun: FindRun;
  readonly lanes: Pick<Lanes, "read">;
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  /** The thread's state at a checkpoint; undefined when its graph cannot be loaded. */
  readonly readState: (thread: Thread, graph: string, checkpointId?: string) => Promise<StateAtEnd | undefined>;
  /** What is known of a run that has just ended here, by the very object. */
  readonly finalStateOf: (over: Run) => StateAtEnd | undefined;
}

/** The thread's state at a run's end. */
interface EndState {
  readonly values?: Json;
  readonly interrupts: readonly ThreadInterrupt[];
}

export interface ReadRuns {
  get(name: RunName): Promise<Run>;
  /** Also the last record of a run that was rolled back meanwhile. */
  latest(name: RunName): Promise<Run>;
  /** The page ends early where the runs would have too many bytes. */
  list(
    filter: RunFilter,
    page: { size: number; token: string; sizeOf?: (run: Run) => number },
  ): Promise<{ runs: Run[]; nextPageToken: string }>;
  /** With all that they were given, as far as it is kept. */
  withGiven(runs: readonly Run[]): Promise<Run[]>;
  /** Live runs, newest first, at most `limit` of them. */
  live(filter: LiveFilter, page: { limit: number; token: string }): Promise<{ runs: Run[]; nextPageToken: string }>;
  /** The state at the end of a run that is over, whatever has come after it; of a rolled back run the state before it. */
  endState(run: Run): Promise<EndState>;
}

const defaultPageSize = 20;

export function createReadRuns({ findRun, lanes, runs, threads, readState, finalStateOf }: ReadRunsParts): ReadRuns {
  /** One thread's runs as they are now, which GetRun may have told already: the record of a live one follows its lane. */
  async function asTheyAre(name: ThreadName, found: readonly Run[], { statuses = [] }: RunFilter): Promise<Run[]> {
    if (found.every((run) => run.phase === "over")) return [...found];
    const stored = await lanes.read(name);
    const now = await Promise.all(
      found.map((run) => {
        if (run.phase === "over") return run;
        const entry = stored && entryOf(stored.control, run.runId);
        return entry ? asInLane(run, entry) : findRun(run);
      }),
    );
    return now.filter((run) => run !== undefined).filter(({ status }) => !statuses.length || statuses.includes(status));
  }

  return {
    async get(name) {
      const run = await findRun(name);
      if (!run) throw runNotFound(name);
      return run;
    },

    async latest(name) {
      const run = (await findRun(name)) ?? (await runs.tombstone(name));
      if (!run) throw runNotFound(name);
      return run;
    },

    async list(filter, { size, token, sizeOf }) {
      checkMetadata(filter.metadata ?? {}, "metadata");
      const after = positionOf(token, filter);
      const { owner, threadId } = filter;
      if (threadId !== undefined && !(await threads.find({ owner, threadId }))) throw threadNotFound(threadId);
      const { items, more } = await readPage<Run>({
        limit: size || defaultPageSize,
        read: (limit, last) => runs.list(filter, { limit, after: last ?? after }),
        sizeOf,
      });
      return {
        runs: threadId === undefined ? items : await asTheyAre({ owner, threadId }, items, filter),
        nextPageToken: more ? tokenAfter(items.at(-1)!, filter) : "",
      };
    },

    withGiven: runs.withGiven,

    async live(filter, { limit, token }) {
      checkMetadata(filter.metadata ?? {}, "filter.metadata");
      if (Number.isNaN(filter.createdBefore?.getTime())) {
        throw invalid("filter.created_before", "must be a time from the year 1 to the year 9999");
      }
      const after = positionOf(token, filter);
      return pageOf(await runs.live(filter, limit + 1, after), limit, filter);
    },

    async endState(run) {
      const left = finalStateOf(run);
      if (left?.values !== undefined) return left;
      const thread = await threads.find(run);
      const remembered = thread?.state;
      if (!thread) return { interrupts: [] };
      const isItsOwn = remembered && remembered.n <= run.n && sameCheckpoint(remembered.checkpointId, run);
      if (isItsOwn && remembered.values !== undefined && !remembered.cut) return remembered;
      if (run.endCheckpointId === undefined) return { interrupts: [] };
      return (await readState(thread, run.graph, run.endCheckpointId)) ?? { interrupts: [] };
    },
  };
}

/** `found` holds one more run than the page when there are more. */
function pageOf(found: Run[], limit: number, filter: RunFilter | LiveFilter) {
  const page = found.slice(0, limit);
  return { runs: page, nextPageToken: found.length > limit ? tokenAfter(page.at(-1)!, filter) : "" };
}

const tokenAfter = ({ createdAt, runId }: Run, filter: RunFilter | LiveFilter): string =>
  pageToken([createdAt.getTime(), runId], filter);

function positionOf(token: string, filter: RunFilter | LiveFilter): RunPosition | undefined {
  const position = readPageToken(token, filter, "number");
  return position && { createdAt: new Date(position[0]), runId: position[1] };
}

/** A run that never started has no checkpoint of its own to compare with: the thread stands where it stood. */
const sameCheckpoint = (checkpointId: string | undefined, run: Run): boolean =>
  run.endCheckpointId === undefined ? run.startedAt === undefined : checkpointId === run.endCheckpointId;
