import type { Db, IndexDescription } from "mongodb";
import { type IndexDefinition, indexesOf } from "./index-definition.ts";
import { journalIndexes } from "./journal-documents.ts";
import { laneIndexes } from "./lanes.ts";

const tombstoneSeconds = 60 * 60;
const runs = indexesOf("runs");
const runSpecs = indexesOf("run_specs");
const tombstones = indexesOf("tombstones");
const threads = indexesOf("threads");
const threadStates = indexesOf("thread_states");
const requests = indexesOf("requests");
const runEvents = indexesOf("run_events");
const watches = indexesOf("watches");
const assistants = indexesOf("assistants");
const items = indexesOf("items");
const apiKeys = indexesOf("api_keys");
const audit = indexesOf("audit");

const webhookKey = { "webhook.state": 1, "webhook.due_at": 1 } as const;
const pendingWebhooks = { partialFilterExpression: { "webhook.state": "pending" } };

/** As long as a request or a batch may be repeated. */
const removedSeconds = 24 * 60 * 60;

/**
 * Every index with the query that it serves. None is unique: uniqueness is only ever asked of `_id`, since one of the
 * engines reports a false duplicate for a unique key that an update has vacated. Strings stand ascending: a range of them in a
 * descending index makes the same engine read the whole index.
 */
const indexes: readonly IndexDefinition[] = [
  runs("runs_by_time", { owner: 1, created_at: 1, _id: 1 }, "list over all threads"),
  runs("thread_runs_by_time", { thread_id: 1, created_at: 1, _id: 1 }, "list of a thread"),
  runs("runs_by_metadata", { tokens: 1, created_at: 1, _id: 1 }, "list by metadata"),
  runs("thread_runs", { thread_id: 1, n: -1 }, "last started run of a thread"),
  runs(
    "runs_to_enter",
    { changes: 1, created_at: 1, _id: 1 },
    "records of which nobody knows whether they have an entry",
  ),
  runs("live_runs", { status: 1, created_at: 1, _id: 1 }, "how many runs are live, and the oldest of them"),
  runs("live_of_thread", { thread_id: 1, phase: 1 }, "live runs of a thread"),
  runs("runs_of_parent", { "parent.runId": 1 }, "the runs that nodes of a run have created", {
    partialFilterExpression: { "parent.runId": { $exists: true } },
  }),
  runs(
    "runs_by_status",
    { owner: 1, status: 1, created_at: 1, _id: 1 },
    "list by status, and live runs, over all threads",
  ),
  runs("run_events_by_expiry", { events_expire_at: 1, _id: 1 }, "events to be removed"),
  runs("runs_by_expiry", { expire_at: 1, _id: 1 }, "records to be removed"),
  runSpecs("notes_of_run_specs", { at: 1, _id: 1 }, "what runs were given that no record may name"),
  tombstones("tombstone_age", { buried_at: 1 }, "expiry", { expireAfterSeconds: tombstoneSeconds }),
  tombstones("tombstones_of_thread", { thread_id: 1 }, "deletion of a thread"),
  threads("threads_by_metadata", { metadata_tokens: 1, created_at: 1, _id: 1 }, "search by metadata"),
  threads("threads_by_values", { value_tokens: 1, created_at: 1, _id: 1 }, "search by values"),
  threads(
    "threads_by_time",
    { owner: 1, removing: 1, created_at: 1, _id: 1 },
    "search in order of creation, and the number of all threads",
  ),
  threads("threads_by_change", { owner: 1, removing: 1, updated_at: 1, _id: 1 }, "search in order of change"),
  threads(
    "threads_by_status",
    { owner: 1, removing: 1, status: 1, created_at: 1, _id: 1 },
    "search by status in order of creation, and the number of threads by status",
  ),
  threads(
    "threads_by_status_and_change",
    { owner: 1, removing: 1, status: 1, updated_at: 1, _id: 1 },
    "search by status in order of change",
  ),
  threads("threads_by_id", { owner: 1, removing: 1, _id: 1 }, "search in order of ids"),
  threads(
    "threads_by_status_and_id",
    { owner: 1, removing: 1, status: 1, _id: 1 },
    "search in order of status, search by status in order of ids",
  ),
  threadStates("notes_of_thread_states", { at: 1, _id: 1 }, "what was remembered of threads that none may name"),
  requests("expired_requests", { expire_at: 1 }, "expiry", { expireAfterSeconds: 0 }),
  ...[runs, tombstones].flatMap((index) => [
    index(
      "untried_webhooks",
      { ...webhookKey, ended_at: 1, _id: 1 },
      "webhooks that nobody has called",
      pendingWebhooks,
    ),
    index("due_webhooks", { ...webhookKey, _id: 1 }, "webhooks to be called again", pendingWebhooks),
  ]),
  runEvents("events_by_chunk", { thread_id: 1, run_id: 1, chunk: -1 }, "where the next chunk goes"),
  runEvents("events_by_sequence", { thread_id: 1, run_id: 1, last: 1 }, "replay from a sequence number"),
  runEvents("expired_events", { expire_at: 1 }, "the removal of a deleted thread's fence records", {
    expireAfterSeconds: 0,
  }),
  watches("watches_of_server", { server: 1 }, "a dead server's watchers"),
  watches("watches_of_run", { run_id: 1 }, "whether a run is still watched"),
  watches("barred_watches", { expire_at: 1 }, "expiry", { expireAfterSeconds: 0 }),
  assistants("assistants_by_time", { owner: 1, created_at: -1, _id: -1 }, "search for assistants"),
  assistants("assistants_of_graph", { owner: 1, graph: 1, created_at: -1, _id: -1 }, "search for a graph's assistants"),
  requests("batches_to_finish", { done: 1, created: 1, _id: 1 }, "batches that a crash left undone", {
    partialFilterExpression: { done: false },
  }),
  items("items_by_place", { places: 1, updated_at: -1, _id: 1 }, "search in a namespace and those below it"),
  items("item_namespaces", { owner: 1, path: 1, expire_at: 1 }, "the list of namespaces"),
  items("expired_items", { expire_at: 1 }, "expiry", { expireAfterSeconds: 0 }),
  apiKeys("keys_by_time", { created_at: -1, _id: -1 }, "the list of all API keys"),
  apiKeys("keys_of_owner", { owner: 1, created_at: -1, _id: -1 }, "the list of API keys"),
  audit("audit_by_time", { at: 1, _id: 1 }, "the audit of a time"),
  audit("audit_of_owner", { owner: 1, at: 1, _id: 1 }, "the same, of one owner"),
  audit("expired_audit", { expire_at: 1 }, "expiry", { expireAfterSeconds: 0 }),
  threads("removed_threads", { removed_at: 1 }, "expiry of what is left of removed threads", {
    expireAfterSeconds: removedSeconds,
  }),
  ...laneIndexes,
  ...journalIndexes,
];

/** Creates what is missing. Repeatable, also by several servers at once. */
export async function createIndexes(db: Db, all: readonly IndexDefinition[] = indexes): Promise<void> {
  for (const collection of new Set(all.map((index) => index.collection))) {
    const specs = all
      .filter((index) => index.collection === collection)
      .map(({ name, key, options }): IndexDescription => ({ name, key, ...options }));
    await db.collection(collection).createIndexes(specs);
  }
}
