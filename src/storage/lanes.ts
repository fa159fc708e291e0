import type { Filter } from "mongodb";
import type { FoundThread, Lanes, ThreadPage } from "../domain/ports.ts";
import type { Time } from "../domain/thread/entry.ts";
import type { Collections } from "./collections.ts";
import { earliest, isDuplicateKey } from "./keys.ts";
import { type LaneDocument, toControlFields, toLaneDocument, toStoredThread } from "./lane-document.ts";
import { threadKey } from "./run-document.ts";

/** One a finder: what must be equal, then the time, then the id. */
export const laneIndexes = [
  {
    collection: "lanes",
    name: "lanes_by_head",
    key: { head: 1, head_since: 1, _id: 1 },
    serves: "what may be claimed",
  },
  {
    collection: "lanes",
    name: "lanes_by_server",
    key: { head_server: 1, head_since: 1, _id: 1 },
    serves: "what a server executes or holds",
  },
  {
    collection: "lanes",
    name: "lanes_by_debt",
    key: { owes_since: 1, _id: 1 },
    serves: "what has been owed for too long",
  },
  {
    collection: "lanes",
    name: "lanes_by_debtor",
    key: { owes_server: 1, owes_since: 1, _id: 1 },
    serves: "what a dead server owes",
  },
  { collection: "lanes", name: "lanes_by_delay", key: { due: 1, _id: 1 }, serves: "delays that have ended" },
] as const satisfies readonly { collection: string; name: string; key: Record<string, 1>; serves: string }[];

/** Lanes in MongoDB. Each change is one insert, or one update by `_id` whose guard is the revision. */
export function createLanes({ lanes }: Pick<Collections, "lanes">): Lanes {
  /**
   * From the earliest on, or after the last of the page before. Two walks of an index instead of an `$or`, which the embedded
   * engines answer by reading everything.
   */
  async function find(
    filter: Filter<LaneDocument>,
    field: "head_since" | "owes_since" | "due",
    { limit, after }: ThreadPage,
    by?: Time,
  ): Promise<FoundThread[]> {
    const ask = (range: Filter<LaneDocument>, most: number) =>
      lanes
        .find({ ...filter, ...range })
        .sort({ [field]: 1, _id: 1 })
        .limit(most)
        .project<LaneDocument>({ owner: 1, thread_id: 1, [field]: 1 })
        .toArray();
    const same = after ? await ask({ [field]: new Date(after.at), _id: { $gt: threadKey(after) } }, limit) : [];
    const from = after ? { $gt: new Date(after.at) } : { $gte: earliest };
    const range = by === undefined ? from : { ...from, $lte: new Date(by) };
    const later = same.length < limit ? await ask({ [field]: range }, limit - same.length) : [];
    return [...same, ...later].map((doc) => ({
      owner: doc.owner,
      threadId: doc.thread_id,
      at: doc[field]!.getTime(),
    }));
  }

  return {
    async read(name) {
      const doc = await lanes.findOne({ _id: threadKey(name) });
      return doc ? toStoredThread(doc) : undefined;
    },

    async insert(thread) {
      try {
        await lanes.insertOne(toLaneDocument(thread));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },

    /** Guard: the revision is still the one that the decision was made on. */
    async write(name, from, control) {
      const done = await lanes.updateOne({ _id: threadKey(name), rev: from }, { $set: toControlFields(control) });
      return done.matchedCount === 1;
    },

    /** Index: lanes_by_head. */
    ready: (page) => find({ head: "ready" }, "head_since", page),

    /** Index: lanes_by_server. */
    headedBy: (server, page) => find({ head_server: server }, "head_since", page),

    /** Index: lanes_by_debt. */
    owing: (since, page) => find({}, "owes_since", page, since),

    /** Index: lanes_by_debtor. */
    owingBy: (server, page) => find({ owes_server: server }, "owes_since", page),

    /** Index: lanes_by_delay. */
    due: (by, page) => find({}, "due", page, by),
  };
}
