import type { Filter } from "mongodb";
import type { RunStore } from "../domain/ports.ts";
import type { Run, RunName, RunSpec } from "../domain/run.ts";
import type { Collections } from "./collections.ts";
import { isDuplicateKey, key } from "./keys.ts";
import { newRunDocument, type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import { createRunExpiry, keepForEver, type RetentionOptions } from "./run-expiry.ts";
import { createRunLists } from "./run-lists.ts";
import { createRunLookups, waitingOn } from "./run-lookups.ts";
import { createRunTransitions } from "./run-transitions.ts";

/** How many of the runs to be claimed one look reads, in claims: see `ready`. */
const claimsAhead = 8;
/** How many runs back the last started one is first looked for, and how much further then. */
const firstRunsBack = 16;
const runsBackGrowth = 8;

/** Runs in MongoDB. Each query says which index (see indexes.ts) it walks; those by name walk `_id`. */
export function createRunStore(
  { runs, tombstones, threads }: Collections,
  options: RetentionOptions = keepForEver,
  listed: Pick<Collections, "runs"> = { runs },
): RunStore {
  const byName = (name: RunName): Filter<RunDocument> => ({ _id: runKey(name), thread_id: threadKey(name) });

  const list = async (filter: Filter<RunDocument>, sort: Record<string, 1 | -1>, limit: number): Promise<Run[]> =>
    (await runs.find(filter).sort(sort).limit(limit).toArray()).map(toRun);

  /** Of the runs to be claimed that one look left: those up to this time are read by the next. */
  let readyUntil: Date | undefined;

  return {
    ...createRunTransitions({ runs }, options),
    ...createRunLists(runs, listed.runs),
    ...createRunExpiry(runs),
    ...createRunLookups({ runs }),

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

    /** No date comes before all dates. Index: waiting_of_thread. */
    async firstWaiting(thread) {
      return (await list(waitingOn(thread), { due_at: 1, n: 1 }, 1))[0];
    },

    /** From the newest back, some more at a time; without what the runs were given. Index: thread_runs. */
    async lastStarted(thread, except) {
      const newest = await threads.findOne({ _id: threadKey(thread) }, { projection: { n: 1 } });
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

    /**
     * Oldest first. When there are many, what later looks will want is read ahead once and then bounded by time, since the
     * embedded engines would read all of them each time. Index: waiting_runs.
     */
    async ready(limit) {
      const all: Filter<RunDocument> = { status: "pending", ready: true };
      if (readyUntil) {
        const some = await list({ ...all, created_at: { $lte: readyUntil } }, { created_at: 1 }, limit);
        if (some.length === limit) return some;
      }
      const ahead = limit * claimsAhead;
      const found = await list(all, { created_at: 1 }, ahead);
      readyUntil = found.length === ahead ? found.at(-1)!.createdAt : undefined;
      return found.slice(0, limit);
    },

    /** Index: cleanup. */
    unfinished: (limit) => list({ cleanup: "pending" }, { created_at: 1 }, limit),

    /** Index: waiting_runs. */
    waiting: (limit) => list({ status: "pending", ready: false, due_at: null }, { created_at: 1 }, limit),

    async entomb(run, values) {
      const doc = await runs.findOne({ ...byName(run), phase: { $in: ["rolling_back", "over"] } });
      if (!doc) return;
      const now = new Date();
      const end = { ended_at: now, end_checkpoint_id: run.endCheckpointId ?? null };
      const rolledBack = { ...end, status: "interrupted", phase: "over", cleanup: null } as const;
      const last = doc.phase === "over" ? doc : { ...doc, ...rolledBack };
      try {
        const { assistantId, version } = doc.assistant;
        const bare = { spec: withoutPayloads(doc.spec), assistant: { assistantId, version } };
        const webhook = doc.webhook?.state === "pending" ? { ...doc.webhook, kept: toldOf(doc, values) } : doc.webhook;
        await tombstones.insertOne({ ...last, ...unexpired, ...bare, webhook, tokens: [], buried_at: now });
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

    async tombstones(names) {
      const docs = await tombstones.find({ _id: { $in: names.map(runKey) } }).toArray();
      return docs.map(toRun);
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

    /** Index: thread_runs. */
    outliving(thread) {
      const owed: Filter<RunDocument> = thread.temporary
        ? { status: { $exists: true } }
        : { "webhook.state": "pending" };
      return list({ thread_id: threadKey(thread), ...owed, phase: "over" }, { n: -1 }, 10_000);
    },

    /** Index: tombstones_of_thread. */
    async removeAll(thread) {
      const ofThread = { thread_id: threadKey(thread) };
      if (!thread.temporary) await tombstones.deleteMany({ ...ofThread, "webhook.state": { $ne: "pending" } });
      await runs.deleteMany(ofThread);
    },
  };
}

/** A tombstone's own time counts. */
const unexpired = { events_expire_at: undefined, expire_at: undefined };
/** What a webhook is still to be told of a run whose record goes. */
const toldOf = ({ spec }: RunDocument, values?: string) => ({ metadata: { ...spec.metadata }, values });

/** What a client gave a run goes with the run. */
const withoutPayloads = (spec: RunSpec): RunSpec => ({
  ...spec,
  input: undefined,
  command: undefined,
  config: undefined,
  context: undefined,
  metadata: {},
});
