import type { Db, IndexDescription } from "mongodb";
import { journalIndexes } from "./journal-documents.ts";
import { laneIndexes } from "./lanes.ts";

interface Index {
  readonly collection: string;
  readonly name: string;
  readonly key: Record<string, 1 | -1>;
  /** The query that it is there for. */
  readonly serves: string;
  readonly options?: Pick<IndexDescription, "expireAfterSeconds" | "partialFilterExpression">;
}

const tombstoneSeconds = 60 * 60;
/** As long as a request or a batch may be repeated. */
const removedSeconds = 24 * 60 * 60;

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
    name: "runs_to_enter",
    key: { changes: 1, created_at: 1, _id: 1 },
    serves: "records of which nobody knows whether they have an entry",
  },
  { collection: "runs", name: "runs_by_state", key: { status: 1 }, serves: "how many runs are live" },
  {
    collection: "runs",
    name: "live_of_thread",
    key: { thread_id: 1, phase: 1 },
    serves: "live runs of a thread",
  },
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
  { collection: "runs", name: "expired_run_events", key: { events_expire_at: 1 }, serves: "events to be removed" },
  { collection: "runs", name: "expired_runs", key: { expire_at: 1 }, serves: "records to be removed" },
  {
    collection: "run_specs",
    name: "notes_of_run_specs",
    key: { at: 1, _id: 1 },
    serves: "what runs were given that no record may name",
  },
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
  {
    collection: "requests",
    name: "expired_requests",
    key: { expire_at: 1 },
    serves: "expiry",
    options: { expireAfterSeconds: 0 },
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
    serves: "the removal of a deleted thread's fence records",
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
  {
    collection: "threads",
    name: "removed_threads",
    key: { removed_at: 1 },
    serves: "expiry of what is left of removed threads",
    options: { expireAfterSeconds: removedSeconds },
  },
  ...laneIndexes,
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
