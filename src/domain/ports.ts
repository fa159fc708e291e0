import type { AssistantFilter, AssistantName, AssistantPosition, StoredAssistant } from "./assistant.ts";
import type { Batch, BatchName } from "./batch.ts";
import type { Item, ItemName, NewItem, WriteLimit } from "./item.ts";
import type { PagePosition } from "./page-token.ts";
import type { IdentifiedRequest, RememberedRequest } from "./request-name.ts";
import type { Json, Lease, Requester, Run, RunError, RunName } from "./run.ts";
import type { EventChunk, EventHead, NewChunk } from "./run-events.ts";
import type { Server, StoredWatch } from "./server.ts";
import type { ThreadControl, Time } from "./thread/entry.ts";
import type { RememberedState, Thread, ThreadName } from "./thread.ts";
import type { CancelAction, CancelOutcome, RunStatus, ThreadStatus } from "./transitions.ts";

/*
 * What is asked of the storage. Each change is one guarded update or one insert; it answers what it wrote, or undefined (false)
 * when its guard did not hold, in which case nothing was changed.
 */

/** Runs, and the last records of those that are gone. */
export interface RunStore {
  /** False when the id is taken, also by a tombstone of a missing run. */
  insert(run: Run, options: { ready: boolean }): Promise<boolean>;
  /** Removes a run that has just been inserted and that nobody was told of. */
  withdraw(name: RunName): Promise<void>;
  find(name: RunName): Promise<Run | undefined>;
  findMany(names: readonly RunName[]): Promise<Run[]>;
  list(filter: RunFilter, page: { limit: number; after?: RunPosition }): Promise<Run[]>;
  /** Live runs, newest first. */
  live(filter: LiveFilter, limit: number, after?: RunPosition): Promise<Run[]>;
  /** The live runs of its thread with a smaller number. */
  liveBefore(run: Run): Promise<Run[]>;
  /** The runs of its thread with a larger number that cancel those before them, in their order. */
  supersedersOf(run: Run): Promise<Run[]>;
  /** Runs that wait until those before them are cancelled, oldest first. */
  clearing(createdBefore: Date, limit: number): Promise<Run[]>;
  /** The cancels of those before it are stored: only the turn is left to wait for. */
  cleared(name: RunName): Promise<boolean>;
  /** The waiting run with the smallest number; when there is none, the delayed one whose delay ends first. */
  firstWaiting(thread: ThreadName): Promise<Run | undefined>;
  /** The last run that started, of those that are there, other than `except`. */
  lastStarted(thread: ThreadName, except?: string): Promise<Run | undefined>;
  /** Whether the thread has a delayed run. */
  hasDelayed(thread: ThreadName): Promise<boolean>;
  /** Delayed runs whose delay has ended by the time, in that order. */
  due(by: Date, limit: number): Promise<Run[]>;
  /** A delayed run joins its thread's order with this number. `run` as it was read. */
  joinOrder(run: Run, n: number, options: { ready: boolean }): Promise<Run | undefined>;
  /** How many runs are live, of a thread or of all, counted up to `most`. */
  countLive(thread: ThreadName | undefined, most: number): Promise<number>;
  /** The live runs that nodes of these runs have created and that do not outlive them. */
  liveChildren(parents: readonly RunName[], limit: number): Promise<Run[]>;
  /** What workers may claim of the runs that nodes of these runs have created. */
  readyChildren(parents: readonly RunName[], limit: number): Promise<Run[]>;

  /** The run has its thread's turn: workers may claim it. False while it is clearing. */
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
   * stays when it is repeated. `values` are kept for a webhook that is still to be told of them.
   */
  entomb(run: Run, values?: Json): Promise<void>;
  /** Removes a run that has a tombstone. Repeatable. */
  remove(name: RunName): Promise<void>;
  tombstone(name: RunName): Promise<Run | undefined>;
  tombstones(names: readonly RunName[]): Promise<Run[]>;
  /** Makes the id unusable for an insert that is under way; false when the run exists. */
  forbid(name: RunName): Promise<boolean>;
  /** Runs that are over and whose events are to be removed by that time. */
  eventsDue(before: Date, limit: number): Promise<Run[]>;
  eventsGone(name: RunName): Promise<void>;
  /** Runs that are over for everybody, whose events are gone, and whose record is to be removed by that time. */
  recordsDue(before: Date, limit: number): Promise<Run[]>;
  /** Removes such a record. */
  removeRecord(name: RunName, before: Date): Promise<boolean>;

  /**
   * Runs whose last record must outlive their thread: the run of a temporary thread, for those who wait for it elsewhere, and
   * runs whose webhook has not been told of their end.
   */
  outliving(thread: Thread): Promise<Run[]>;
  /** Removes the runs of a thread, and the tombstones that nobody needs without it. */
  removeAll(thread: Thread): Promise<void>;
}

/** Batches that are decided, whose runs may not all be created yet. */
export interface BatchStore {
  /** False when the id is taken. */
  insertBatch(batch: Batch): Promise<boolean>;
  findBatch(name: BatchName): Promise<Batch | undefined>;
  /** Also when it is forgotten. */
  isBatchDone(name: BatchName): Promise<boolean>;
  /** All runs are created: what they were created from goes. For a day the batch is known by its id. */
  finishBatch(batch: Batch): Promise<void>;
  /** Batches that were decided before the time, and of which some runs may not be created. */
  undoneBatches(before: Date): Promise<Batch[]>;
  /** The place of a run that the database would not take. */
  unstorable(records: readonly Run[]): number | undefined;
}

/** Deliveries of webhooks. A run's delivery is stored with its record, or with its tombstone when that is gone. */
export interface WebhookStore {
  /** Takes the next try; `dueAt` is when another may be made by somebody else. Undefined when it is not to be made any more. */
  take(run: Run, dueAt: Date): Promise<Run | undefined>;
  settle(run: Run, state: "done" | "failed"): Promise<void>;
  /** Deliveries of runs that ended before the time, and nobody is known to make. */
  undelivered(endedBefore: Date, now: Date): Promise<Run[]>;
}

/** The leases of runs. */
export interface LeaseStore {
  /** Prolongs the leases of a server's runs. */
  renew(server: string, until: Date): Promise<void>;
  held(server: string): Promise<Run[]>;
  /** Runs whose lease ended before the time, or whose server is one of those. */
  expired(before: Date, deadServers: readonly string[]): Promise<Run[]>;
  /** Takes the lease over from a worker that lost it. */
  takeOver(run: Run, lease: Lease): Promise<Run | undefined>;
}

/** Threads, each of which is its own lock. */
export interface ThreadStore {
  /** False when the id is taken. */
  insert(thread: Thread): Promise<boolean>;
  find(name: ThreadName): Promise<Thread | undefined>;
  /**
   * Gives the new run a number (the answered `n`), and the turn if it is free. `onlyFree`: undefined when it is taken.
   * `plain`: undefined for a temporary thread, which is for one run only.
   */
  enter(name: ThreadName, runId: string, options: { onlyFree: boolean; plain?: boolean }): Promise<Entry | undefined>;
  /** The same for a delayed run: a number for the time being, and never the turn. `onlyFree`: undefined on a busy thread. */
  enterDelayed(name: ThreadName, options: { onlyFree: boolean; plain?: boolean }): Promise<Thread | undefined>;
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
  passTurn(thread: KnownThread, from: string, to: string, state?: RememberedState | null): Promise<boolean>;
  /** Frees the turn, if no run was created and the time to live was not changed since they were read. */
  freeTurn(thread: KnownThread, from: string, n: number, rest: RestingThread): Promise<boolean>;
  /** What a thread with a free turn is at. False when it has changed since it was read. */
  rest(thread: Thread, rest: RestingThread): Promise<boolean>;
  /** Threads that are busy without a turn and have not changed since the time, by id after `after`. */
  busyWithoutTurn(unchangedSince: Date, after: ThreadName | undefined, limit: number): Promise<Thread[]>;
  /** `onlyFree`: undefined when the turn is taken. */
  markRemoving(name: ThreadName, options?: { onlyFree: boolean }): Promise<Thread | undefined>;
  remove(name: ThreadName): Promise<void>;
  removing(): Promise<Thread[]>;
  /** Threads whose turn is taken and which have not changed since the time. */
  heldTurns(unchangedSince: Date): Promise<Thread[]>;
  /** Threads without a turn whose time to live is over by then. */
  expired(before: Date, limit: number): Promise<Thread[]>;
  /** Marks such a thread as being removed; undefined when it was used in between. */
  markExpired(name: ThreadName, before: Date): Promise<Thread | undefined>;

  /** Keeps a temporary thread for somebody in the server. False when it is being removed or gone. */
  attach(name: ThreadName, server: string): Promise<boolean>;
  detach(name: ThreadName, server: string): Promise<void>;
  /** Marks a temporary thread as being removed, if its turn is free and nobody is attached. */
  abandon(name: ThreadName): Promise<Thread | undefined>;
  /** Temporary threads whose turn is free and which have not changed since the time. */
  idleTemporary(unchangedSince: Date): Promise<Thread[]>;
}

/** Threads as their lanes decide about them. Only thread/decide.ts writes here. */
export interface Lanes {
  read(name: ThreadName): Promise<StoredThread | undefined>;
  /** False when the id is taken. */
  insert(thread: StoredThread): Promise<boolean>;
  /** Puts the control in the place of the one with the revision `from`. False when that is not the stored one any more. */
  write(name: ThreadName, from: string, control: ThreadControl): Promise<boolean>;

  /** Threads whose first run may be claimed, which has been first for longest first. */
  ready(page: ThreadPage): Promise<FoundThread[]>;
  /** Threads whose first run the server executes, or which it holds; those first that it has had for longest. */
  headedBy(server: string, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads that owe something since the time or longer, the oldest debt first. */
  owing(since: Time, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads whose oldest debt is the server's, the oldest first. */
  owingBy(server: string, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads with a delay that ends by the time, the earliest first. */
  due(by: Time, page: ThreadPage): Promise<FoundThread[]>;
}

export interface StoredThread {
  readonly origin: ThreadOrigin;
  readonly control: ThreadControl;
}

/** What a thread is born with, and keeps. */
export interface ThreadOrigin extends Pick<Thread, "owner" | "threadId" | "journal" | "opened"> {
  readonly createdAt: Time;
}

/** Found threads are ordered by their time, equal ones by their ids; a page begins after the last one of the page before. */
export interface ThreadPage {
  readonly limit: number;
  readonly after?: FoundThread;
}

export interface FoundThread extends ThreadName {
  /** Of what was asked for: since when a run is first, since when something is owed, when a delay ends. */
  readonly at: Time;
}

export interface Entry {
  readonly thread: Thread;
  readonly hasTurn: boolean;
}

/** What a thread is at when its turn is free; `state` only when it has changed, null when there is none any more. */
export interface RestingThread {
  readonly status: ThreadStatus;
  /** The thread's time to live, which starts anew. */
  readonly ttlMs: number | undefined;
  readonly error?: RunError;
  readonly state?: RememberedState | null;
}

/** A thread as it was read: what its state is found by holds when it was created. */
export type KnownThread = Pick<Thread, keyof ThreadName | "createdAt" | "metadata">;

/** A thread must match every field that is there. */
export interface ThreadFilter {
  readonly owner: string;
  readonly threadIds?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly statuses?: readonly ThreadStatus[];
  /** Whose state it is: the graph, and the assistant of the last run that ended. */
  readonly graph?: string;
  readonly assistantId?: string;
  /** What matches one of these is left out. */
  readonly exclude?: readonly Pick<ThreadFilter, "metadata" | "graph" | "assistantId">[];
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
  /** A run that was cancelled like that before is refused as every other that is over. */
  readonly refuseRepeat?: boolean;
}

export interface RunEnd {
  readonly lastSequence: number;
  readonly endCheckpointId?: string;
  /** It was refused at its start: nothing of its graph was executed, and its thread is as it was. */
  readonly neverStarted?: true;
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
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly createdBefore?: Date;
}

/** Where a page of runs ended. */
export interface RunPosition {
  readonly createdAt: Date;
  readonly runId: string;
}

/** Remembers requests by their ids for a day. */
export interface RequestStore {
  /** Answers what is remembered for the id: this request, or the one that came first. */
  remember(request: IdentifiedRequest): Promise<RememberedRequest>;
  done(request: IdentifiedRequest): Promise<void>;
  /** The run id cannot be used; nothing happens when somebody else has replaced it, or it is done. */
  replaceRunId(request: IdentifiedRequest, runId: string): Promise<void>;
  /** The request was refused, so that its id is free again. Nothing happens when it was done meanwhile. */
  forget(request: IdentifiedRequest): Promise<void>;
}

/** The events of runs. */
export interface RunEventStore {
  /** Inserts what can be inserted; answers the positions of those whose chunk number was taken. */
  insert(chunks: readonly NewChunk[]): Promise<Set<number>>;
  chunk(run: RunName, chunk: number): Promise<{ token: string; gate: boolean; first: number | null } | undefined>;
  head(run: RunName): Promise<EventHead>;
  /** Whether there is a gate for the token. */
  isFenced(run: RunName, token: string): Promise<boolean>;
  /** The number of the run's first event after a checkpoint; undefined when none is known to be. */
  firstAfter(run: RunName, checkpointId: string): Promise<number | undefined>;
  /** Chunks that hold events from this number on, in order, up to about a megabyte. */
  from(run: RunName, sequence: number): Promise<EventChunk[]>;
  /** Removes a run's events. What stands before a gate is emptied only, so that a late writer finds no free chunk number. */
  remove(run: RunName): Promise<void>;
  /** The same for a run whose record is gone; the database removes what is left of its events after a day. */
  discard(run: RunName): Promise<void>;
  /** The same for all runs of a thread that is deleted; the database removes what is left of them after a day. */
  removeAll(thread: ThreadName): Promise<void>;
}

/** The servers that use the database, and the watchers whose leaving cancels. */
export interface ServerStore {
  /** Says that the server lives; creates its record. Answers the database's time. */
  beat(server: Omit<Server, "seenAt">): Promise<Date>;
  leave(server: string): Promise<void>;
  others(server: string): Promise<Server[]>;
  watch(id: string, server: string, run: RunName, ifLast: boolean): Promise<void>;
  markLeft(id: string): Promise<void>;
  unwatch(id: string): Promise<void>;
  watchesOf(server: string): Promise<(RunName & StoredWatch)[]>;
  watchesOfRun(run: RunName): Promise<StoredWatch[]>;
}

/** Configured assistants. */
export interface AssistantStore {
  /** False when the id is taken. */
  insert(assistant: StoredAssistant): Promise<boolean>;
  find(name: AssistantName): Promise<StoredAssistant | undefined>;
  /** Writes what a client may change. False, and nothing is changed, when it is not any more as it was `seen`. */
  replace(seen: StoredAssistant, next: StoredAssistant): Promise<boolean>;
  /** False when there is none. */
  remove(name: AssistantName): Promise<boolean>;
  /** Newest first, from after the position on. */
  scan(which: Pick<AssistantFilter, "owner" | "graph">, after?: AssistantPosition): AsyncIterable<StoredAssistant>;
}

/** Long-term memory. Items whose time is over are never answered. */
export interface ItemStore {
  /** Makes the item, or puts the value in the place of the former one. False when it came too late: then nothing was changed. */
  put(item: NewItem, limit?: WriteLimit): Promise<boolean>;
  /** Repeatable. False when it came too late, and the item is still there. */
  remove(name: ItemName, limit?: WriteLimit): Promise<boolean>;
  find(name: ItemName): Promise<Item | undefined>;
  /** The time of an item with a time to live begins anew. */
  prolong(item: Item, limit?: WriteLimit): Promise<void>;
  /** Items in the namespace and those below it, last changed first; `batch` is how many are likely to be wanted. */
  scan(owner: string, prefix: readonly string[], batch: number): AsyncIterable<Item>;
  /** Every namespace with the prefix that has items, once, those below it right after it. */
  namespaces(owner: string, prefix: readonly string[]): AsyncIterable<string[]>;
}
