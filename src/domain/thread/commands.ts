import type { ErrorReason, RunAtFault } from "../errors.ts";
import type { Requester, RunError } from "../run/run.ts";
import type { RememberedState } from "../thread.ts";
import type { CancelAction, MultitaskStrategy } from "../transitions.ts";
import type { Effect } from "./effects.ts";
import type { Entry, HolderKind, LastOutcome, ThreadControl, Time } from "./entry.ts";

/** What every decision says of who decides. */
interface Decides {
  readonly server: string;
  /**
   * A slot is free in this server: the run whose turn it is after the decision is claimed in it, with this lease token. A run
   * with a parent is not, since its parent must be looked at after it can be seen in its lane.
   */
  readonly next?: string;
  /** Ends that have been told since the last decision here: their entries leave, unless they owe more by now. */
  readonly told?: readonly ToldEnd[];
}

/**
 * What was found in a thread is about that very one: after a deletion a repeated request makes another thread with the same id, and its
 * run anew.
 */
interface OfThread {
  /** The thread's journal; whatever thread is there when absent. */
  readonly journal?: string;
}

/** An end that is in its run's record, or whose record is gone. */
export interface ToldEnd extends OfThread {
  readonly run: string;
  /** Of the entry that the record is brought up to. */
  readonly changes: number;
  /** What the run left, where nobody has read it before. */
  readonly state?: Omit<RememberedState, "n">;
}

/**
 * A run comes. INTERRUPT and ROLLBACK cancel the live runs before it in the same decision; REJECT is refused while a run is
 * live or something holds the thread. A repeat finds its entry and changes nothing. Its record is stored before.
 */
export interface Enter extends Decides {
  readonly kind: "enter";
  readonly run: string;
  readonly strategy: MultitaskStrategy;
  readonly actor?: string;
  /** Join the order only then. */
  readonly due?: Time;
  readonly parent?: Entry["parent"];
  /** The run is its thread's first, or has come and gone: then it is missed. */
  readonly once?: boolean;
  /** Live runs that the thread may have; never more than {@link maxLiveEntries}. */
  readonly limit?: number;
}

/** The creation of a run has stored its record again, and wants to know that the entry is still there. */
export interface Confirm extends Decides {
  readonly kind: "confirm";
  readonly run: string;
}

/**
 * A run is not to come after all. `record`: it is about to be removed, since no entry came for it. Asked for before the
 * removal, it makes the decision miss that would still bring the entry, since that one was made on an older revision.
 * `entry`: its record never came. Only an entry is forgotten that was neither confirmed nor claimed.
 */
export interface Forget extends Decides {
  readonly kind: "forget";
  readonly run: string;
  readonly lacks: "entry" | "record";
}

/** A worker takes the run whose turn it is. A repeat with the same token answers the same. */
export interface Claim extends Decides {
  readonly kind: "claim";
  readonly run: string;
  readonly token: string;
  /** The parent has been looked at since the run is in its lane, and no cancel of it is stored. */
  readonly parentIsLive?: boolean;
}

export interface CancelWish {
  readonly action: CancelAction;
  readonly reason: string;
  readonly by: Requester;
  readonly actor?: string;
  readonly cause?: string;
}

/**
 * The wish to stop runs, stored for all of them or none. It is the end of a run that waits. ROLLBACK takes the place of
 * INTERRUPT as long as the run has not settled; nothing weakens a ROLLBACK. A repeat answers the same and changes nothing.
 */
export interface RequestCancel extends Decides {
  readonly kind: "requestCancel";
  readonly runs: readonly string[] | "live";
  readonly wish: CancelWish;
}

/** The execution has been told of the cancel. */
export interface Delivered extends Decides {
  readonly kind: "delivered";
  readonly run: string;
  readonly token: string;
  readonly deliveredAt: Time;
}

/** What an execution has left when nothing of it runs any more and it can write nothing. */
interface Left {
  readonly run: string;
  readonly token: string;
  /** The number of the last event that is stored. */
  readonly sequence: number;
  readonly checkpoint?: string;
  /** When it was told of a cancel, should that not be stored yet. */
  readonly deliveredAt?: Time;
  /** Its process had to be killed. After a take-over the lease knows better. */
  readonly killed?: boolean;
  /** What the thread is to remember; absent when nobody has read it, and then owed with the end. */
  readonly state?: Omit<RememberedState, "n">;
}

/**
 * The execution has come to its end. A run whose cancel is stored is cancelled, whatever it has achieved; `stopped` without a
 * stored cancel goes back to the queue. A repeat with the same token answers the same; one whose lease is another's is dropped.
 */
export interface Settle extends Decides, Left {
  readonly kind: "settle";
  readonly result: "success" | "error" | "timeout" | "stopped";
  readonly error?: RunError;
  /** It was refused at its start: nothing of its graph was executed, and its thread is as it was. */
  readonly neverStarted?: boolean;
}

/**
 * The execution ended without an outcome, and the run goes on from its last checkpoint, still first in its lane. A lost one
 * counts, and too many of them are the run's end as an error. With a stored cancel it is the run's end as cancelled.
 */
export interface HandBack extends Decides, Left {
  readonly kind: "handBack";
  readonly lost?: boolean;
  readonly alone?: boolean;
  /** What the execution was lost to. */
  readonly error?: RunError;
}

/**
 * A server is dead: what it executed, held or owed here is this server's, under a new token, with the tokens that are to be
 * fenced before the lease or the hold ends. A copy is dropped.
 */
export interface TakeOver extends Decides {
  readonly kind: "takeOver";
  readonly dead: string;
  readonly token: string;
  /** The processes of the server are known to be dead. */
  readonly reachable: boolean;
}

/** Delays have ended. Every decision lets those runs join first; this one does nothing else. */
export interface Due extends Decides {
  readonly kind: "due";
}

/** Something that must not meet a run takes the thread; refused while a run is live. Repeatable by its id. */
export interface Hold extends Decides {
  readonly kind: "hold";
  readonly id: string;
  readonly what: HolderKind;
  readonly target?: string;
}

/** The hold ends, with what it has changed of the thread's state and of the last outcome: null for none any more. */
export interface Release extends Decides {
  readonly kind: "release";
  readonly id: string;
  readonly state?: RememberedState | null;
  readonly last?: LastOutcome | null;
}

/** Nothing of a rolled back run is left in the thread: its turn passes on. */
export interface FinishRollback extends Decides, OfThread {
  readonly kind: "finishRollback";
  readonly run: string;
  readonly checkpoint?: string;
}

/** The entry of a told end leaves, without waiting for the thread's next decision. */
export interface Projected extends Decides, ToldEnd {
  readonly kind: "projected";
}

/** Changes what is kept beside the lane. The whole change or nothing. */
export interface Change extends Decides {
  readonly kind: "change";
  /** Fields of the metadata that are put, and those that are removed. */
  readonly metadata?: {
    readonly put: Readonly<Record<string, unknown>>;
    readonly remove: readonly string[];
    readonly maxBytes?: number;
  };
  /** Null for ever. */
  readonly ttlMs?: number | null;
  /** Of a temporary thread: somebody in this server waits for its run, or nobody does any more. */
  readonly watch?: "attach" | "detach";
  /** The server that is meant; the one that decides when absent. */
  readonly watcher?: string;
  readonly remove?: RemovalWish;
}

/**
 * The thread is to be deleted. `stop`: its live runs are cancelled for it. `idle`: refused while it is busy. `expired`: only
 * when its time is over. `unwatched`: a temporary thread whose run is over, and for which nobody waits.
 */
export type RemovalWish =
  | { readonly when: "stop"; readonly wish: CancelWish }
  | { readonly when: "idle" | "expired" | "unwatched" };

export type Command =
  | Enter
  | Confirm
  | Forget
  | Claim
  | RequestCancel
  | Delivered
  | Settle
  | HandBack
  | TakeOver
  | Due
  | Hold
  | Release
  | FinishRollback
  | Projected
  | Change;

/**
 * `done`: the command did what it says. `again`: it was done before. `missed`: it does not fit any more, and nothing was
 * changed: the run belongs to another lease, has left, or is not what the command takes it for.
 */
export interface Answer {
  readonly did: "done" | "again" | "missed";
  /** The run of the command as it is now; absent when the lane does not know it. */
  readonly entry?: Entry;
  /** The run that was claimed for `next`. */
  readonly claimed?: Entry;
  /** Of a request to cancel: what became of each run that was named, or of each that was live. */
  readonly cancels?: readonly CancelAnswer[];
}

export interface CancelAnswer {
  readonly run: string;
  /**
   * `ended`: it was its end. `stopping`: it is stored. `already`: a request as strong was stored before. `refused`: the run
   * ended otherwise. `unknown`: the lane does not know it, so that its record or tombstone is to be asked.
   */
  readonly result: "ended" | "stopping" | "already" | "refused" | "unknown";
  readonly entry?: Entry;
}

/** A DomainError's data: nothing was changed. */
export interface Refusal {
  readonly reason: ErrorReason;
  readonly message: string;
  readonly metadata: Record<string, string>;
  readonly run?: RunAtFault;
}

export interface Decided {
  /** The very object that was given when there is nothing to be written. */
  readonly control: ThreadControl;
  /** What follows. A crash loses them, and none is needed that the control does not tell as well. */
  readonly effects: readonly Effect[];
  readonly answer: Answer;
}

export type Reduction = Decided | { readonly refusal: Refusal };

/** What a handler makes of a command; the computed fields and the effects come after it. */
export type Handled = { readonly control: ThreadControl; readonly answer: Answer } | { readonly refusal: Refusal };
