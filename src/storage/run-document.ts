import { charactersOf, givenOf, withoutGiven } from "../domain/run/given.ts";
import type { Cancellation, Run, RunName, WebhookDelivery } from "../domain/run/run.ts";
import { metadataTokens } from "../domain/search-tokens.ts";
import type { Projection } from "../domain/thread/project.ts";
import type { Thread } from "../domain/thread.ts";
import type { Phase, RunStatus } from "../domain/transitions.ts";
import { key } from "./keys.ts";

/** A run as it lies in `runs`, and for an hour after a rollback or a deletion in `tombstones`. */
export interface RunDocument {
  _id: string;
  owner: string;
  /** The thread's key: what the collection is sharded by. */
  thread_id: string;
  /** See {@link Run.made}. */
  made: string;
  /** See {@link Run.journal}. */
  journal: string | null;
  /** See {@link Run.changes}: an older projection of the run's entry never takes the place of a newer one. */
  changes: number;
  n: number;
  graph: string;
  assistant: Run["assistant"];
  spec: Run["spec"];
  /** See {@link Run.givenApart}; absent where the record has all. */
  given_apart?: number;
  status: RunStatus;
  phase: Phase;
  attempt: number;
  cancel: CancelDocument | null;
  created_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  error: { name: string; message: string } | null;
  /** The lease that its end came under. */
  end_token: string | null;
  /** An error that is too long for its entry; it counts if the end came under this token. */
  long_error?: { token: string; name: string; message: string };
  last_sequence: number | null;
  end_checkpoint_id: string | null;
  /** Set while the run is delayed. */
  due_at: Date | null;
  parent: NonNullable<Run["parent"]> | null;
  /** Absent where nobody is known to have created it. */
  actor?: string;
  request: string | null;
  /** What the run is found by: see domain/search-tokens.ts. */
  tokens: string[];
  /** Of a run that is over: when its events are removed, until they are; and when its record is. */
  events_expire_at?: Date;
  expire_at?: Date;
  /** Absent for a run that was created on a thread. */
  stateless?: { temporary: boolean; batch?: string };
  /** Absent for a run without a webhook. */
  webhook?: WebhookDocument;
}

export interface WebhookDocument {
  state: "pending" | "done" | "failed";
  tries: number;
  due_at: Date | null;
  last_try_at?: Date;
  last_error?: string;
  next_try_at?: Date;
  /** Only of a tombstone, unless the state is done. */
  kept?: { metadata: Record<string, unknown>; values?: string };
}

export interface CancelDocument {
  action: Cancellation["action"];
  reason: string;
  requested_by: Cancellation["requestedBy"];
  actor: string | null;
  cause: string | null;
  requested_at: Date;
  delivered_at: Date | null;
  settled_at: Date | null;
  outcome: Cancellation["outcome"];
}

export const runKey = (name: RunName): string => key(name.owner, name.runId);
export const threadKey = (name: { owner: string; threadId: string }): string => key(name.owner, name.threadId);

/** What was stored for this very thread, and not for another one that had its id or has it by now. */
export const ofIncarnation = (thread: Thread) => ({ thread_id: threadKey(thread), journal: thread.journal });

/** The part after the owner. */
const idOf = (documentKey: string): string => documentKey.slice(documentKey.lastIndexOf("/") + 1);

/** Runs that are not over, by what the world is told and by what is being done with them. */
export const livePhases: readonly Phase[] = ["waiting", "running", "stopping", "rolling_back"];

export function toRun(doc: RunDocument): Run {
  return {
    owner: doc.owner,
    runId: idOf(doc._id),
    threadId: idOf(doc.thread_id),
    graph: doc.graph,
    assistant: doc.assistant,
    made: doc.made,
    journal: doc.journal ?? undefined,
    changes: doc.changes,
    n: doc.n,
    spec: doc.spec,
    givenApart: doc.given_apart ?? undefined,
    status: doc.status,
    phase: doc.phase,
    attempt: doc.attempt,
    cancellation: doc.cancel ? toCancellation(doc.cancel) : undefined,
    createdAt: doc.created_at,
    startedAt: doc.started_at ?? undefined,
    endedAt: doc.ended_at ?? undefined,
    error: errorOf(doc),
    lastSequence: doc.last_sequence ?? undefined,
    endCheckpointId: doc.end_checkpoint_id ?? undefined,
    dueAt: doc.due_at ?? undefined,
    parent: doc.parent ?? undefined,
    actor: doc.actor,
    request: doc.request ?? undefined,
    stateless: doc.stateless,
    webhook: doc.webhook && toDelivery(doc.webhook),
  };
}

function errorOf({ error, long_error, end_token }: RunDocument): Run["error"] {
  if (!error || !long_error || long_error.token !== end_token) return error ?? undefined;
  const { name, message } = long_error;
  return { name, message };
}

function toCancellation(cancel: CancelDocument): Cancellation {
  return {
    action: cancel.action,
    reason: cancel.reason,
    requestedBy: cancel.requested_by,
    actor: cancel.actor ?? undefined,
    causeRunId: cancel.cause ?? undefined,
    requestedAt: cancel.requested_at,
    deliveredAt: cancel.delivered_at ?? undefined,
    settledAt: cancel.settled_at ?? undefined,
    outcome: cancel.outcome,
  };
}

const toDelivery = ({ state, tries, kept, ...doc }: WebhookDocument): WebhookDelivery => ({
  state,
  tries,
  kept,
  dueAt: doc.due_at ?? undefined,
  lastTryAt: doc.last_try_at,
  lastError: doc.last_error,
  nextTryAt: doc.next_try_at,
});

/** What a projection sets; what it does not have is not to stay as it was. */
export function projectedFields(projection: Omit<Projection, "journal"> & Pick<Run, "journal">): Partial<RunDocument> {
  const { cancellation } = projection;
  return {
    changes: projection.changes,
    journal: projection.journal ?? null,
    n: projection.n,
    status: projection.status,
    phase: projection.phase,
    attempt: projection.attempt,
    started_at: projection.startedAt ?? null,
    ended_at: projection.endedAt ?? null,
    due_at: projection.dueAt ?? null,
    error: projection.error ?? null,
    end_token: projection.endToken ?? null,
    cancel: cancellation ? toCancelDocument(cancellation) : null,
    last_sequence: projection.lastSequence ?? null,
    end_checkpoint_id: projection.endCheckpointId ?? null,
  };
}

const toCancelDocument = (cancellation: Cancellation): CancelDocument => ({
  action: cancellation.action,
  reason: cancellation.reason,
  requested_by: cancellation.requestedBy,
  actor: cancellation.actor ?? null,
  cause: cancellation.causeRunId ?? null,
  requested_at: cancellation.requestedAt,
  delivered_at: cancellation.deliveredAt ?? null,
  settled_at: cancellation.settledAt ?? null,
  outcome: cancellation.outcome,
});

/** What a run was given is kept in its record up to so many characters: a record is rewritten with each step of the run's life. */
const maxGivenInRecord = 16 * 1024;

/** How much the run was given that is not, or is not to be, in its record. */
export function givenApart(run: Pick<Run, "givenApart" | "spec" | "assistant">): number | undefined {
  if (run.givenApart !== undefined) return run.givenApart;
  const characters = charactersOf(givenOf(run));
  return characters > maxGivenInRecord ? characters : undefined;
}

/** A record as it is stored before its entry. */
export function newRunDocument(run: Run): RunDocument {
  const given_apart = givenApart(run);
  const { spec, assistant } = given_apart === undefined ? run : withoutGiven(run);
  return {
    _id: runKey(run),
    owner: run.owner,
    thread_id: threadKey(run),
    made: run.made,
    journal: null,
    changes: 0,
    n: 0,
    graph: run.graph,
    assistant,
    spec,
    given_apart,
    status: run.status,
    phase: run.phase,
    attempt: 0,
    cancel: null,
    created_at: run.createdAt,
    started_at: null,
    ended_at: null,
    error: null,
    end_token: null,
    last_sequence: null,
    end_checkpoint_id: null,
    due_at: run.dueAt ?? null,
    parent: run.parent ?? null,
    ...(run.actor !== undefined && { actor: run.actor }),
    request: run.request ?? null,
    tokens: metadataTokens(run.owner, run.spec.metadata),
    stateless: run.stateless,
    webhook: run.spec.webhook === undefined ? undefined : { state: "pending", tries: 0, due_at: null },
  };
}
