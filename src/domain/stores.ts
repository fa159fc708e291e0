import type { PagePosition } from "./page-token.ts";
import type { Lease, Requester, Run, RunError, RunName } from "./run.ts";
import type { RememberedState, Thread } from "./thread.ts";
import type { CancelAction, CancelOutcome, RunStatus, ThreadStatus } from "./transitions.ts";

/**
 * What the domain asks of the storage. Each change is one guarded update or one insert; it answers what it wrote, or
 * undefined (false) when its guard did not hold, in which case nothing was changed.
 */
export interface RunStore {
  /** False when the id is taken, also by a tombstone of a missing run. */
  insert(run: Run, options: { ready: boolean }): Promise<boolean>;
  /** Removes a run that has just been inserted and that nobody was told of. */
  withdraw(name: RunName): Promise<void>;
  find(name: RunName): Promise<Run | undefined>;
  findMany(names: readonly RunName[]): Promise<Run[]>;
  list(filter: RunFilter, page: { limit: number; after?: RunPosition }): Promise<Run[]>;
  /** Live runs, newest first. */
  live(filter: LiveFilter, limit: number): Promise<Run[]>;
  /** The waiting run with the smallest number. */
  nextWaiting(thread: ThreadName): Promise<Run | undefined>;
  /** The last run that started, of those that are there, other than `except`. */
  lastStarted(thread: ThreadName, except?: string): Promise<Run | undefined>;

  /** The run has its thread's turn: workers may claim it. */
  markReady(name: RunName): Promise<boolean>;
  ready(limit: number): Promise<Run[]>;
  claim(run: Run, lease: Lease): Promise<Run | undefined>;
  finish(name: RunName, token: string, end: RunEnd & { status: RunStatus; error?: RunError }): Promise<Run | undefined>;
  handBack(
    name: RunName,
    token: string,
    loss: { lost: boolean; suspect: boolean; lastSequence: number },
  ): Promise<Run | undefined>;

  /** `seen` is the revision of the request that the caller has read, 0 for none. */
  requestCancel(name: RunName, seen: number, request: CancelRequest): Promise<Run | undefined>;
  cancelWaiting(run: Run, request: CancelRequest, endCheckpointId?: string): Promise<Run | undefined>;
  markDelivered(name: RunName, token: string): Promise<void>;
  /** The end of a cancelled run: over for an interrupt, rolling back for a rollback. `run` as it was read with its request. */
  settleCancelled(run: Run, token: string, end: RunEnd & { outcome: CancelOutcome }): Promise<Run | undefined>;

  /** Runs that are over, or rolling back, and whose thread does not know yet. */
  unfinished(limit: number): Promise<Run[]>;
  /** Runs that wait without having the turn. */
  waiting(limit: number): Promise<Run[]>;
  /** The thread knows of the run's end. */
  cleanupDone(name: RunName): Promise<void>;
  /**
   * Keeps the last record of a run that is rolled back or deleted, without what it was given, for an hour. The first one
   * stays when it is repeated.
   */
  entomb(run: Run): Promise<void>;
  /** Removes a run that has a tombstone. Repeatable. */
  remove(name: RunName): Promise<void>;
  tombstone(name: RunName): Promise<Run | undefined>;
  /** Makes the id unusable for an insert that is under way; false when the run exists. */
  forbid(name: RunName): Promise<boolean>;
  removeAll(thread: ThreadName): Promise<void>;
}

export interface LeaseStore {
  /** Prolongs the leases of a server's runs. */
  renew(server: string, until: Date): Promise<void>;
  held(server: string): Promise<Run[]>;
  /** Runs whose lease ended before the time, or whose server is one of those. */
  expired(before: Date, deadServers: readonly string[]): Promise<Run[]>;
  /** Takes the lease over from a worker that lost it. */
  takeOver(run: Run, lease: Lease): Promise<Run | undefined>;
}

export interface ThreadStore {
  /** False when the id is taken. */
  insert(thread: Thread): Promise<boolean>;
  find(name: ThreadName): Promise<Thread | undefined>;
  /** Gives the new run a number (the answered `n`), and the turn if it is free. `onlyFree`: undefined when it is taken. */
  enter(name: ThreadName, runId: string, options: { onlyFree: boolean }): Promise<Entry | undefined>;
  /** Newest, or as the order says. Threads that are being removed are left out. */
  search(filter: ThreadFilter, order: ThreadOrder, page: { limit: number; after?: PagePosition }): Promise<Thread[]>;
  count(filter: ThreadFilter): Promise<number>;
  /**
   * Puts what `change` makes of the metadata in its place, and the time to be kept unless that is undefined (null: for
   * ever). Concurrent changes come one after the other. Undefined when there is no such thread, or it is being removed.
   */
  change(
    name: ThreadName,
    change: (metadata: Thread["metadata"]) => Thread["metadata"],
    ttlMs: number | null | undefined,
  ): Promise<Thread | undefined>;
  /** Shows that the holder of the turn is at work; false when it has lost the turn, or the thread is being removed. */
  keepTurn(name: ThreadName, holder: string): Promise<boolean>;
  /** Takes the free turn. */
  takeTurn(name: ThreadName, holder: string): Promise<Thread | undefined>;
  /** Hands the turn on; the thread stays busy. */
  passTurn(name: ThreadName, from: string, to: string, state?: RememberedState | null): Promise<boolean>;
  /** Frees the turn, if no run was created since `n` was read. */
  freeTurn(name: ThreadName, from: string, n: number, rest: RestingThread): Promise<boolean>;
  /** `onlyFree`: undefined when the turn is taken. */
  markRemoving(name: ThreadName, options?: { onlyFree: boolean }): Promise<Thread | undefined>;
  remove(name: ThreadName): Promise<void>;
  removing(): Promise<Thread[]>;
  /** Threads whose turn is taken and which have not changed since the time. */
  heldTurns(unchangedSince: Date): Promise<Thread[]>;
}

export interface Entry {
  readonly thread: Thread;
  readonly hasTurn: boolean;
}

/** What a thread is at when its turn is free; `state` only when it has changed, null when there is none any more. */
export interface RestingThread {
  readonly status: ThreadStatus;
  readonly error?: RunError;
  readonly state?: RememberedState | null;
}

export interface ThreadName {
  readonly owner: string;
  readonly threadId: string;
}

/** A thread must match every field that is there. */
export interface ThreadFilter {
  readonly owner: string;
  readonly threadIds?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly statuses?: readonly ThreadStatus[];
}

/** Equal ones are ordered by their ids. */
export interface ThreadOrder {
  readonly by: "created_at" | "updated_at" | "thread_id" | "status";
  readonly descending: boolean;
}

export interface CancelRequest {
  readonly action: CancelAction;
  readonly reason: string;
  readonly requestedBy: Requester;
  readonly causeRunId?: string;
}

export interface RunEnd {
  readonly lastSequence: number;
  readonly endCheckpointId?: string;
}

export interface RunFilter {
  readonly owner: string;
  readonly threadId?: string;
  readonly statuses?: readonly RunStatus[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface LiveFilter {
  readonly owner: string;
  readonly threadId?: string;
  readonly status: "pending" | "running" | "all";
}

/** Where a page of runs ended. */
export interface RunPosition {
  readonly createdAt: Date;
  readonly runId: string;
}
