import type { ObjectId } from "mongodb";
import type { AuditEntry } from "../domain/access-ports.ts";
import type { StoredAssistant } from "../domain/assistant.ts";
import type { Given } from "../domain/run/given.ts";
import type { StoredEvent } from "../domain/run/run-events.ts";

/**
 * What a run was given, where that is too large for its record. It is named by the record's `_id` and `made`, so that no storing
 * of a record ever meets what belongs to another one. Never changed, and read only when somebody asks for it.
 */
export interface SpecDocument extends Given {
  _id: string;
  owner: string;
  thread_id: string;
}

/** Stands beside it until its record is known to have an entry: before that, a crash may leave it without a record. */
export interface SpecNote {
  _id: string;
  owner: string;
  thread_id: string;
  /** The record's `_id` and `made`. */
  run: string;
  made: string;
  at: Date;
}

/** What is remembered of a thread, where that is too large to stand beside its lane. Never changed. */
export interface StateDocument {
  /** The thread's, and the name in its remembered state. */
  _id: string;
  owner: string;
  thread_id: string;
  /** JSON text. */
  text: string;
}

/** Stands beside it as long as a crash may leave it without a thread that names it. */
export interface StateNote {
  _id: string;
  owner: string;
  thread_id: string;
  state: string;
  at: Date;
}

/** What an owner's webhooks are signed with, the newest one first. */
export interface SecretsDocument {
  _id: string;
  owner: string;
  secrets: SecretDocument[];
}

export interface SecretDocument {
  secret: string;
  created: Date;
  /** Null as long as there is none that takes its place. */
  expires: Date | null;
}

/** A configured assistant. Graphs' own are not stored. */
export interface AssistantDocument {
  _id: string;
  owner: string;
  assistant_id: string;
  graph: string;
  name: string;
  description: string;
  config: StoredAssistant["config"] | null;
  context: string | null;
  /** JSON text: as values of the database many small ones would take much more than their text. */
  metadata: string;
  version: number;
  created_at: Date;
  updated_at: Date;
}

/** What a graph or a client wants to be remembered. Without a value it is the trace of a write that came too late. */
export interface ItemDocument {
  _id: string;
  owner: string;
  namespace: string[];
  key: string;
  /** The namespace as one text, each label with a dot behind it: a range of it is a prefix. */
  path: string;
  /** A token for the namespace and each one above it, the empty one included, which an item is searched by. */
  places: string[];
  /** JSON text: names may hold anything, and numbers stay what they are. */
  value: string;
  ttl_ms: number | null;
  created_at: Date;
  updated_at: Date;
  expire_at: Date | null;
  /** Made anew by each write, which knows by it that it has landed. */
  write: string;
}

/** What is remembered of a request that came with an id, by the id. */
export interface RequestDocument {
  /** The owner, the kind of the request and the client's id. */
  _id: string;
  owner: string;
  hash: string;
  /** The ids that the request was given; kept as they are, since the thread and the run may go before. */
  thread_id: string;
  run_id: string;
  /** What was asked for has been done. */
  created: boolean;
  /** It has come more than once before it was done. */
  repeated?: true;
  /** A try of it was refused. */
  refused?: true;
  expire_at: Date;
}

/** A decided batch, which is also a request that may be repeated, by the id that its client chose. */
export interface BatchDocument {
  /** The kind and the id. */
  _id: string;
  owner: string;
  kind: "batch";
  /** Of the request's body. */
  hash: string;
  created: Date;
  /** Absent as long as the request is not carried out. */
  expire_at?: Date;
  /** Of a batch: whether all of its runs are created. */
  done: boolean;
  runs: { thread_id: string; run_id: string }[];
  /** The runs to create, as JSON text: as documents, metadata can be many times as large. Dropped when they are created. */
  records?: string;
}

/** The events of one flush, or a fence record: a chunk number that a fenced writer can no longer take. */
export interface RunEventsDocument {
  /** Run key and chunk number: two writers can never both write the next chunk. */
  _id: string;
  owner: string;
  thread_id: string;
  run_id: string;
  /** The thread's: a later thread with the same id has another one. */
  journal: string;
  chunk: number;
  /** The lease token of the writer; of a fence record, the one that it fences. */
  token: string;
  gate: boolean;
  /** Sequence numbers of the first and last event; a fence record has none. */
  first: number | null;
  last: number | null;
  events: StoredEvent[];
  /** Set when the thread is deleted. */
  expire_at?: Date;
}

/** A server that uses this database. */
export interface ServerDocument {
  /** Made anew at each start. */
  _id: string;
  /** Names the operating system's process table that `pid` is in. */
  machine: string;
  pid: number;
  /** When that process started: tells it from a later one with the same id. */
  started: string;
  /** Leaders of the process groups of its children. */
  children: number[];
  /** Runs that it could begin to execute. */
  free_slots: number;
  seen_at: Date;
  /** When it was declared dead. */
  dead_at?: Date;
}

/** What other servers have told a server to look at. Not in the server's own document: that is what keeps it alive. */
export interface NudgesDocument {
  /** The server. */
  _id: string;
  /** How many batches there have been. */
  count: number;
  /** The last of them, oldest first, each as JSON text. */
  batches: string[];
}

/** A watcher whose leaving cancels, or may cancel: so does the death of the server that holds its connection. */
export interface WatchDocument {
  _id: string;
  owner: string;
  thread_id: string;
  run_id: string;
  server: string;
  /** The run is cancelled only when nobody else watches it. */
  if_last: boolean;
  /** Absent where nobody is known. */
  actor?: string;
  /** Its caller has left; others were still there. */
  left: boolean;
}

export interface ApiKeyDocument {
  /** The key's id, which is part of the key. */
  _id: string;
  hash: string;
  owner: string;
  scopes: readonly string[];
  name: string;
  created_at: Date;
  created_by: string;
  expires_at?: Date | undefined;
  revoked_at?: Date | undefined;
}

export interface AuditDocument {
  /** Made where it is written: many servers append, and none waits for another. */
  _id: ObjectId;
  at: Date;
  owner: string;
  actor: string;
  credential: string;
  call: string;
  targets: readonly string[];
  decision: AuditEntry["decision"];
  outcome: string;
  request_id: string;
  /** Absent for one that is kept for ever. */
  expire_at?: Date | undefined;
}
