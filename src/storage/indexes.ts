import type { Db, IndexDescription } from "mongodb";
import { journalIndexes } from "./journal-documents.ts";

interface Index {
  readonly collection: string;
  readonly name: string;
  readonly key: Record<string, 1 | -1>;
  /** The query that it is there for. */
  readonly serves: string;
  readonly options?: Pick<IndexDescription, "expireAfterSeconds" | "partialFilterExpression">;
}

const tombstoneSeconds = 60 * 60;

/**
 * Every index with the query that it serves. None is unique: uniqueness is only ever asked of `_id`, since one of the
 * engines reports a false duplicate for a unique key that an update has vacated. Strings stand ascending: a range of them in a
 * descending index makes the same engine read the whole index.
 */
export const indexes: readonly Index[] = [
  {
    collection: "runs",
    name: "runs_by_time",
    key: { position: 1 },
    serves: "list over all threads",
  },
  {
    collection: "runs",
    name: "thread_runs_by_time",
    key: { thread_id: 1, position: 1 },
    serves: "list of a thread",
  },
  {
    collection: "runs",
    name: "thread_runs",
    key: { thread_id: 1, n: -1 },
    serves: "last started run of a thread",
  },
  {
    collection: "runs",
    name: "waiting_of_thread",
    key: { thread_id: 1, phase: 1, n: 1 },
    serves: "live runs and next waiting run of a thread",
  },
  {
    collection: "runs",
    name: "runs_by_status",
    key: { owner: 1, status: 1, position: 1 },
    serves: "list by status, and live runs, over all threads",
  },
  {
    collection: "runs",
    name: "waiting_runs",
    key: { status: 1, ready: 1, created_at: 1 },
    serves: "what a worker may claim, and what waits for its turn",
  },
  {
    collection: "runs",
    name: "cleanup",
    key: { cleanup: 1, created_at: 1 },
    serves: "ends that the thread does not know",
  },
  {
    collection: "runs",
    name: "leases",
    key: { "lease.server": 1 },
    serves: "renewal, and a dead server's leases",
  },
  { collection: "runs", name: "lease_ends", key: { "lease.until": 1 }, serves: "leases that are over" },
  { collection: "runs", name: "expired_run_events", key: { events_expire_at: 1 }, serves: "events to be removed" },
  { collection: "runs", name: "expired_runs", key: { expire_at: 1 }, serves: "records to be removed" },
  {
    collection: "tombstones",
    name: "tombstone_age",
    key: { buried_at: 1 },
    serves: "expiry",
    options: { expireAfterSeconds: tombstoneSeconds },
  },
  { collection: "tombstones", name: "tombstones_of_thread", key: { thread_id: 1 }, serves: "deletion of a thread" },
  { collection: "threads", name: "held_turns", key: { turn: 1, updated_at: 1 }, serves: "the sweep for lost turns" },
  { collection: "threads", name: "removing_threads", key: { removing: 1 }, serves: "deletions to be finished" },
  { collection: "threads", name: "expired_threads", key: { expire_at: 1 }, serves: "threads to be removed" },
  {
    collection: "run_events",
    name: "events_by_chunk",
    key: { thread_id: 1, run_id: 1, chunk: -1 },
    serves: "where the next chunk goes",
  },
  {
    collection: "run_events",
    name: "events_by_sequence",
    key: { thread_id: 1, run_id: 1, last: 1 },
    serves: "replay from a sequence number",
  },
  {
    collection: "run_events",
    name: "expired_events",
    key: { expire_at: 1 },
    serves: "the removal of a deleted thread's gates",
    options: { expireAfterSeconds: 0 },
  },
  { collection: "watches", name: "watches_of_server", key: { server: 1 }, serves: "a dead server's watchers" },
  ...journalIndexes,
];

/** Creates what is missing. Repeatable, also by several servers at once. */
export async function createIndexes(db: Db, all: readonly Index[] = indexes): Promise<void> {
  for (const collection of new Set(all.map((index) => index.collection))) {
    const specs = all
      .filter((index) => index.collection === collection)
      .map(({ name, key, options }): IndexDescription => ({ name, key, ...options }));
    await db.collection(collection).createIndexes(specs);
  }
}
