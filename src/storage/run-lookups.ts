import type { Filter } from "mongodb";
import type { RunPosition, RunStore } from "../domain/ports.ts";
import type { Run } from "../domain/run/run.ts";
import { liveStatuses } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { createGather } from "./gather.ts";
import { earliest, key } from "./keys.ts";
import { type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import { walkIndex } from "./walk-index.ts";

export type RunLookups = Pick<RunStore, "lastStarted" | "countLive" | "liveChildren" | "unentered" | "saidToLive">;

/** How many runs back the last started one is first looked for, and how much further then. */
const firstRunsBack = 16;
const runsBackGrowth = 8;

/** Looks for runs by where they stand, and at how many there are. */
export function createRunLookups({ runs }: Pick<Collections, "runs">): RunLookups {
  async function oldest(
    which: Filter<RunDocument>,
    madeBefore: Date,
    limit: number,
    after?: RunPosition,
  ): Promise<Run[]> {
    const last = after && { value: after.createdAt, id: runKey({ owner: "", threadId: "", ...after }) };
    const filter = { ...which, created_at: { $gte: earliest, $lt: madeBefore } };
    return (await walkIndex(runs, filter, { field: "created_at" }, limit, last)).map(toRun);
  }

  const childrenOf = (parent: string | { $in: string[] }): Filter<RunDocument> => ({
    "parent.runId": parent,
    "parent.independent": false,
    status: { $in: [...liveStatuses] },
  });

  /** Most runs have no children: of many that are cancelled at once this is asked with one command. */
  const mayHaveChildren = createGather(
    async (ids: readonly string[]): Promise<boolean[]> => {
      if (ids.length === 1) return [true];
      const found = runs
        .find(childrenOf({ $in: [...new Set(ids)] }))
        .project<Pick<RunDocument, "parent">>({ parent: 1 });
      const parents = new Set((await found.toArray()).map(({ parent }) => parent?.runId));
      return ids.map((id) => parents.has(id));
    },
    { documentOf: (_id) => ({ _id }), isUrgent: true, most: 100 },
  );

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

    /** Index: live_runs, or runs_by_status. */
    async countLive(most, owner) {
      const whose = owner === undefined ? {} : { owner };
      const counts = liveStatuses.map((status) => runs.countDocuments({ ...whose, status }, { limit: most }));
      const live = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
      return Math.min(live, most);
    },

    /** An owner's runs never meet another's. Index: runs_of_parent. */
    async liveChildren({ owner, runId }, limit) {
      if (!(await mayHaveChildren(runId))) return [];
      const its = { ...childrenOf(runId), owner };
      return (await runs.find(its).sort({ created_at: 1 }).limit(limit).toArray()).map(toRun);
    },

    /** Index: runs_to_enter. */
    unentered: (madeBefore, ...page) => oldest({ changes: 0 }, madeBefore, ...page),

    /** Index: live_runs. */
    saidToLive: (status, madeBefore, ...page) => oldest({ status }, madeBefore, ...page),
  };
}
