import type { Collection, Db } from "mongodb";
import type { RequestDocument } from "./request-store.ts";
import type { RunDocument } from "./run-document.ts";
import type { RunEventsDocument } from "./run-events.ts";
import type { ServerDocument, WatchDocument } from "./servers.ts";
import type { ThreadDocument } from "./thread-store.ts";

/** Every collection but the journal's own (see journal.ts), by name. */
export interface Collections {
  readonly runs: Collection<RunDocument>;
  readonly tombstones: Collection<TombstoneDocument>;
  readonly threads: Collection<ThreadDocument>;
  readonly runEvents: Collection<RunEventsDocument>;
  readonly servers: Collection<ServerDocument>;
  readonly watches: Collection<WatchDocument>;
  readonly requests: Collection<RequestDocument>;
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
    runEvents: db.collection("run_events", options),
    servers: db.collection("servers", options),
    watches: db.collection("watches", options),
    requests: db.collection("requests", options),
  };
}
