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
    key: { owner: 1, created_at: 1, _id: 1 },
    serves: "list over all threads",
  },
  {
    collection: "runs",
    name: "thread_runs_by_time",
    key: { thread_id: 1, created_at: 1, _id: 1 },
    serves: "list of a thread",
  },
  {
    collection: "runs",
    name: "runs_by_metadata",
    key: { tokens: 1, created_at: 1, _id: 1 },
    serves: "list by metadata",
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
    key: { thread_id: 1, phase: 1, due_at: 1, n: 1 },
    serves: "live runs of a thread, its next waiting and its delayed ones",
  },
  { collection: "runs", name: "due_runs", key: { due_at: 1 }, serves: "delayed runs whose delay has ended" },
  {
    collection: "runs",
    name: "runs_of_parent",
    key: { "parent.runId": 1 },
    serves: "the runs that nodes of a run have created",
    options: { partialFilterExpression: { "parent.runId": { $exists: true } } },
  },
  {
    collection: "runs",
    name: "runs_by_status",
    key: { owner: 1, status: 1, created_at: 1, _id: 1 },
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
    name: "clearing_runs",
    key: { clearing: 1, created_at: 1 },
    serves: "runs that a crash has left before those before them were cancelled",
    options: { partialFilterExpression: { clearing: true } },
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
  {
    collection: "threads",
    name: "threads_by_metadata",
    key: { metadata_tokens: 1, created_at: 1, _id: 1 },
    serves: "search by metadata",
  },
  {
    collection: "threads",
    name: "threads_by_values",
    key: { value_tokens: 1, created_at: 1, _id: 1 },
    serves: "search by values",
  },
  {
    collection: "threads",
    name: "threads_by_time",
    key: { owner: 1, removing: 1, created_at: 1, _id: 1 },
    serves: "search in order of creation, and the number of all threads",
  },
  {
    collection: "threads",
    name: "threads_by_change",
    key: { owner: 1, removing: 1, updated_at: 1, _id: 1 },
    serves: "search in order of change",
  },
  {
    collection: "threads",
    name: "threads_by_status",
    key: { owner: 1, removing: 1, status: 1, created_at: 1, _id: 1 },
    serves: "search by status in order of creation, and the number of threads by status",
  },
  {
    collection: "threads",
    name: "threads_by_status_and_change",
    key: { owner: 1, removing: 1, status: 1, updated_at: 1, _id: 1 },
    serves: "search by status in order of change",
  },
  {
    collection: "threads",
    name: "threads_by_id",
    key: { owner: 1, removing: 1, _id: 1 },
    serves: "search in order of ids",
  },
  {
    collection: "threads",
    name: "threads_by_status_and_id",
    key: { owner: 1, removing: 1, status: 1, _id: 1 },
    serves: "search in order of status, search by status in order of ids",
  },
  { collection: "threads", name: "held_turns", key: { turn: 1, updated_at: 1 }, serves: "the sweep for lost turns" },
  {
    collection: "threads",
    name: "busy_threads",
    key: { status: 1, _id: 1 },
    serves: "the sweep for threads that are busy with nothing",
  },
  {
    collection: "requests",
    name: "expired_requests",
    key: { expire_at: 1 },
    serves: "expiry",
    options: { expireAfterSeconds: 0 },
  },
  { collection: "threads", name: "removing_threads", key: { removing: 1 }, serves: "deletions to be finished" },
  { collection: "threads", name: "expired_threads", key: { expire_at: 1 }, serves: "threads to be removed" },
  {
    collection: "threads",
    name: "temporary_threads",
    key: { temporary: 1, updated_at: 1 },
    serves: "temporary threads that a crash left",
    options: { partialFilterExpression: { temporary: true } },
  },
  {
    collection: "runs",
    name: "webhooks_of_runs",
    key: { "webhook.state": 1, phase: 1, ended_at: 1 },
    serves: "webhooks to be called",
    options: { partialFilterExpression: { "webhook.state": "pending" } },
  },
  {
    collection: "tombstones",
    name: "webhooks_of_tombstones",
    key: { "webhook.state": 1, buried_at: 1 },
    serves: "webhooks to be called of runs that are gone",
    options: { partialFilterExpression: { "webhook.state": "pending" } },
  },
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
  { collection: "watches", name: "watches_of_run", key: { run_id: 1 }, serves: "whether a run is still watched" },
  {
    collection: "assistants",
    name: "assistants_by_time",
    key: { owner: 1, created_at: -1, _id: -1 },
    serves: "search for assistants",
  },
  {
    collection: "assistants",
    name: "assistants_of_graph",
    key: { owner: 1, graph: 1, created_at: -1, _id: -1 },
    serves: "search for a graph's assistants",
  },
  {
    collection: "requests",
    name: "undone_batches",
    key: { done: 1, created: 1 },
    serves: "batches that a crash left undone",
    options: { partialFilterExpression: { done: false } },
  },
  {
    collection: "items",
    name: "items_by_place",
    key: { places: 1, updated_at: -1, _id: 1 },
    serves: "search in a namespace and those below it",
  },
  {
    collection: "items",
    name: "item_namespaces",
    key: { owner: 1, path: 1, expire_at: 1 },
    serves: "the list of namespaces",
  },
  {
    collection: "items",
    name: "expired_items",
    key: { expire_at: 1 },
    serves: "expiry",
    options: { expireAfterSeconds: 0 },
  },
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
