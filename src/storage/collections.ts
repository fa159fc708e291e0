import type { Collection, Db } from "mongodb";
import type {
  AssistantDocument,
  BatchDocument,
  ItemDocument,
  RequestDocument,
  RunEventsDocument,
  ServerDocument,
  ThreadDocument,
  WatchDocument,
} from "./documents.ts";
import type { LaneDocument } from "./lane-document.ts";
import type { RunDocument } from "./run-document.ts";

/** Every collection but the journal's own (see journal.ts), by name. */
export interface Collections {
  readonly runs: Collection<RunDocument>;
  readonly tombstones: Collection<TombstoneDocument>;
  readonly threads: Collection<ThreadDocument>;
  /** Threads as their lanes decide about them; nothing in production does yet. */
  readonly lanes: Collection<LaneDocument>;
  readonly runEvents: Collection<RunEventsDocument>;
  readonly servers: Collection<ServerDocument>;
  readonly requests: Collection<RequestDocument>;
  readonly watches: Collection<WatchDocument>;
  readonly assistants: Collection<AssistantDocument>;
  readonly items: Collection<ItemDocument>;
  /** In the same collection as the other requests that may be repeated. */
  readonly batches: Collection<BatchDocument>;
}

/** The last record of a run that was rolled back or deleted. */
export type TombstoneDocument = RunDocument & { buried_at: Date };

export function collections(db: Db): Collections {
  // An optional field that is not set is not stored, instead of stored as null.
  const options = { ignoreUndefined: true };
  return {
    runs: db.collection("runs", options),
    tombstones: db.collection("tombstones", options),
    threads: db.collection("threads", options),
    lanes: db.collection("lanes", options),
    runEvents: db.collection("run_events", options),
    servers: db.collection("servers", options),
    requests: db.collection("requests", options),
    watches: db.collection("watches", options),
    assistants: db.collection("assistants", options),
    items: db.collection("items", options),
    batches: db.collection("requests", options),
  };
}
