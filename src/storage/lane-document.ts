import type { StoredThread } from "../domain/ports.ts";
import { lean, type Mark, type ThreadControl, type Time } from "../domain/thread/entry.ts";
import type { Thread } from "../domain/thread.ts";
import type { ThreadStatus } from "../domain/transitions.ts";
import { threadKey } from "./run-document.ts";

/**
 * A thread with its lane. What is only ever read as a whole is a JSON text: many small values would cost an engine much more
 * than their text, and a name in it may be anything. Times that are asked for are dates.
 */
export interface LaneDocument extends ControlFields {
  _id: string;
  owner: string;
  thread_id: string;
  journal: string;
  opened?: Thread["opened"];
  created_at: Date;
}

/** All that a decision writes; what is absent is null, so that each decision takes the place of the whole one before. */
interface ControlFields {
  /** The guard of the next decision. */
  rev: string;
  marks: { server: string; rev: string; at: Date }[];
  /** JSON text, as are the next four. */
  lane: string;
  state: string | null;
  last: string | null;
  metadata: string;
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
  /** Of a temporary thread only. */
  watched_by: string[] | null;
  removing: boolean;
}

export const toLaneDocument = ({ origin, control }: StoredThread): LaneDocument => ({
  _id: threadKey(origin),
  owner: origin.owner,
  thread_id: origin.threadId,
  journal: origin.journal,
  opened: origin.opened,
  created_at: new Date(origin.createdAt),
  ...toControlFields(control),
});

export const toControlFields = (control: ThreadControl): ControlFields => ({
  rev: control.rev,
  marks: control.marks.map(({ server, rev, at }) => ({ server, rev, at: new Date(at) })),
  lane: JSON.stringify(control.lane),
  state: textOf(control.state),
  last: textOf(control.last),
  metadata: JSON.stringify(control.metadata),
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
  watched_by: control.watchedBy ? [...control.watchedBy] : null,
  removing: control.removing ?? false,
});

export const toStoredThread = (doc: LaneDocument): StoredThread => ({
  origin: lean({
    owner: doc.owner,
    threadId: doc.thread_id,
    journal: doc.journal,
    opened: doc.opened,
    createdAt: doc.created_at.getTime(),
  }),
  control: toControl(doc),
});

const toControl = (doc: LaneDocument): ThreadControl =>
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
