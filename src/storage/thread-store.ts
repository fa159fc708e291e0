import type { Filter, UpdateFilter } from "mongodb";
import type { ThreadName, ThreadStore } from "../domain/stores.ts";
import type { RememberedState, Thread } from "../domain/thread.ts";
import type { ThreadStatus } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { isDuplicateKey } from "./keys.ts";
import { threadKey } from "./run-document.ts";

export interface ThreadDocument {
  /** The thread's key: what the collection is sharded by. */
  _id: string;
  owner: string;
  thread_id: string;
  journal: string;
  n: number;
  /** The lock: the run (or maintenance operation) that may change the thread's state, or null. */
  turn: string | null;
  status: ThreadStatus;
  metadata: Record<string, unknown>;
  state: RememberedState | null;
  error: { name: string; message: string } | null;
  created_at: Date;
  updated_at: Date;
  ttl_ms: number | null;
  temporary: boolean;
  /** Of a temporary thread only. */
  attached?: string[];
  removing: boolean;
}

function toThread(doc: ThreadDocument): Thread {
  return {
    owner: doc.owner,
    threadId: doc.thread_id,
    journal: doc.journal,
    n: doc.n,
    turn: doc.turn ?? undefined,
    status: doc.status,
    metadata: doc.metadata,
    state: doc.state ?? undefined,
    error: doc.error ?? undefined,
    createdAt: doc.created_at,
    updatedAt: doc.updated_at,
    ttlMs: doc.ttl_ms ?? undefined,
    temporary: doc.temporary,
    attached: doc.attached,
    removing: doc.removing,
  };
}

/** Threads in MongoDB: the thread document is the lock. Each change is one guarded update by `_id`. */
export function createThreadStore({ threads }: Pick<Collections, "threads">): ThreadStore {
  async function update(
    name: ThreadName,
    guard: Filter<ThreadDocument>,
    change: UpdateFilter<ThreadDocument>,
  ): Promise<Thread | undefined> {
    const stamped = { ...change, $set: { ...change.$set, updated_at: new Date() } } as UpdateFilter<ThreadDocument>;
    const filter = { _id: threadKey(name), ...guard };
    const doc = await threads.findOneAndUpdate(filter, stamped, { returnDocument: "after" });
    return doc ? toThread(doc) : undefined;
  }

  return {
    async insert(thread) {
      try {
        await threads.insertOne({
          _id: threadKey(thread),
          owner: thread.owner,
          thread_id: thread.threadId,
          journal: thread.journal,
          n: thread.n,
          turn: thread.turn ?? null,
          status: thread.status,
          metadata: { ...thread.metadata },
          state: null,
          error: null,
          created_at: thread.createdAt,
          updated_at: thread.updatedAt,
          ttl_ms: thread.ttlMs ?? null,
          temporary: thread.temporary,
          ...(thread.temporary ? { attached: [...(thread.attached ?? [])] } : {}),
          removing: false,
        });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },

    async find(name) {
      const doc = await threads.findOne({ _id: threadKey(name) });
      return doc ? toThread(doc) : undefined;
    },

    /** Number for a new run; busy; with the turn if it is free. Guard: not being removed; `plain`: not temporary. */
    async enter(name, runId, { onlyFree, plain }) {
      const open: Filter<ThreadDocument> = { removing: false, ...(plain ? { temporary: { $ne: true } } : {}) };
      for (;;) {
        const withTurn = await update(
          name,
          { ...open, turn: null },
          { $set: { turn: runId, status: "busy" }, $inc: { n: 1 } },
        );
        if (withTurn) return { thread: withTurn, hasTurn: true };
        if (onlyFree) return undefined;
        const queued = await update(
          name,
          { ...open, turn: { $ne: null } },
          { $set: { status: "busy" }, $inc: { n: 1 } },
        );
        if (queued) return { thread: queued, hasTurn: false };
        // The turn was freed between the two updates, unless there is no such thread.
        const there = await threads.countDocuments({ _id: threadKey(name), ...open }, { limit: 1 });
        if (there === 0) return undefined;
      }
    },

    takeTurn: (name, holder) => update(name, { turn: null }, { $set: { turn: holder, status: "busy" } }),

    /** Guard: `from` still has the turn. */
    async passTurn(name, from, to, state) {
      const $set = { turn: to, status: "busy" as const, ...(state === undefined ? {} : { state }) };
      return (await update(name, { turn: from }, { $set })) !== undefined;
    },

    /** Guard: `from` still has the turn and no run was created since `n` was read. */
    async freeTurn(name, from, n, { status, error, state }) {
      const $set = { turn: null, status, error: error ?? null, ...(state === undefined ? {} : { state }) };
      return (await update(name, { turn: from, n }, { $set })) !== undefined;
    },

    markRemoving: (name) => update(name, {}, { $set: { removing: true } }),

    async remove(name) {
      await threads.deleteOne({ _id: threadKey(name) });
    },

    /** Index: removing_threads. */
    async removing() {
      return (await threads.find({ removing: true }).limit(100).toArray()).map(toThread);
    },

    /** Index: held_turns. */
    async heldTurns(unchangedSince) {
      const filter: Filter<ThreadDocument> = { turn: { $gt: "" }, updated_at: { $lt: unchangedSince } };
      return (await threads.find(filter).limit(1000).toArray()).map(toThread);
    },

    /** Guard: temporary, not being removed. */
    async attach(name, server) {
      const filter = { _id: threadKey(name), temporary: true, removing: false };
      return (await threads.updateOne(filter, { $addToSet: { attached: server } })).matchedCount === 1;
    },

    async detach(name, server) {
      await threads.updateOne({ _id: threadKey(name) }, { $pull: { attached: server } });
    },

    /** Guard: temporary, not being removed, the turn is free, nobody is attached. */
    abandon: (name) =>
      update(
        name,
        { temporary: true, removing: false, turn: null, attached: { $size: 0 } },
        { $set: { removing: true } },
      ),

    /** Index: temporary_threads. */
    async idleTemporary(unchangedSince) {
      const filter: Filter<ThreadDocument> = { temporary: true, updated_at: { $lt: unchangedSince }, turn: null };
      return (await threads.find(filter).sort({ updated_at: 1 }).limit(1000).toArray()).map(toThread);
    },
  };
}
