import type { Cancellation, Lease, Run, RunName, WebhookDelivery } from "../domain/run.ts";
import { metadataTokens } from "../domain/search-tokens.ts";
import type { Phase, RunStatus } from "../domain/transitions.ts";
import { key } from "./keys.ts";

/** A run as it lies in `runs`, and for an hour after a rollback or a deletion in `tombstones`. */
export interface RunDocument {
  _id: string;
  owner: string;
  /** The thread's key: what the collection is sharded by. */
  thread_id: string;
  n: number;
  graph: string;
  assistant: Run["assistant"];
  spec: Run["spec"];
  status: RunStatus;
  phase: Phase;
  attempt: number;
  lost_attempts: number;
  suspect: boolean;
  /** Set while the run has its thread's turn and waits for a worker. */
  ready: boolean;
  lease: { token: string; server: string; until: Date; unfenced: string[] } | null;
  cancel: CancelDocument | null;
  created_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  error: { name: string; message: string } | null;
  last_sequence: number | null;
  end_checkpoint_id: string | null;
  /** Set while the run is delayed. */
  due_at: Date | null;
  parent: NonNullable<Run["parent"]> | null;
  request: string | null;
  /** Set until the live runs before it are cancelled. */
  clearing: boolean;
  cleanup: "pending" | null;
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
  /** Only of a tombstone, while the state is pending. */
  kept?: { metadata: Record<string, unknown>; values?: string };
}

export interface CancelDocument {
  revision: number;
  action: Cancellation["action"];
  reason: string;
  requested_by: Cancellation["requestedBy"];
  cause: string | null;
  requested_at: Date;
  delivered_at: Date | null;
  settled_at: Date | null;
  outcome: Cancellation["outcome"];
}

export const runKey = (name: RunName): string => key(name.owner, name.runId);
export const threadKey = (name: { owner: string; threadId: string }): string => key(name.owner, name.threadId);

/** The part after the owner. */
const idOf = (documentKey: string): string => documentKey.slice(documentKey.lastIndexOf("/") + 1);

/** Runs that are not over, by what the world is told and by what is being done with them. */
export const liveStatuses: readonly RunStatus[] = ["pending", "running"];
export const livePhases: readonly Phase[] = ["waiting", "running", "stopping", "rolling_back"];

export function toRun(doc: RunDocument): Run {
  return {
    owner: doc.owner,
    runId: idOf(doc._id),
    threadId: idOf(doc.thread_id),
    graph: doc.graph,
    assistant: doc.assistant,
    n: doc.n,
    spec: doc.spec,
    status: doc.status,
    phase: doc.phase,
    attempt: doc.attempt,
    lostAttempts: doc.lost_attempts,
    suspect: doc.suspect,
    lease: doc.lease ?? undefined,
    cancellation: doc.cancel ? toCancellation(doc.cancel) : undefined,
    createdAt: doc.created_at,
    startedAt: doc.started_at ?? undefined,
    endedAt: doc.ended_at ?? undefined,
    error: doc.error ?? undefined,
    lastSequence: doc.last_sequence ?? undefined,
    endCheckpointId: doc.end_checkpoint_id ?? undefined,
    dueAt: doc.due_at ?? undefined,
    parent: doc.parent ?? undefined,
    request: doc.request ?? undefined,
    clearing: doc.clearing,
    cleanupPending: doc.cleanup === "pending",
    stateless: doc.stateless,
    webhook: doc.webhook && toDelivery(doc.webhook),
  };
}

function toCancellation(cancel: CancelDocument): Cancellation {
  return {
    revision: cancel.revision,
    action: cancel.action,
    reason: cancel.reason,
    requestedBy: cancel.requested_by,
    causeRunId: cancel.cause ?? undefined,
    requestedAt: cancel.requested_at,
    deliveredAt: cancel.delivered_at ?? undefined,
    settledAt: cancel.settled_at ?? undefined,
    outcome: cancel.outcome,
  };
}

const toDelivery = ({ state, tries, due_at, kept }: WebhookDocument): WebhookDelivery => ({
  state,
  tries,
  kept,
  dueAt: due_at ?? undefined,
});

export const toLeaseDocument = (lease: Lease): NonNullable<RunDocument["lease"]> => ({
  ...lease,
  unfenced: [...lease.unfenced],
});

/** A new run's document; only a waiting or a freshly claimed run is ever inserted. */
export function newRunDocument(run: Run, ready: boolean): RunDocument {
  return {
    _id: runKey(run),
    owner: run.owner,
    thread_id: threadKey(run),
    n: run.n,
    graph: run.graph,
    assistant: run.assistant,
    spec: run.spec,
    status: run.status,
    phase: run.phase,
    attempt: run.attempt,
    lost_attempts: 0,
    suspect: false,
    ready,
    lease: run.lease ? toLeaseDocument(run.lease) : null,
    cancel: null,
    created_at: run.createdAt,
    started_at: run.startedAt ?? null,
    ended_at: null,
    error: null,
    last_sequence: null,
    end_checkpoint_id: null,
    due_at: run.dueAt ?? null,
    parent: run.parent ?? null,
    request: run.request ?? null,
    clearing: run.clearing ?? false,
    cleanup: null,
    tokens: metadataTokens(run.owner, run.spec.metadata),
    stateless: run.stateless,
    webhook: run.spec.webhook === undefined ? undefined : { state: "pending", tries: 0, due_at: null },
  };
}
