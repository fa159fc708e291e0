import type { Filter } from "mongodb";
import type { FoundThread, Lanes, ThreadPage } from "../domain/ports.ts";
import type { Time } from "../domain/thread/entry.ts";
import type { Collections } from "./collections.ts";
import { earliest, isDuplicateKey } from "./keys.ts";
import { threadKey } from "./run-document.ts";
import { changedFields, type ThreadDocument, toStoredThread, toThreadDocument } from "./thread-document.ts";

type TimeField = "head_since" | "owes_since" | "due" | "expire_at" | "updated_at";

/** One a finder: what must be equal, then the time, then the id. */
export const laneIndexes = [
  {
    collection: "threads",
    name: "lanes_by_head",
    key: { head: 1, head_since: 1, _id: 1 },
    serves: "what may be claimed",
  },
  {
    collection: "threads",
    name: "lanes_by_server",
    key: { head_server: 1, head_since: 1, _id: 1 },
    serves: "what a server executes or holds",
  },
  {
    collection: "threads",
    name: "lanes_by_debt",
    key: { owes_since: 1, _id: 1 },
    serves: "what has been owed for too long",
  },
  {
    collection: "threads",
    name: "lanes_by_debtor",
    key: { owes_server: 1, owes_since: 1, _id: 1 },
    serves: "what a dead server owes",
  },
  { collection: "threads", name: "lanes_by_delay", key: { due: 1, _id: 1 }, serves: "delays that have ended" },
  { collection: "threads", name: "lanes_by_expiry", key: { expire_at: 1, _id: 1 }, serves: "threads to remove" },
  {
    collection: "threads",
    name: "lanes_by_removal",
    key: { removing: 1, updated_at: 1, _id: 1 },
    serves: "removals that a crash has left",
  },
  {
    collection: "threads",
    name: "lanes_by_watch",
    key: { temporary: 1, updated_at: 1, _id: 1 },
    serves: "temporary threads that a crash has left",
  },
] as const satisfies readonly { collection: string; name: string; key: Record<string, 1>; serves: string }[];

/** Lanes in MongoDB. Each change is one insert, or one update by `_id` whose guard is the revision. */
export function createLanes({ threads, removedThreads }: Pick<Collections, "threads" | "removedThreads">): Lanes {
  /**
   * From the earliest on, or after the last of the page before. Two walks of an index instead of an `$or`, which the embedded
   * engines answer by reading everything.
   */
  async function find(
    filter: Filter<ThreadDocument>,
    field: TimeField,
    { limit, after }: ThreadPage,
    by?: Time,
  ): Promise<FoundThread[]> {
    const ask = (range: Filter<ThreadDocument>, most: number) =>
      threads
        .find({ ...filter, ...range })
        .sort({ [field]: 1, _id: 1 })
        .limit(most)
        .project<ThreadDocument>({ owner: 1, thread_id: 1, lane: 1, [field]: 1 })
        .toArray();
    const same = after ? await ask({ [field]: new Date(after.at), _id: { $gt: threadKey(after) } }, limit) : [];
    const from = after ? { $gt: new Date(after.at) } : { $gte: earliest };
    // An engine leaves out what equals the inclusive end of a range, where the index goes on behind it.
    const range = by === undefined ? from : { ...from, $lt: new Date(by + 1) };
    const later = same.length < limit ? await ask({ [field]: range }, limit - same.length) : [];
    return [...same, ...later].map((doc) => ({
      owner: doc.owner,
      threadId: doc.thread_id,
      at: doc[field]!.getTime(),
      lane: JSON.parse(doc.lane),
    }));
  }

  return {
    async read(name) {
      const doc = await threads.findOne({ _id: threadKey(name) });
      return doc?.rev === undefined ? undefined : toStoredThread(doc);
    },

    async readMany(names) {
      const docs = await threads.find({ _id: { $in: names.map(threadKey) } }).toArray();
      return docs.filter(({ rev }) => rev !== undefined).map(toStoredThread);
    },

    async insert(thread) {
      const document = toThreadDocument(thread);
      try {
        await threads.insertOne(document);
        return true;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
      // Where a thread was removed another may be made, but not that one.
      const { _id, journal } = document;
      const removed = { _id, removed_journal: { $exists: true, $ne: journal } };
      return (await removedThreads.replaceOne(removed, document as never)).matchedCount === 1;
    },

    /** Guard: the revision is still the one that the decision was made on. */
    async write(name, from, control, before) {
      const done = await threads.updateOne(
        { _id: threadKey(name), rev: from },
        { $set: changedFields(name, control, before) },
      );
      return done.matchedCount === 1;
    },

    /** Guard: nobody has decided since. The database removes what is left after a day. */
    async remove(name, rev) {
      const there = await threads.findOne({ _id: threadKey(name), rev }, { projection: { journal: 1 } });
      if (!there)
        return (await threads.findOne({ _id: threadKey(name) }, { projection: { rev: 1 } }))?.rev === undefined;
      const left = { removed_journal: there.journal, removed_at: new Date() };
      return (await threads.replaceOne({ _id: there._id, rev }, left as never)).matchedCount === 1;
    },

    /** Index: lanes_by_head. */
    ready: (page) => find({ head: "ready" }, "head_since", page),

    /** Index: lanes_by_server. */
    headedBy: (server, page) => find({ head_server: server }, "head_since", page),

    /** Index: lanes_by_server, from one server to the next. */
    async headServers() {
      const servers: string[] = [];
      for (;;) {
        const [next] = await threads
          .find({ head_server: { $gt: servers.at(-1) ?? "" } })
          .sort({ head_server: 1, head_since: 1, _id: 1 })
          .limit(1)
          .project<Pick<ThreadDocument, "head_server">>({ head_server: 1 })
          .toArray();
        if (!next) return servers;
        servers.push(next.head_server!);
      }
    },

    /** Index: lanes_by_debt. */
    owing: (since, page) => find({}, "owes_since", page, since),

    /** Index: lanes_by_debtor. */
    owingBy: (server, page) => find({ owes_server: server }, "owes_since", page),

    /** Index: lanes_by_delay. */
    due: (by, page) => find({}, "due", page, by),

    /** Index: lanes_by_expiry. */
    expired: (by, page) => find({}, "expire_at", page, by),

    /** Index: lanes_by_removal. */
    removing: (unchangedSince, page) => find({ removing: true }, "updated_at", page, unchangedSince),

    /** Index: lanes_by_watch. */
    temporary: (unchangedSince, page) => find({ temporary: true }, "updated_at", page, unchangedSince),
  };
}
