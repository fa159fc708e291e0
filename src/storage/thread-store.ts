import type { Filter, UpdateFilter } from "mongodb";
import { boundedError, boundedState } from "../domain/bounded.ts";
import type { ThreadStore } from "../domain/ports.ts";
import { metadataTokens, stateTokens, valueTokens } from "../domain/search-tokens.ts";
import { graphOfThread, type RememberedState, type Thread, type ThreadName } from "../domain/thread.ts";
import type { ThreadStatus } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import type { ThreadDocument } from "./documents.ts";
import { earliest, isDuplicateKey } from "./keys.ts";
import { threadKey } from "./run-document.ts";
import { createThreadSearch } from "./thread-search.ts";

/** When a thread goes that is changed now and has no live run. Every update that frees or changes such a thread sets it. */
export const threadExpiry = (ttlMs: number | null | undefined, now: Date): Date | null =>
  ttlMs == null ? null : new Date(now.getTime() + ttlMs);

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
    opened: doc.opened,
    error: doc.error ?? undefined,
    createdAt: doc.created_at,
    updatedAt: doc.updated_at,
    ttlMs: doc.ttl_ms ?? undefined,
    temporary: doc.temporary,
    attached: doc.attached,
    removing: doc.removing,
  };
}

/** A new run may come. A temporary thread is for one run only, which is no `plain` one. */
const openTo = (plain = false): Filter<ThreadDocument> => ({
  removing: false,
  ...(plain ? { temporary: { $ne: true } } : {}),
});

type Described = Pick<Thread, "owner" | "metadata">;

/** The metadata with what it is found by. */
const ofMetadata = (owner: string, metadata: Thread["metadata"]) => ({
  metadata: { ...metadata },
  metadata_tokens: metadataTokens(owner, metadata),
});

/** The state with what it and its values are found by; nothing of both when it has not changed. */
function ofState(thread: Described, state: RememberedState | null): Pick<ThreadDocument, "state" | "value_tokens">;
function ofState(
  thread: Described,
  state: RememberedState | null | undefined,
): Partial<Pick<ThreadDocument, "state" | "value_tokens">>;
function ofState({ owner, metadata }: Described, whole: RememberedState | null | undefined) {
  if (whole === undefined) return {};
  const state = whole && boundedState(whole);
  const graph = graphOfThread({ state: state ?? undefined, metadata });
  return { state, value_tokens: [...stateTokens(owner, { ...state, graph }), ...valueTokens(owner, state?.values)] };
}

/** Threads in MongoDB: the thread document is the lock. Each change is one guarded update by `_id`. */
export function createThreadStore(
  { threads }: Pick<Collections, "threads">,
  now: () => Date = () => new Date(),
  listed: Pick<Collections, "threads"> = { threads },
): ThreadStore {
  const byName = (name: ThreadName, guard: Filter<ThreadDocument>) => ({ _id: threadKey(name), ...guard });

  /** The change with what every change sets. */
  const stamped = (change: UpdateFilter<ThreadDocument>): UpdateFilter<ThreadDocument> => ({
    ...change,
    $set: { ...change.$set, updated_at: now() },
  });

  async function update(
    name: ThreadName,
    guard: Filter<ThreadDocument>,
    change: UpdateFilter<ThreadDocument>,
  ): Promise<Thread | undefined> {
    const returnDocument = "after";
    const doc = await threads.findOneAndUpdate(byName(name, guard), stamped(change), { returnDocument });
    return doc ? toThread(doc) : undefined;
  }

  /** The same where only the guard's answer matters. */
  async function updates(
    name: ThreadName,
    guard: Filter<ThreadDocument>,
    change: UpdateFilter<ThreadDocument>,
  ): Promise<boolean> {
    return (await threads.updateOne(byName(name, guard), stamped(change))).matchedCount === 1;
  }

  /** A thread with a delayed run is busy without a turn, and does not expire. */
  const restExpiry = (status: ThreadStatus, ttlMs: number | undefined) =>
    status === "busy" ? null : threadExpiry(ttlMs, now());

  /** A change starts the time to live anew, on a thread that is at rest. */
  const ofTtl = ({ turn, status, ttl_ms }: ThreadDocument, ttlMs: number | null | undefined) => {
    const ttl = ttlMs === undefined ? ttl_ms : ttlMs;
    return { ttl_ms: ttl, expire_at: turn === null ? restExpiry(status, ttl ?? undefined) : null };
  };

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
          ...ofMetadata(thread.owner, thread.metadata),
          ...ofState(thread, thread.state ?? null),
          ...(thread.opened && { opened: thread.opened }),
          error: null,
          created_at: thread.createdAt,
          updated_at: thread.updatedAt,
          ttl_ms: thread.ttlMs ?? null,
          metadata_revision: 0,
          temporary: thread.temporary,
          ...(thread.temporary ? { attached: [...(thread.attached ?? [])] } : {}),
          removing: false,
          expire_at: threadExpiry(thread.ttlMs, now()),
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

    /**
     * Number for a new run; busy; with the turn if it is free. Guard: not being removed; `onlyFree`: not busy either, since a
     * delayed run is live without the turn; `plain`: not temporary. A run whose creation was cut short finds that it has the
     * turn already.
     */
    async enter(name, runId, { onlyFree, plain }) {
      const open = openTo(plain);
      for (;;) {
        const free: Filter<ThreadDocument> = onlyFree ? { turn: null, status: { $ne: "busy" } } : { turn: null };
        const withTurn = await update(
          name,
          { ...open, ...free },
          { $set: { turn: runId, status: "busy", expire_at: null }, $inc: { n: 1 } },
        );
        if (withTurn) return { thread: withTurn, hasTurn: true };
        if (onlyFree) {
          const own = await update(name, { ...open, turn: runId }, { $inc: { n: 1 } });
          return own && { thread: own, hasTurn: true };
        }
        const queued = await update(
          name,
          { ...open, turn: { $ne: null } },
          { $set: { status: "busy", expire_at: null }, $inc: { n: 1 } },
        );
        if (queued) return { thread: queued, hasTurn: queued.turn === runId };
        // The turn was freed between the two updates, unless there is no such thread.
        const there = await threads.countDocuments({ _id: threadKey(name), ...open }, { limit: 1 });
        if (there === 0) return undefined;
      }
    },

    ...createThreadSearch(listed.threads, toThread),

    /** Guard: metadata, turn, status and the lack of a state as they were read, and not being removed. */
    async change(name, change, ttlMs) {
      for (;;) {
        const there = await threads.findOne({ _id: threadKey(name), removing: false });
        if (!there) return undefined;
        const metadata_revision = there.metadata_revision + 1;
        const thread = toThread(there);
        const metadata = change(there.metadata);
        const unchanged: Filter<ThreadDocument> = { metadata_revision: there.metadata_revision, removing: false };
        // Without a state it is found by the graph that its metadata names.
        const withoutState = thread.state ? {} : ofState({ ...thread, metadata }, null);
        const changed = await update(
          name,
          { ...unchanged, turn: there.turn, status: there.status, ...(!thread.state && { state: null }) },
          { $set: { metadata_revision, ...ofMetadata(name.owner, metadata), ...withoutState, ...ofTtl(there, ttlMs) } },
        );
        if (changed) return changed;
      }
    },

    /** Guard: the holder has the turn, and the thread is not being removed. */
    keepTurn: (name, holder) => updates(name, { turn: holder, removing: false }, {}),

    /** Number for a delayed run; busy. Guard: not being removed; `onlyFree`: no live run. */
    enterDelayed(name, { onlyFree, plain }) {
      const free: Filter<ThreadDocument> = onlyFree ? { turn: null, status: { $ne: "busy" } } : {};
      const change = { $set: { status: "busy" as const, expire_at: null }, $inc: { n: 1 } };
      return update(name, { ...openTo(plain), ...free }, change);
    },

    takeTurn: (name, holder) =>
      update(name, { turn: null }, { $set: { turn: holder, status: "busy", expire_at: null } }),

    /** Guard: `from` still has the turn. */
    passTurn(thread, from, to, state) {
      const $set = { turn: to, status: "busy" as const, expire_at: null, ...ofState(thread, state) };
      return updates(thread, { turn: from }, { $set });
    },

    /** Guard: `from` still has the turn, no run was created since `n` was read, and the time to live is the same. */
    freeTurn(thread, from, n, { status, error, state, ttlMs }) {
      const expire_at = restExpiry(status, ttlMs);
      const $set = {
        turn: null,
        status,
        error: error ? boundedError(error) : null,
        expire_at,
        ...ofState(thread, state),
      };
      return updates(thread, { turn: from, n, ttl_ms: ttlMs ?? null }, { $set });
    },

    /** Guard: the turn is free, and nothing has changed since the thread was read. */
    rest(thread, { status, error }) {
      const unchanged: Filter<ThreadDocument> = { turn: null, n: thread.n, updated_at: thread.updatedAt };
      const $set = { status, error: error ? boundedError(error) : null, expire_at: restExpiry(status, thread.ttlMs) };
      return updates(thread, unchanged, { $set });
    },

    /** Index: busy_threads. */
    async busyWithoutTurn(unchangedSince, after, limit) {
      const later: Filter<ThreadDocument> = after ? { _id: { $gt: threadKey(after) } } : {};
      const filter: Filter<ThreadDocument> = {
        status: "busy",
        ...later,
        turn: null,
        updated_at: { $lt: unchangedSince },
      };
      return (await threads.find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(toThread);
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

    /** Index: expired_threads. */
    async expired(before, limit) {
      const filter: Filter<ThreadDocument> = { expire_at: { $gte: earliest, $lte: before } };
      return (await threads.find(filter).limit(limit).toArray()).map(toThread);
    },

    /** Guard: nobody has the turn, and it is still due. Every new run gets the turn or finds it removing, never both. */
    markExpired: (name, before) =>
      update(
        name,
        { turn: null, removing: false, expire_at: { $gte: earliest, $lte: before } },
        { $set: { removing: true, expire_at: null } },
      ),
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
