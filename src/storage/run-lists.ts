import type { Collection, Filter } from "mongodb";
import type { RunPosition, RunStore } from "../domain/ports.ts";
import { filterTokens } from "../domain/search-tokens.ts";
import { liveStatuses } from "../domain/transitions.ts";
import { earliest, hasTokens, key } from "./keys.ts";
import { livePhases, type RunDocument, threadKey, toRun } from "./run-document.ts";
import { type Place, walkIndex } from "./walk-index.ts";

const newestFirst = { field: "created_at", descending: true } as const;

/** Runs by the page, newest first. `listed`: the same ones over the connections that are for lists. */
export function createRunLists(
  runs: Collection<RunDocument>,
  listed: Collection<RunDocument>,
): Pick<RunStore, "list" | "live"> {
  return {
    /** Index: thread_runs_by_time, runs_by_metadata, runs_by_status or runs_by_time. */
    async list({ owner, threadId, statuses = [], metadata }, { limit, after }) {
      const filter: Filter<RunDocument> = {
        ...(threadId !== undefined && { thread_id: threadKey({ owner, threadId }) }),
        ...hasTokens("tokens", filterTokens(owner, metadata)),
        owner,
        // A run that is being rolled back stays visible until it is gone.
        ...(statuses.length > 0 && { status: { $in: [...statuses] } }),
      };
      // Those of one thread are few.
      const from = threadId === undefined ? listed : runs;
      return (await walkIndex(from, filter, newestFirst, limit, placeOf(owner, after))).map(toRun);
    },

    /** Index: live_of_thread, or runs_by_status; with metadata all live runs are looked at. */
    async live({ owner, threadId, status, metadata, createdBefore }, limit, after) {
      const statuses = status === "all" ? liveStatuses : [status];
      const place = placeOf(owner, after);
      const tokens = hasTokens("tokens", filterTokens(owner, metadata));
      if (threadId !== undefined) {
        // The live ones of a thread are few enough to be sorted here.
        const filter = { thread_id: threadKey({ owner, threadId }), phase: { $in: [...livePhases] }, ...tokens };
        const live = (await runs.find(filter).toArray()).filter(
          (run) =>
            statuses.includes(run.status) &&
            (!createdBefore || run.created_at < createdBefore) &&
            (!place || isOlder(run, { created_at: place.value, _id: place.id })),
        );
        return newest(live, limit).map(toRun);
      }
      const created_at = { $gte: earliest, ...(createdBefore && { $lt: createdBefore }) };
      // A walk for each status, which stands first: the embedded engines find the live runs by it whatever else is asked for.
      const found = statuses.map((one) =>
        walkIndex(runs, { status: one, owner, created_at, ...tokens }, newestFirst, limit, place),
      );
      return newest((await Promise.all(found)).flat(), limit).map(toRun);
    },
  };
}

const placeOf = (owner: string, after: RunPosition | undefined): (Place & { value: Date }) | undefined =>
  after && { value: after.createdAt, id: key(owner, after.runId) };

type Sorted = Pick<RunDocument, "created_at" | "_id">;

/** Whether it stands behind the other in the lists. */
function isOlder(run: Sorted, other: Sorted): boolean {
  const ms = run.created_at.getTime() - other.created_at.getTime();
  return ms < 0 || (ms === 0 && run._id < other._id);
}

const newest = (found: readonly RunDocument[], limit: number): RunDocument[] =>
  found.toSorted((a, b) => (isOlder(a, b) ? 1 : -1)).slice(0, limit);
