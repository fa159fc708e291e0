import type { StoredThread } from "../domain/ports.ts";
import { metadataTokens, stateTokens, valueTokens } from "../domain/search-tokens.ts";
import { lean, type Mark, type ThreadControl, type Time } from "../domain/thread/entry.ts";
import { besideThread } from "../domain/thread/large-state.ts";
import { graphOfThread, type Thread } from "../domain/thread.ts";
import type { ThreadStatus } from "../domain/transitions.ts";
import { threadKey } from "./run-document.ts";

/**
 * A thread with its lane. What is only ever read as a whole is a JSON text: many small values would cost an engine much more
 * than their text, and a name in it may be anything. Times that are asked for are dates.
 */
export interface ThreadDocument extends ControlFields {
  _id: string;
  owner: string;
  thread_id: string;
  journal: string;
  opened?: Thread["opened"];
  created_at: Date;
}

/** What is left of a removed thread: it keeps an insert of the same thread that comes late from bringing it back. */
export interface RemovedThread {
  _id: string;
  removed_journal: string;
  removed_at: Date;
}

/** All that a decision writes; what is absent is null, so that each decision takes the place of the whole one before. */
interface ControlFields extends StateFields, MetadataFields {
  /** The guard of the next decision. */
  rev: string;
  marks: { server: string; rev: string; at: Date }[];
  /** JSON text, as are `last` and `error`. */
  lane: string;
  last: string | null;
  error: string | null;
  head: "ready" | "leased" | "held" | null;
  head_server: string | null;
  head_since: Date | null;
  /** The oldest debt. */
  owes_server: string | null;
  owes_since: Date | null;
  due: Date | null;
  status: ThreadStatus;
  expire_at: Date | null;
  ttl_ms: number | null;
  updated_at: Date;
  temporary: boolean;
  /** Of a temporary thread only. */
  watched_by: string[] | null;
  removing: boolean;
}

/** JSON text, with what it and its values are found by. */
interface StateFields {
  state: string | null;
  value_tokens: string[];
}

/** JSON text, with what it is found by. */
interface MetadataFields {
  metadata: string;
  metadata_tokens: string[];
}

export const toThreadDocument = ({ origin, control }: StoredThread): ThreadDocument => ({
  _id: threadKey(origin),
  owner: origin.owner,
  thread_id: origin.threadId,
  journal: origin.journal,
  opened: origin.opened,
  created_at: new Date(origin.createdAt),
  ...controlFields(control),
  ...stateFields(origin, control),
  ...metadataFields(origin, control),
});

/** What of a control must be written over the one that it was made from: state and metadata only where they have changed. */
export function changedFields(
  origin: Identity,
  control: ThreadControl,
  before: ThreadControl | undefined,
): Pick<ThreadDocument, "rev"> & Partial<ThreadDocument> {
  const isSameMetadata = before?.metadata === control.metadata;
  // Without a state a thread is found by the graph that its metadata names.
  const isSameState = before?.state === control.state && (control.state !== undefined || isSameMetadata);
  return {
    ...controlFields(control),
    ...(isSameState ? {} : stateFields(origin, control)),
    ...(isSameMetadata ? {} : metadataFields(origin, control)),
  };
}

/** What the hashes of the tokens that lists search by begin with. */
type Identity = Pick<StoredThread["origin"], "owner">;

function stateFields({ owner }: Identity, { state, metadata }: ThreadControl): StateFields {
  const graph = graphOfThread({ state, metadata });
  const tokens = [...stateTokens(owner, { ...state, graph }), ...valueTokens(owner, state?.values)];
  return { state: textOf(state && besideThread(state)), value_tokens: tokens };
}

const metadataFields = ({ owner }: Identity, { metadata }: ThreadControl): MetadataFields => ({
  metadata: JSON.stringify(metadata),
  metadata_tokens: metadataTokens(owner, metadata),
});

const controlFields = (control: ThreadControl): Omit<ControlFields, keyof StateFields | keyof MetadataFields> => ({
  rev: control.rev,
  marks: control.marks.map(({ server, rev, at }) => ({ server, rev, at: new Date(at) })),
  lane: JSON.stringify(control.lane),
  last: textOf(control.last),
  error: textOf(control.error),
  head: control.head,
  head_server: control.headServer ?? null,
  head_since: dateOf(control.headSince),
  owes_server: control.owes?.server ?? null,
  owes_since: dateOf(control.owes?.since),
  due: dateOf(control.due),
  status: control.status,
  expire_at: dateOf(control.expireAt),
  ttl_ms: control.ttlMs ?? null,
  updated_at: new Date(control.updatedAt),
  temporary: control.watchedBy !== undefined,
  watched_by: control.watchedBy ? [...control.watchedBy] : null,
  removing: control.removing ?? false,
});

export const toStoredThread = (doc: ThreadDocument): StoredThread => ({
  origin: lean({
    owner: doc.owner,
    threadId: doc.thread_id,
    journal: doc.journal,
    opened: doc.opened,
    createdAt: doc.created_at.getTime(),
  }),
  control: toControl(doc),
});

const toControl = (doc: ThreadDocument): ThreadControl =>
  lean({
    threadId: doc.thread_id,
    rev: doc.rev,
    marks: doc.marks.map(({ server, rev, at }): Mark => ({ server, rev, at: at.getTime() })),
    lane: JSON.parse(doc.lane),
    state: parsed(doc.state),
    last: parsed(doc.last),
    metadata: JSON.parse(doc.metadata),
    error: parsed(doc.error),
    head: doc.head,
    headServer: doc.head_server ?? undefined,
    headSince: timeOf(doc.head_since),
    owes: doc.owes_server === null ? undefined : { server: doc.owes_server, since: timeOf(doc.owes_since)! },
    due: timeOf(doc.due),
    status: doc.status,
    expireAt: timeOf(doc.expire_at),
    ttlMs: doc.ttl_ms ?? undefined,
    updatedAt: doc.updated_at.getTime(),
    watchedBy: doc.watched_by ?? undefined,
    removing: doc.removing || undefined,
  });

const textOf = (value: object | undefined): string | null => (value === undefined ? null : JSON.stringify(value));
const parsed = (text: string | null) => (text === null ? undefined : JSON.parse(text));
const dateOf = (time: Time | undefined): Date | null => (time === undefined ? null : new Date(time));
const timeOf = (date: Date | null): Time | undefined => date?.getTime();
