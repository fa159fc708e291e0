import type { AssistantFilter, AssistantName, AssistantPosition, StoredAssistant } from "./assistant.ts";
import type { Item, ItemName, NewItem, WriteLimit } from "./item.ts";
import type { MetadataFilter } from "./metadata-filter.ts";
import type { Nudge, StoredNudges } from "./nudge.ts";
import type { PagePosition } from "./page-token.ts";
import type { Batch, BatchName, UndoneBatch } from "./run/batch.ts";
import type { IdentifiedRequest, RememberedRequest } from "./run/request-name.ts";
import type { Json, Run, RunError, RunName } from "./run/run.ts";
import type { EventChunk, EventHead, NewChunk, StoredEvent } from "./run/run-events.ts";
import type { NewServer, Server, StoredWatch } from "./server.ts";
import type { Lane, ThreadControl, Time } from "./thread/entry.ts";
import type { Projection } from "./thread/project.ts";
import type { Thread, ThreadName } from "./thread.ts";
import type { RunStatus, ThreadStatus } from "./transitions.ts";

/*
 * What is asked of the storage. Each change is one guarded update or one insert; it answers what it wrote, or undefined (false)
 * when its guard did not hold, in which case nothing was changed.
 */

/** The records of runs, and the last records of those that are gone. What a live run is at, its thread's lane says. */
export interface RunStore {
  /** False when the id is taken. */
  insert(run: Run): Promise<boolean>;
  /** Removes a record that no entry came for, as long as it is this one, is not over, and says no more than it said. */
  deleteUnentered(run: Run): Promise<boolean>;
  /** Removes this very record, whatever it says by now: for that of a run that is known to have come and gone before. */
  deleteMade(run: Run): Promise<boolean>;
  /**
   * Puts the record in the place of the one with the same id that was `made` so, and that nobody knows an entry of. False when
   * there is none: it was removed, or another one is there, or it says more by now.
   */
  putAgain(run: Run, made: string): Promise<boolean>;
  /**
   * Brings the record up to its entry, unless it says as much, or is gone. False when it may not have been this that has done so:
   * those that come at the same time are stored together.
   */
  project(name: RunName, projection: Projection): Promise<boolean>;
  /** An error that is too long for an entry: it counts for the end under this lease token. */
  keepError(name: RunName, token: string, error: RunError): Promise<void>;
  /** What is too large for a record is not in the runs that are found: see {@link Run.givenApart}. */
  find(name: RunName): Promise<Run | undefined>;
  findMany(names: readonly RunName[]): Promise<Run[]>;
  /** The same runs with all that they were given. One that has gone meanwhile stays as it is. */
  withGiven(runs: readonly Run[]): Promise<Run[]>;
  list(filter: RunFilter, page: { limit: number; after?: RunPosition }): Promise<Run[]>;
  /** Live runs, newest first. */
  live(filter: LiveFilter, limit: number, after?: RunPosition): Promise<Run[]>;
  /** The last run that started, of those that are there, other than `except`. */
  lastStarted(thread: ThreadName, except?: string): Promise<Run | undefined>;
  /** How many runs are live, counted up to `most`. */
  countLive(most: number, owner?: string): Promise<number>;
  /** The live runs that nodes of this run have created and that do not outlive it. */
  liveChildren(parent: RunName, limit: number): Promise<Run[]>;
  /** Records that were made before the time and of which nobody knows whether they have an entry, oldest first. */
  unentered(madeBefore: Date, limit: number, after?: RunPosition): Promise<Run[]>;
  /** Records that were made before the time and of whose runs they say that they live, by that status, oldest first. */
  saidToLive(status: RunStatus, madeBefore: Date, limit: number, after?: RunPosition): Promise<Run[]>;
  /** Removes what runs were given that were created before the time, where a crash has left it without a record. */
  sweepSpecs(before: Date): Promise<void>;

  /**
   * Keeps the last record of a run that is rolled back or deleted, without what it was given, for an hour. The first one
   * stays when it is repeated. `values` are kept for a webhook that is still to be told of them.
   */
  insertTombstone(run: Run, values?: Json): Promise<void>;
  /** Removes this very record of a run that has a tombstone. False when it is not there, or another one is. */
  remove(run: Run): Promise<boolean>;
  tombstone(name: RunName): Promise<Run | undefined>;
  tombstones(names: readonly RunName[]): Promise<Run[]>;
  /** Runs that are over and whose events are to be removed by that time; the longest due first. */
  eventsDue(by: Date, page: DuePage): Promise<DueRun[]>;
  eventsGone(name: RunName): Promise<void>;
  /** Runs that are over, whose events are gone, and whose record is to be removed by that time; the longest due first. */
  recordsDue(by: Date, page: DuePage): Promise<DueRun[]>;
  /** Removes such a record. */
  removeRecord(run: Run, before: Date): Promise<boolean>;

  /**
   * Runs whose last record must outlive their thread: the run of a temporary thread, for those who wait for it elsewhere, and
   * runs whose webhook has not been told of their end.
   */
  outliving(thread: Thread): Promise<Run[]>;
  /** Removes the runs of this very thread, and the tombstones that nobody needs without it. */
  removeAll(thread: Thread): Promise<void>;
}

/** A run of which something is to be removed, since when. */
export interface DueRun {
  readonly run: Run;
  readonly at: Date;
}

/** Begins after the last one of the page before. */
export interface DuePage {
  readonly limit: number;
  readonly after?: DueRun;
}

/** Batches that are decided, whose runs may not all be created yet. */
export interface BatchStore {
  /** False when the id is taken. */
  insertBatch(batch: Batch): Promise<boolean>;
  findBatch(name: BatchName): Promise<Batch | undefined>;
  /** All runs are created: what they were created from goes. For a day the batch is known by its id. */
  finishBatch(batch: Batch): Promise<void>;
  /** Batches that were decided before the time, and of which some runs may not be created; oldest first. */
  undoneBatches(before: Date, page: { readonly limit: number; readonly after?: UndoneBatch }): Promise<UndoneBatch[]>;
  /** The place of a run that the database would not take. */
  unstorable(records: readonly Run[]): number | undefined;
}

/** Begins after the last one of the page before, as it was found. */
export interface RunPage {
  readonly limit: number;
  readonly after?: Run;
}

/** Deliveries of webhooks. A run's delivery is stored with its record, or with its tombstone when that is gone. */
export interface WebhookStore {
  /** Takes the next try; `dueAt` is when another may be made by somebody else. Undefined when it is not to be made any more. */
  take(run: Run, dueAt: Date): Promise<Run | undefined>;
  /** The try that was taken has failed, and whoever took it will make the next one. */
  keepError(taken: Run, error: string, nextTryAt: Date): Promise<void>;
  /** An answered try ends the delivery, whoever has taken another one since. */
  settleDone(taken: Run): Promise<void>;
  settleFailed(taken: Run, error: string): Promise<void>;
  /** Makes a failed delivery pending again, as if it had never been tried. Undefined when there is none that can still be told of its end. */
  retry(name: RunName): Promise<Run | undefined>;
  /** Deliveries of runs that ended before the time, and that nobody has tried to make; those that ended first come first. */
  untried(endedBefore: Date, page: RunPage): Promise<Run[]>;
  /** Deliveries that were tried, and may be made by somebody else by now; those that are due for longest come first. */
  due(now: Date, page: RunPage): Promise<Run[]>;
}

/** What an owner's webhooks are signed with. Whoever has one can make calls that pass for the server's. */
export interface WebhookSecret {
  /** `whsec_` and Base64. */
  readonly secret: string;
  readonly created: Date;
  /** Absent for the newest one. */
  readonly expires?: Date;
}

export interface WebhookSecretStore {
  /** Those that sign now, the newest one first; none as long as the owner's webhooks were never called. */
  secretsOf(owner: string): Promise<WebhookSecret[]>;
  /** Makes the owner's first one unless there is one, whoever else does so at the same time. Answers those that sign. */
  makeFirst(owner: string): Promise<WebhookSecret[]>;
  /** Makes a new one, which signs at once. Those before it sign along with it for so long (a day), or until they expire by themselves. */
  rotate(owner: string, overlapMs?: number): Promise<WebhookSecret>;
}

/** Threads as their users see them. */
export interface ThreadStore {
  /** The thread with the whole of its remembered state, as it is beside its lane in `found`. */
  whole(found: Thread): Promise<Thread>;
  find(name: ThreadName): Promise<Thread | undefined>;
  /** Newest, or as the order says. Threads that are being removed are left out. */
  search(filter: ThreadFilter, order: ThreadOrder, page: { limit: number; after?: PagePosition }): Promise<Thread[]>;
  count(filter: ThreadFilter): Promise<number>;
}

/**
 * Threads as their lanes decide about them. Only thread/decide.ts changes one; threads without a run are born, and removed, by
 * threads.ts and copy-thread.ts. Of a state that has a name of its own (see RememberedState.apart) what is read is without its
 * values; what is written has them, unless it was read.
 */
export interface Lanes {
  read(name: ThreadName): Promise<StoredThread | undefined>;
  /** False when the id is taken. */
  insert(thread: StoredThread): Promise<boolean>;
  /** Those that are there, in no order. */
  readMany(names: readonly ThreadName[]): Promise<StoredThread[]>;
  /**
   * Puts the control in the place of the one with the revision `from`. False when that is not the stored one any more; what was sent
   * before and has landed counts as landed.
   * Those of different threads that come at the same time are written together.
   */
  write(name: ThreadName, from: string, control: ThreadControl, options?: LaneWriteOptions): Promise<boolean>;

  /**
   * Removes a thread with that revision. What is left is its id and its journal, for a day, so that an insert of the same
   * thread that comes late does not bring it back; a new thread may take the id at once. False when it has changed.
   */
  remove(name: ThreadName, rev: string): Promise<boolean>;

  /** Removes large states that no thread has named since before the time, after a crash. */
  sweepStates(before: Date): Promise<void>;

  /** Threads whose first run may be claimed, which has been first for longest first. */
  ready(page: ThreadPage, owner?: string): Promise<FoundThread[]>;
  /** Whose runs may be claimed. */
  readyOwners(): Promise<string[]>;
  /** Threads whose first run the server executes, or which it holds; those first that it has had for longest. */
  headedBy(server: string, page: ThreadPage): Promise<FoundThread[]>;
  /** The servers that execute or hold something, each once. */
  headServers(): Promise<string[]>;
  /** Threads that owe something since the time or longer, the oldest debt first. */
  owing(since: Time, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads whose oldest debt is the server's, the oldest first. */
  owingBy(server: string, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads with a delay that ends by the time, the earliest first. */
  due(by: Time, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads that are to be removed for their age by the time, the oldest first. */
  expired(by: Time, page: ThreadPage): Promise<FoundThread[]>;
  /** Threads that are being removed and have not changed since the time. */
  removing(unchangedSince: Time, page: ThreadPage): Promise<FoundThread[]>;
  /** Temporary threads that have not changed since the time. */
  temporary(unchangedSince: Time, page: ThreadPage): Promise<FoundThread[]>;
}

export interface LaneWriteOptions {
  /** The control as it was read: a field that is the same object in both is not written again. */
  readonly before?: ThreadControl;
  /** It waits for none that are not. */
  readonly isUrgent?: boolean;
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
  readonly after?: Omit<FoundThread, "lane">;
}

export interface FoundThread extends ThreadName {
  /** Of what was asked for: since when a run is first, since when something is owed, when a delay ends. */
  readonly at: Time;
  readonly lane: Lane;
}

/** A thread must match every field that is there. */
export interface ThreadFilter {
  readonly owner: string;
  readonly threadIds?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** What the caller's sight is limited to: it holds beside `metadata`, for the same fields as well. */
  readonly within?: MetadataFilter;
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
  /**
   * The request was refused, so that its id is free. One that was repeated stays the same run's when it is repeated again, since a try
   * that came before may be under way; it makes room for another one only. Nothing happens when it was done meanwhile.
   */
  refused(request: IdentifiedRequest): Promise<void>;
}

/** The events of runs. */
export interface RunEventStore {
  /** False when the chunk's number is taken. What comes at the same time is stored together. */
  insert(chunk: NewChunk): Promise<boolean>;
  chunk(run: RunName, chunk: number): Promise<{ token: string; isFence: boolean; first: number | null } | undefined>;
  head(run: RunName): Promise<EventHead>;
  /** The runs of which the chunk is there. */
  withChunk(chunks: readonly { readonly run: RunName; readonly chunk: number }[]): Promise<RunName[]>;
  /** Whether there is a fence record for the token. */
  isFenced(run: RunName, token: string): Promise<boolean>;
  /** The number of the run's first event after a checkpoint; undefined when none is known to be. */
  firstAfter(run: RunName, checkpointId: string): Promise<number | undefined>;
  /** Chunks that hold events from this number on, in order, up to about a megabyte. Who asks for the same at the same time shares them. */
  from(run: RunName, sequence: number): Promise<readonly EventChunk<StoredEvent>[]>;
  /** Removes a run's events. What stands before a fence record is emptied only, so that a late writer finds no free chunk number. */
  remove(run: RunName): Promise<void>;
  /** The same for a run whose record is gone; the database removes what is left of its events after a day. */
  discard(run: RunName): Promise<void>;
  /** The same for all runs of this very thread, which is deleted; the database removes what is left of them after a day. */
  removeAll(thread: Thread): Promise<void>;
}

/** The servers that use the database, and the watchers whose leaving cancels. */
export interface ServerStore {
  /** A server begins; answers the database's time. Undefined when it has been declared dead before it heard that it had joined. */
  join(server: NewServer): Promise<Date | undefined>;
  /** Says that the server lives; answers the database's time. Undefined when it has been declared dead, or has left. */
  beat(server: NewServer): Promise<Date | undefined>;
  /** The server is over: from now on it cannot beat. False when it has been heard of since it was read. Repeatable. */
  declareDead(server: Server): Promise<boolean>;
  /** A server that nobody knows of counts as dead from now on; nothing happens to one that is known. */
  presumeDead(server: string, now: Date): Promise<void>;
  /**
   * The server ends in order, and beats no more. Others look for what it has left, and for what of its comes late, as long as a dead
   * one is kept in mind.
   */
  end(server: string): Promise<void>;
  /** Of a dead one: nothing of it can come any more. */
  forget(server: string): Promise<void>;
  others(server: string): Promise<Server[]>;
  watch(id: string, server: string, run: RunName, by: Pick<StoredWatch, "ifLast" | "actor">): Promise<void>;
  markLeft(id: string): Promise<void>;
  unwatch(id: string): Promise<void>;
  /** Nobody knows whether the watch has been stored: it goes, and one that comes late finds its id taken. */
  barWatch(id: string): Promise<void>;
  watchesOf(server: string): Promise<(RunName & StoredWatch)[]>;
  watchesOfRun(run: RunName): Promise<StoredWatch[]>;
}

/** What servers tell each other to look at: of each the last few batches. A server's go with its record. */
export interface NudgeStore {
  /** The server can be told from now on. Repeatable. */
  open(server: string): Promise<void>;
  /** Tells it these, as one batch. False when it cannot be told. */
  add(server: string, nudges: readonly Nudge[]): Promise<boolean>;
  /** Undefined when it cannot be told. */
  read(server: string): Promise<StoredNudges | undefined>;
  /**
   * Calls when it begins to watch and then whenever the server has been told something, with what it then has been told where that
   * is at hand. Resolves when the signal has aborted, and rejects when nothing can be watched, or not any more.
   */
  watch(server: string, told: (nudges?: StoredNudges) => void, signal: AbortSignal): Promise<void>;
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

/** What a copy of a thread does with journals. */
export interface JournalCopies {
  /** Copies all that the thread's journal holds into a new one, which expires unless it is kept. */
  copy(from: Thread, to: Thread, check: () => Promise<void>): Promise<void>;
  keepCopy(to: Thread): Promise<void>;
  discardCopy(to: Thread): Promise<void>;
}
