import type { Collection, Db } from "mongodb";
import type {
  ApiKeyDocument,
  AssistantDocument,
  AuditDocument,
  BatchDocument,
  ItemDocument,
  NudgesDocument,
  RequestDocument,
  RunEventsDocument,
  SecretsDocument,
  ServerDocument,
  SpecDocument,
  SpecNote,
  StateDocument,
  StateNote,
  WatchDocument,
} from "./documents.ts";
import type { RunDocument } from "./run-document.ts";
import type { RemovedThread, ThreadDocument } from "./thread-document.ts";

/** Every collection but the journal's own (see journal.ts), by name. */
export interface Collections {
  readonly runs: Collection<RunDocument>;
  readonly runSpecs: Collection<SpecDocument>;
  /** In the same collection. */
  readonly runSpecNotes: Collection<SpecNote>;
  readonly tombstones: Collection<TombstoneDocument>;
  readonly threads: Collection<ThreadDocument>;
  /** What is left of removed ones, among the others. */
  readonly removedThreads: Collection<RemovedThread>;
  readonly threadStates: Collection<StateDocument>;
  /** In the same collection. */
  readonly threadStateNotes: Collection<StateNote>;
  readonly runEvents: Collection<RunEventsDocument>;
  readonly servers: Collection<ServerDocument>;
  readonly nudges: Collection<NudgesDocument>;
  readonly requests: Collection<RequestDocument>;
  readonly watches: Collection<WatchDocument>;
  readonly assistants: Collection<AssistantDocument>;
  readonly items: Collection<ItemDocument>;
  readonly webhookSecrets: Collection<SecretsDocument>;
  /** In the same collection as the other requests that may be repeated. */
  readonly batches: Collection<BatchDocument>;
  readonly apiKeys: Collection<ApiKeyDocument>;
  readonly audit: Collection<AuditDocument>;
}

/** The last record of a run that was rolled back or deleted. */
type TombstoneDocument = RunDocument & { buried_at: Date };

export function collections(db: Db): Collections {
  // An optional field that is not set is not stored, instead of stored as null.
  const options = { ignoreUndefined: true };
  return {
    runs: db.collection("runs", options),
    runSpecs: db.collection("run_specs", options),
    runSpecNotes: db.collection("run_specs", options),
    tombstones: db.collection("tombstones", options),
    threads: db.collection("threads", options),
    removedThreads: db.collection("threads", options),
    threadStates: db.collection("thread_states", options),
    threadStateNotes: db.collection("thread_states", options),
    runEvents: db.collection("run_events", options),
    servers: db.collection("servers", options),
    // They are only hints.
    nudges: db.collection("nudges", { writeConcern: { w: 1 } }),
    requests: db.collection("requests", options),
    watches: db.collection("watches", options),
    assistants: db.collection("assistants", options),
    items: db.collection("items", options),
    webhookSecrets: db.collection("webhook_secrets", options),
    batches: db.collection("requests", options),
    apiKeys: db.collection("api_keys", options),
    audit: db.collection("audit", options),
  };
}
