import { checkMetadata, invalid } from "../check-metadata.ts";
import { runNotFound, threadNotFound } from "../not-found.ts";
import { pageToken, readPageToken } from "../page-token.ts";
import type { Lanes, LiveFilter, RunFilter, RunPosition, RunStore, ThreadStore } from "../ports.ts";
import { readPage } from "../read-page.ts";
import { entryOf } from "../thread/entry.ts";
import type { StateAtEnd } from "../thread/pay-debts.ts";
import { asInLane } from "../thread/project.ts";
import type { Thread, ThreadInterrupt, ThreadName } from "../thread.ts";
import { liveStatuses, type RunStatus } from "../transitions.ts";
import type { FindRun } from "./find-run.ts";
import type { Json, Run, RunName } from "./run.ts";

export interface ReadRunsParts {
  readonly findRun: FindRun;
  readonly lanes: Pick<Lanes, "read">;
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  /** Resolves when the records say what runs have come to in this server. */
  readonly recordsBroughtUp: () => Promise<void>;
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

/** Those of the runs whose threads the caller may see, in the same order. */
export type InSight = (runs: readonly Run[]) => Promise<Run[]>;

export interface ReadRuns {
  get(name: RunName): Promise<Run>;
  /** Also the last record of a run that was rolled back meanwhile. */
  latest(name: RunName): Promise<Run>;
  /** The page ends early where the runs would have too many bytes. */
  list(
    filter: RunFilter,
    page: { size: number; token: string; sizeOf?: (run: Run) => number; inSight?: InSight },
  ): Promise<{ runs: Run[]; nextPageToken: string }>;
  /** With all that they were given, as far as it is kept. */
  withGiven(runs: readonly Run[]): Promise<Run[]>;
  /** Live runs, newest first, at most `limit` of them. */
  live(
    filter: LiveFilter,
    page: { limit: number; token: string; inSight?: InSight },
  ): Promise<{ runs: Run[]; nextPageToken: string }>;
  /** The state at the end of a run that is over, whatever has come after it; of a rolled back run the state before it. */
  endState(run: Run): Promise<EndState>;
}

const defaultPageSize = 20;
/** Where not all runs are in sight, so many are looked at a time. */
const lookedThrough = 100;

export function createReadRuns(parts: ReadRunsParts): ReadRuns {
  const { findRun, lanes, runs, threads, recordsBroughtUp, readState, finalStateOf } = parts;

  /** One thread's runs as they are now, which GetRun may have told already: the record of a live one follows its lane. */
  async function asTheyAre(name: ThreadName, found: readonly Run[], statuses: readonly RunStatus[]): Promise<Run[]> {
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

  async function listed(
    filter: RunFilter,
    page: { limit: number; after?: RunPosition },
    inSight?: InSight,
  ): Promise<Run[]> {
    const { owner, threadId, statuses = [] } = filter;
    if (threadId === undefined)
      return inSight ? seen(page, inSight, (part) => runs.list(filter, part)) : runs.list(filter, page);
    // Each live run may be of a live status that is looked for, whatever its record says.
    const candidates = statuses.some((one) => liveStatuses.includes(one))
      ? [...new Set([...statuses, ...liveStatuses])]
      : statuses;
    const found: Run[] = [];
    for (let { after } = page; ; ) {
      const some = await runs.list({ ...filter, statuses: candidates }, { ...page, after });
      found.push(...(await asTheyAre({ owner, threadId }, some, statuses)));
      if (some.length < page.limit || found.length >= page.limit) return found.slice(0, page.limit);
      after = some.at(-1);
    }
  }

  /** Reads on until the page is as long as it would be if all were in sight. */
  async function seen(
    { limit, after: first }: { limit: number; after?: RunPosition },
    inSight: InSight,
    read: (page: { limit: number; after?: RunPosition }) => Promise<Run[]>,
  ): Promise<Run[]> {
    const found: Run[] = [];
    const part = Math.max(limit, lookedThrough);
    for (let after = first; ; ) {
      const some = await read({ limit: part, after });
      found.push(...(await inSight(some)));
      if (some.length < part || found.length >= limit) return found.slice(0, limit);
      after = some.at(-1);
    }
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

    async list(filter, { size, token, sizeOf, inSight }) {
      checkMetadata(filter.metadata ?? {}, "metadata");
      const after = positionOf(token, filter);
      const { owner, threadId } = filter;
      if (threadId !== undefined && !(await threads.find({ owner, threadId }))) throw threadNotFound(threadId);
      await recordsBroughtUp();
      const { items, more } = await readPage<Run>({
        limit: size || defaultPageSize,
        read: (limit, last) => listed(filter, { limit, after: last ?? after }, inSight),
        sizeOf,
      });
      return { runs: items, nextPageToken: more ? tokenAfter(items.at(-1)!, filter) : "" };
    },

    withGiven: runs.withGiven,

    async live(filter, { limit, token, inSight }) {
      checkMetadata(filter.metadata ?? {}, "filter.metadata");
      if (Number.isNaN(filter.createdBefore?.getTime())) {
        throw invalid("filter.created_before", "must be a time from the year 1 to the year 9999");
      }
      const after = positionOf(token, filter);
      await recordsBroughtUp();
      const { owner, threadId, status } = filter;
      // Those of one thread are few: their lane says which are of that status.
      const wanted = threadId === undefined ? filter : { ...filter, status: "all" as const };
      const read = (part: { limit: number; after?: RunPosition }) => runs.live(wanted, part.limit, part.after);
      const some = { limit: limit + 1, after };
      const found = inSight ? await seen(some, inSight, read) : await read(some);
      const page = found.slice(0, limit);
      return {
        runs:
          threadId === undefined
            ? page
            : await asTheyAre({ owner, threadId }, page, status === "all" ? liveStatuses : [status]),
        nextPageToken: found.length > limit ? tokenAfter(page.at(-1)!, filter) : "",
      };
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

const tokenAfter = ({ createdAt, runId }: Run, filter: RunFilter | LiveFilter): string =>
  pageToken([createdAt.getTime(), runId], filter);

function positionOf(token: string, filter: RunFilter | LiveFilter): RunPosition | undefined {
  const position = readPageToken(token, filter, "number");
  return position && { createdAt: new Date(position[0]), runId: position[1] };
}

/** A run that never started has no checkpoint of its own to compare with: the thread stands where it stood. */
const sameCheckpoint = (checkpointId: string | undefined, run: Run): boolean =>
  run.endCheckpointId === undefined ? run.startedAt === undefined : checkpointId === run.endCheckpointId;
