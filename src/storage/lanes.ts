import type { Filter } from "mongodb";
import type { FoundThread, Lanes, ThreadPage } from "../domain/ports.ts";
import type { Time } from "../domain/thread/entry.ts";
import type { Collections } from "./collections.ts";
import { createGather } from "./gather.ts";
import { type IndexDefinition, indexesOf } from "./index-definition.ts";
import { insertEach } from "./insert-each.ts";
import { earliest } from "./keys.ts";
import { createLooks } from "./look-each.ts";
import { threadKey } from "./run-document.ts";
import { type GuardedSet, setEach } from "./set-each.ts";
import { changedFields, type ThreadDocument, toStoredThread, toThreadDocument } from "./thread-document.ts";
import { createThreadStates } from "./thread-states.ts";
import { walkIndex } from "./walk-index.ts";

type TimeField = "head_since" | "owes_since" | "due" | "expire_at" | "updated_at";

const index = indexesOf("threads");

/** Each serves one of the searches below: what must be equal comes first, then the time that it sorts by, then the id. */
export const laneIndexes: readonly IndexDefinition[] = [
  index("lanes_by_head", { head: 1, head_since: 1, _id: 1 }, "what may be claimed"),
  index("ready_lanes_of_owner", { head: 1, owner: 1, head_since: 1, _id: 1 }, "whose runs may be claimed, and which", {
    partialFilterExpression: { head: "ready" },
  }),
  index("lanes_by_server", { head_server: 1, head_since: 1, _id: 1 }, "what a server executes or holds"),
  index("lanes_by_debt", { owes_since: 1, _id: 1 }, "what has been owed for too long"),
  index("lanes_by_debtor", { owes_server: 1, owes_since: 1, _id: 1 }, "what a dead server owes"),
  index("lanes_by_delay", { due: 1, _id: 1 }, "delays that have ended"),
  index("lanes_by_expiry", { expire_at: 1, _id: 1 }, "threads to remove"),
  index("lanes_by_removal", { removing: 1, updated_at: 1, _id: 1 }, "removals that a crash has left"),
  index("lanes_by_watch", { temporary: 1, updated_at: 1, _id: 1 }, "temporary threads that a crash has left"),
];

interface LaneWrite extends GuardedSet {
  readonly is: { readonly rev: string };
  readonly set: ReturnType<typeof changedFields>;
}

type LaneCollections = Pick<Collections, "threads" | "removedThreads" | "threadStates" | "threadStateNotes">;

/**
 * Lanes in MongoDB. Each change is one insert, or one update by `_id` whose guard is the revision; those that come at the same time
 * share a command.
 */
export function createLanes(
  { threads, removedThreads, ...others }: LaneCollections,
  now: () => Date,
  isSharded = false,
): Lanes {
  const states = createThreadStates({ threads, ...others }, now);
  const insertTogether = createGather((documents: readonly ThreadDocument[]) => insertEach(threads, documents), {
    whose: ({ _id }) => _id,
  });
  const each = { documentOf: ({ set }: LaneWrite) => set, keyOf: ({ _id }: LaneWrite) => _id };
  const writeTogether = createGather(writeEach, each);
  /** In a line of their own. */
  const writeAtOnce = createGather(writeEach, { ...each, isUrgent: true });
  const look = createLooks(threads);

  async function writeEach(writes: readonly LaneWrite[]): Promise<boolean[]> {
    const haveAllLanded = await setEach(threads, writes, isSharded);
    if (haveAllLanded || writes.length === 1) return writes.map(() => haveAllLanded);
    // Which of them have missed their revision, the marks tell.
    const found = threads.find({ _id: { $in: writes.map(({ _id }) => _id) } });
    const docs = await found.project<Pick<ThreadDocument, "rev" | "marks">>({ rev: 1, marks: 1 }).toArray();
    const landed = new Set(docs.flatMap(({ rev, marks = [] }) => [rev, ...marks.map((mark) => mark.rev)]));
    return writes.map(({ set }) => landed.has(set.rev));
  }

  /** From the earliest on, or after the last of the page before. */
  async function find(
    filter: Filter<ThreadDocument>,
    field: TimeField,
    { limit, after }: ThreadPage,
    by?: Time,
  ): Promise<FoundThread[]> {
    // An engine leaves out what equals the inclusive end of a range, where the index goes on behind it.
    const range = { $gte: earliest, ...(by !== undefined && { $lt: new Date(by + 1) }) };
    const last = after && { value: new Date(after.at), id: threadKey(after) };
    const shown = { owner: 1, thread_id: 1, lane: 1, [field]: 1 };
    const found = await walkIndex(threads, { ...filter, [field]: range }, { field }, limit, last, shown);
    return found.map((doc) => ({
      owner: doc.owner,
      threadId: doc.thread_id,
      at: doc[field]!.getTime(),
      lane: JSON.parse(doc.lane),
    }));
  }

  return {
    async read(name) {
      const doc = await look(threadKey(name));
      return doc?.rev === undefined ? undefined : toStoredThread(doc);
    },

    async readMany(names) {
      const docs = await threads.find({ _id: { $in: names.map(threadKey) } }).toArray();
      return docs.filter(({ rev }) => rev !== undefined).map(toStoredThread);
    },

    async insert(thread) {
      const document = toThreadDocument(thread);
      const { origin, control } = thread;
      await states.prepare(origin, undefined, control.state);
      if ((await insertTogether(document)) === "inserted") {
        states.tidy(origin, undefined, control.state);
        return true;
      }
      // Where a thread was removed another one may be made, but not that very one again.
      const { _id, journal } = document;
      const removed = { _id, removed_journal: { $exists: true, $ne: journal } };
      return (await removedThreads.replaceOne(removed, document as never)).matchedCount === 1;
    },

    /** Guard: the revision is still the one that the decision was made on. */
    async write(name, from, control, { before, isUrgent } = {}) {
      await states.prepare(name, before?.state, control.state);
      const write = { _id: threadKey(name), is: { rev: from }, set: changedFields(name, control, before) };
      const hasLanded = await (isUrgent ? writeAtOnce(write) : writeTogether(write));
      if (hasLanded) states.tidy(name, before?.state, control.state);
      return hasLanded;
    },

    sweepStates: states.sweep,

    /** Guard: nobody has decided since. The database removes what is left after a day. */
    async remove(name, rev) {
      const there = await threads.findOne({ _id: threadKey(name), rev }, { projection: { journal: 1, state: 1 } });
      if (!there)
        return (await threads.findOne({ _id: threadKey(name) }, { projection: { rev: 1 } }))?.rev === undefined;
      await states.remove(name, there.state === null ? undefined : JSON.parse(there.state));
      const left = { removed_journal: there.journal, removed_at: now() };
      return (await threads.replaceOne({ _id: there._id, rev }, left as never)).matchedCount === 1;
    },

    /** Index: lanes_by_head, or ready_lanes_of_owner. */
    ready: (page, owner) => find({ head: "ready", ...(owner !== undefined && { owner }) }, "head_since", page),

    /** Index: ready_lanes_of_owner, from one owner to the next. */
    async readyOwners() {
      const owners: string[] = [];
      for (;;) {
        const [next] = await threads
          .find({ head: "ready", ...(owners.length > 0 && { owner: { $gt: owners.at(-1)! } }) })
          .sort({ owner: 1, head_since: 1, _id: 1 })
          .limit(1)
          .project<Pick<ThreadDocument, "owner">>({ owner: 1 })
          .toArray();
        if (!next) return owners;
        owners.push(next.owner);
      }
    },

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
