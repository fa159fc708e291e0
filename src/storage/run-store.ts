import type { Filter } from "mongodb";
import type { Run, RunName, RunSpec } from "../domain/run.ts";
import { filterTokens } from "../domain/search-tokens.ts";
import type { RunStore } from "../domain/stores.ts";
import type { RunStatus } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { isDuplicateKey, key } from "./keys.ts";
import { newRunDocument, type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import { createRunTransitions } from "./run-transitions.ts";

const liveStatuses: readonly RunStatus[] = ["pending", "running"];

/** Runs in MongoDB. Each query says which index (see indexes.ts) it walks; those by name walk `_id`. */
export function createRunStore({ runs, tombstones }: Collections): RunStore {
  const byName = (name: RunName): Filter<RunDocument> => ({ thread_id: threadKey(name), _id: runKey(name) });

  const list = async (filter: Filter<RunDocument>, sort: Record<string, 1 | -1>, limit: number): Promise<Run[]> =>
    (await runs.find(filter).sort(sort).limit(limit).toArray()).map(toRun);

  const inThread = (filter: { owner: string; threadId?: string }): Filter<RunDocument> =>
    filter.threadId === undefined ? {} : { thread_id: key(filter.owner, filter.threadId) };

  return {
    ...createRunTransitions({ runs }),

    async insert(run, { ready }) {
      try {
        await runs.insertOne(newRunDocument(run, ready));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },

    async withdraw(name) {
      await runs.deleteOne(byName(name));
    },

    async find(name) {
      const doc = await runs.findOne({ ...byName(name), status: { $exists: true } });
      return doc ? toRun(doc) : undefined;
    },

    async findMany(names) {
      const docs = await runs.find({ _id: { $in: names.map(runKey) }, status: { $exists: true } }).toArray();
      return docs.map(toRun);
    },

    /** Index: runs_by_metadata, thread_runs_by_time or runs_by_time. */
    list(filter, { limit, after }) {
      const tokens = filterTokens(filter.owner, filter.metadata);
      const query: Filter<RunDocument> = {
        // The owner is in the tokens, too; named beside them, the embedded engine would walk all of the owner's runs.
        ...(tokens.length > 0 ? { tokens: { $all: tokens } } : { owner: filter.owner }),
        ...inThread(filter),
        // A run that is being rolled back stays visible until it is gone; a forbidden id has no status.
        status: filter.statuses?.length ? { $in: [...filter.statuses] } : { $exists: true },
      };
      if (after) {
        // The first condition says where to begin in the index.
        query.created_at = { $lte: after.createdAt };
        query.$or = [{ created_at: { $lt: after.createdAt } }, { _id: { $lt: key(filter.owner, after.runId) } }];
      }
      return list(query, { created_at: -1, _id: -1 }, limit);
    },

    /** Index: thread_runs_by_time, or live_runs. */
    live(filter, limit) {
      const statuses = filter.status === "all" ? liveStatuses : [filter.status];
      const query = { owner: filter.owner, ...inThread(filter), status: { $in: [...statuses] } };
      return list(query, { created_at: -1, _id: -1 }, limit);
    },

    /** Index: thread_runs. */
    async nextWaiting(thread) {
      return (await list({ thread_id: threadKey(thread), phase: "waiting" }, { n: 1 }, 1))[0];
    },

    /** Index: thread_runs. */
    async lastStarted(thread, except) {
      const filter: Filter<RunDocument> = { thread_id: threadKey(thread), started_at: { $ne: null } };
      if (except !== undefined) filter._id = { $ne: key(thread.owner, except) };
      return (await list({ ...filter, status: { $exists: true } }, { n: -1 }, 1))[0];
    },

    /** Index: ready_runs. */
    ready: (limit) => list({ ready: true }, { created_at: 1 }, limit),

    /** Index: cleanup. */
    unfinished: (limit) => list({ cleanup: "pending" }, { created_at: 1 }, limit),

    /** Index: live_runs. */
    waiting: (limit) => list({ status: "pending", ready: false }, { created_at: 1 }, limit),

    async entomb(run) {
      const doc = await runs.findOne({ ...byName(run), phase: { $in: ["rolling_back", "over"] } });
      if (!doc) return;
      const now = new Date();
      const end = { ended_at: now, end_checkpoint_id: run.endCheckpointId ?? null };
      const rolledBack = { ...end, status: "interrupted", phase: "over", cleanup: null } as const;
      const last = doc.phase === "over" ? doc : { ...doc, ...rolledBack };
      try {
        await tombstones.insertOne({ ...last, spec: withoutPayloads(doc.spec), tokens: [], buried_at: now });
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
    },

    async remove(name) {
      await runs.deleteOne({ ...byName(name), phase: { $in: ["rolling_back", "over"] } });
    },

    async tombstone(name) {
      const doc = await tombstones.findOne(byName(name));
      return doc ? toRun(doc) : undefined;
    },

    async forbid(name) {
      try {
        await runs.insertOne({ _id: runKey(name), thread_id: threadKey(name), owner: name.owner } as RunDocument);
        return true;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        return (await runs.findOne({ ...byName(name), status: { $exists: true } })) === null;
      }
    },

    async removeAll(thread) {
      await tombstones.deleteMany({ thread_id: threadKey(thread) });
      await runs.deleteMany({ thread_id: threadKey(thread) });
    },
  };
}

/** What a client gave a run goes with the run. */
const withoutPayloads = (spec: RunSpec): RunSpec => ({
  ...spec,
  ...{ input: undefined, command: undefined, config: undefined, context: undefined, metadata: {} },
});
