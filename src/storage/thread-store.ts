import type { Filter, UpdateFilter } from "mongodb";
import { metadataTokens, valueTokens } from "../domain/search-tokens.ts";
import type { ThreadName, ThreadStore } from "../domain/stores.ts";
import type { RememberedState, Thread } from "../domain/thread.ts";
import type { ThreadStatus } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { isDuplicateKey } from "./keys.ts";
import { threadKey } from "./run-document.ts";
import { createThreadSearch } from "./thread-search.ts";

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
  /** Counts the changes of the metadata. */
  metadata_revision: number;
  /** What the thread is found by: see domain/search-tokens.ts. Two arrays, so that each is written with what it is of. */
  metadata_tokens: string[];
  value_tokens: string[];
  temporary: boolean;
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
    removing: doc.removing,
  };
}

/** The metadata with what it is found by. */
const ofMetadata = ({ owner }: ThreadName, metadata: Thread["metadata"]) => ({
  metadata: { ...metadata },
  metadata_tokens: metadataTokens(owner, metadata),
});

/** The state with what its values are found by; nothing of both when it has not changed. */
function ofState({ owner }: ThreadName, state: RememberedState | null): Pick<ThreadDocument, "state" | "value_tokens">;
function ofState(
  { owner }: ThreadName,
  state: RememberedState | null | undefined,
): Partial<Pick<ThreadDocument, "state" | "value_tokens">>;
function ofState({ owner }: ThreadName, state: RememberedState | null | undefined) {
  return state === undefined ? {} : { state, value_tokens: valueTokens(owner, state?.values) };
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
          n: 0,
          turn: null,
          status: thread.status,
          ...ofMetadata(thread, thread.metadata),
          ...ofState(thread, thread.state ?? null),
          error: null,
          created_at: thread.createdAt,
          updated_at: thread.updatedAt,
          ttl_ms: thread.ttlMs ?? null,
          metadata_revision: 0,
          temporary: thread.temporary,
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

    /** Number for a new run; busy; with the turn if it is free. Guard: not being removed. */
    async enter(name, runId, { onlyFree }) {
      for (;;) {
        const withTurn = await update(
          name,
          { removing: false, turn: null },
          { $set: { turn: runId, status: "busy" }, $inc: { n: 1 } },
        );
        if (withTurn) return { thread: withTurn, hasTurn: true };
        if (onlyFree) return undefined;
        const queued = await update(
          name,
          { removing: false, turn: { $ne: null } },
          { $set: { status: "busy" }, $inc: { n: 1 } },
        );
        if (queued) return { thread: queued, hasTurn: false };
        // The turn was freed between the two updates, unless there is no such thread.
        const there = await threads.countDocuments({ _id: threadKey(name), removing: false }, { limit: 1 });
        if (there === 0) return undefined;
      }
    },

    ...createThreadSearch(threads, toThread),

    /** Guard: the metadata as it was read, and not being removed. */
    async change(name, change, ttlMs) {
      for (;;) {
        const there = await threads.findOne({ _id: threadKey(name), removing: false });
        if (!there) return undefined;
        const metadata_revision = there.metadata_revision + 1;
        const $set = { metadata_revision, ...ofMetadata(name, change(there.metadata)) };
        const changed = await update(
          name,
          { metadata_revision: there.metadata_revision, removing: false },
          { $set: { ...$set, ...(ttlMs === undefined ? {} : { ttl_ms: ttlMs }) } },
        );
        if (changed) return changed;
      }
    },

    /** Guard: the holder has the turn, and the thread is not being removed. */
    keepTurn: async (name, holder) => (await update(name, { turn: holder, removing: false }, {})) !== undefined,

    takeTurn: (name, holder) => update(name, { turn: null }, { $set: { turn: holder, status: "busy" } }),

    /** Guard: `from` still has the turn. */
    async passTurn(name, from, to, state) {
      const $set = { turn: to, status: "busy" as const, ...ofState(name, state) };
      return (await update(name, { turn: from }, { $set })) !== undefined;
    },

    /** Guard: `from` still has the turn and no run was created since `n` was read. */
    async freeTurn(name, from, n, { status, error, state }) {
      const $set = { turn: null, status, error: error ?? null, ...ofState(name, state) };
      return (await update(name, { turn: from, n }, { $set })) !== undefined;
    },

    markRemoving: (name, { onlyFree } = { onlyFree: false }) =>
      update(name, onlyFree ? { turn: null } : {}, { $set: { removing: true } }),

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
  };
}
