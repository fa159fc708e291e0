import type { Filter } from "mongodb";
import type { RunStore } from "../domain/ports.ts";
import type { Run, RunName } from "../domain/run.ts";
import type { ThreadName } from "../domain/thread.ts";
import type { MultitaskStrategy } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { earliest } from "./keys.ts";
import { livePhases, liveStatuses, type RunDocument, threadKey, toRun } from "./run-document.ts";

export type RunLookups = Pick<
  RunStore,
  "hasDelayed" | "due" | "countLive" | "liveChildren" | "readyChildren" | "liveBefore" | "supersedersOf" | "clearing"
>;

const superseding: readonly MultitaskStrategy[] = ["interrupt", "rollback"];

/** Runs that wait on a thread, delayed ones included. */
export const waitingOn = (thread: ThreadName): Filter<RunDocument> => ({
  thread_id: threadKey(thread),
  phase: "waiting",
});

/** Looks for delayed runs, for runs that other runs have created, and at how many there are. */
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
    /** Index: waiting_of_thread. */
    async hasDelayed(thread) {
      const query: Filter<RunDocument> = { ...waitingOn(thread), due_at: { $gte: earliest } };
      return (await runs.findOne(query, { projection: { _id: 1 } })) !== null;
    },

    /** Index: due_runs. */
    async due(by, limit) {
      const query: Filter<RunDocument> = { due_at: { $gte: earliest, $lte: by }, phase: "waiting" };
      return (await runs.find(query).sort({ due_at: 1 }).limit(limit).toArray()).map(toRun);
    },

    /** Index: waiting_of_thread. */
    async liveBefore(run) {
      const live = await runs.find({ thread_id: threadKey(run), phase: { $in: [...livePhases] } }).toArray();
      return live
        .map(toRun)
        .filter(({ n }) => n < run.n)
        .sort((a, b) => b.n - a.n);
    },

    /** Of all after it, since an embedded engine finds a range by its index only where nothing else is asked for. Index: thread_runs. */
    async supersedersOf(run) {
      const later = await runs
        .find({ thread_id: threadKey(run), n: { $gt: run.n } })
        .sort({ n: 1 })
        .toArray();
      return later.map(toRun).filter(({ spec }) => superseding.includes(spec.multitaskStrategy));
    },

    /** Index: clearing_runs. */
    async clearing(createdBefore, limit) {
      const query: Filter<RunDocument> = { clearing: true, phase: "waiting", created_at: { $lt: createdBefore } };
      return (await runs.find(query).sort({ created_at: 1 }).limit(limit).toArray()).map(toRun);
    },

    /** Index: waiting_of_thread, or waiting_runs. */
    async countLive(thread, most) {
      const live: Filter<RunDocument>[] = thread
        ? livePhases.map((phase) => ({ thread_id: threadKey(thread), phase }))
        : liveStatuses.map((status) => ({ status }));
      const counts = live.map((filter) => runs.countDocuments(filter, { limit: most }));
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    },

    /** Index: runs_of_parent. */
    liveChildren: (parents, limit) =>
      children(
        parents,
        { "parent.independent": false, status: { $in: [...liveStatuses] } } as Filter<RunDocument>,
        limit,
      ),

    /** Index: runs_of_parent; the Python engine cannot use it, and goes by the status. */
    readyChildren: (parents, limit) => children(parents, { ready: true, status: "pending" }, limit),
  };
}
