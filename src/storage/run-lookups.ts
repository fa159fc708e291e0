import type { Filter } from "mongodb";
import type { RunStore } from "../domain/ports.ts";
import type { Run, RunName } from "../domain/run.ts";
import type { Collections } from "./collections.ts";
import { key } from "./keys.ts";
import { liveStatuses, type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";

export type RunLookups = Pick<RunStore, "lastStarted" | "countLive" | "liveChildren" | "unentered">;

/** How many runs back the last started one is first looked for, and how much further then. */
const firstRunsBack = 16;
const runsBackGrowth = 8;

/** Looks for runs by where they stand, and at how many there are. */
export function createRunLookups({ runs }: Pick<Collections, "runs">): RunLookups {
  /** An owner's runs never meet another's: the children's ids are compared within the owner. */
  async function children(parents: readonly RunName[], filter: Filter<RunDocument>, limit: number): Promise<Run[]> {
    if (parents.length === 0) return [];
    const ids = new Map(parents.map((parent) => [parent.runId, parent]));
    const query = { "parent.runId": { $in: [...ids.keys()] }, ...filter } as Filter<RunDocument>;
    const found = (await runs.find(query).sort({ created_at: 1 }).limit(limit).toArray()).map(toRun);
    return found.filter((run) => ids.get(run.parent!.runId)?.owner === run.owner);
  }

  return {
    /** From the newest back, some more at a time; without what the runs were given. Index: thread_runs. */
    async lastStarted(thread, except) {
      const newest = await runs
        .find({ thread_id: threadKey(thread) })
        .project<Pick<RunDocument, "n">>({ n: 1 })
        .sort({ n: -1 })
        .limit(1)
        .next();
      let $lte = newest?.n ?? 0;
      for (let back = firstRunsBack; $lte > 0; back *= runsBackGrowth) {
        const $gt = $lte - back;
        const looks = await runs
          .find({ thread_id: threadKey(thread), n: { $gt, $lte } })
          .project<Pick<RunDocument, "_id" | "started_at">>({ started_at: 1 })
          .sort({ n: -1 })
          .toArray();
        for (const { _id, started_at } of looks) {
          if (!started_at || (except !== undefined && _id === key(thread.owner, except))) continue;
          const doc = await runs.findOne({ _id, thread_id: threadKey(thread) });
          // It may have gone since.
          if (doc) return toRun(doc);
        }
        $lte = $gt;
      }
      return undefined;
    },

    /** Index: runs_by_state. */
    async countLive(most) {
      const counts = liveStatuses.map((status) => runs.countDocuments({ status }, { limit: most }));
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    },

    /** Index: runs_of_parent. */
    liveChildren: (parents, limit) =>
      children(
        parents,
        { "parent.independent": false, status: { $in: [...liveStatuses] } } as Filter<RunDocument>,
        limit,
      ),

    /** Two walks of an index, as an embedded engine answers an `$or` by reading everything. Index: runs_to_enter. */
    async unentered(madeBefore, limit, after) {
      const ask = async (range: Filter<RunDocument>, most: number) =>
        runs
          .find({ changes: 0, ...range })
          .sort({ created_at: 1, _id: 1 })
          .limit(most)
          .toArray();
      const last = after && { owner: "", threadId: "", ...after };
      const same = last ? await ask({ created_at: last.createdAt, _id: { $gt: runKey(last) } }, limit) : [];
      const from = last ? { $gt: last.createdAt } : {};
      const later =
        same.length < limit ? await ask({ created_at: { ...from, $lt: madeBefore } }, limit - same.length) : [];
      return [...same, ...later].map(toRun);
    },
  };
}
