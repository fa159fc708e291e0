import type { Requester, RunError } from "../run/run.ts";
import { idleStatus, type RememberedState } from "../thread.ts";
import type { CancelAction, CancelOutcome, Phase, RunStatus, ThreadStatus } from "../transitions.ts";
import { named } from "./large-state.ts";

/** Milliseconds since 1970, by the database's clock. */
export type Time = number;

/**
 * What decides about a thread: its lane with the live runs, what is computed from it, and what clients keep beside it. Plain
 * JSON, never changed in place; only {@link reduce} makes a new one. What a thread is born with (owner, journal, when it was
 * created) is not here, since nothing decides about it.
 */
export interface ThreadControl extends ComputedControl {
  readonly threadId: string;
  /** Made anew by every decision that is written: the guard of the next one. */
  readonly rev: string;
  /** The last `rev` that each server has written here lately: see marks.ts. */
  readonly marks: readonly Mark[];
  readonly lane: Lane;
  /** What is remembered of the thread's state; absent without a checkpoint. */
  readonly state?: RememberedState;
  /** The outcome of the last run that started and was not rolled back: what the thread returns to when no run is live. */
  readonly last?: LastOutcome;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** How long the thread is kept after its last change while no run is live; for ever when absent. */
  readonly ttlMs?: number;
  readonly updatedAt: Time;
  /** The thread of a stateless run, which disappears with it: the servers in which somebody waits for that run. */
  readonly watchedBy?: readonly string[];
  /** The thread is being deleted and takes no new runs. */
  readonly removing?: true;
}

/** Computed at the end of every decision (compute.ts), and set nowhere else. Storage keeps indexes on them. */
export interface ComputedControl {
  /** What stands first: a run that may be claimed, one that executes, or something that holds the thread. */
  readonly head: "ready" | "leased" | "held" | null;
  /** The server that executes the head, or holds the thread. */
  readonly headServer?: string;
  /** Since when the head is what it is. */
  readonly headSince?: Time;
  /** The oldest end, or rollback, that is still to be told or carried out. */
  readonly owes?: Debt;
  /** When the earliest delay ends. */
  readonly due?: Time;
  readonly status: ThreadStatus;
  readonly error?: RunError;
  /** When the thread is to be removed for its age. */
  readonly expireAt?: Time;
}

/** The thread's runs that are live, or whose end is not in their record yet, in the order in which they execute. */
export interface Lane {
  /** The number of the newest run. */
  readonly n: number;
  readonly entries: readonly Entry[];
  /** Stands before all entries: something that must not meet a run. */
  readonly holder?: Holder;
  /** While it is set no run of the thread is claimed. */
  readonly hold?: { readonly reason: string; readonly since: Time };
}

/**
 * A run in its thread's lane, with no more than is needed to decide about it: what is as it is for most runs is left out.
 * It leaves when its record says the same.
 */
export interface Entry {
  readonly run: string;
  /** The order of creation; of a delayed run, the order of joining once it has joined. */
  readonly n: number;
  /** Counts the changes, so that the record never goes back to an earlier one. */
  readonly changes: number;
  readonly phase: Phase;
  /** The run is delayed until then: it blocks nothing, and counts as live. */
  readonly due?: Time;
  /** When it first executed; absent of a run that has not. */
  readonly first?: Time;
  /** Executions so far; absent for none. */
  readonly attempt?: number;
  /** Executions that were lost to crashes. */
  readonly lost?: number;
  /** Processes of an execution are not known to be dead, however the run goes on: no stop of it may be called more than fenced. */
  readonly unreachable?: true;
  /** Execute it in a process of its own: a process that it ran in has crashed. */
  readonly alone?: true;
  /** Its creation has made sure that its record is stored, so that the entry is not to be forgotten. */
  readonly confirmed?: true;
  /** The run whose node created it, unless it outlives that one. */
  readonly parent?: { readonly threadId: string; readonly runId: string };
  readonly lease?: EntryLease;
  readonly cancel?: EntryCancel;
  /** Where the last execution left off, while the run waits for the next one. */
  readonly left?: { readonly sequence: number; readonly checkpoint?: string };
  readonly end?: EntryEnd;
  /** Who is to carry out a rollback, or to tell the end, first of all; anybody may. */
  readonly owed?: Debt;
}

export interface EntryLease {
  readonly token: string;
  readonly server: string;
  /** Tokens of executions before this lease which may still write until they are fenced. */
  readonly tokensToFence?: readonly string[];
}

export interface EntryCancel {
  readonly action: CancelAction;
  readonly reason: string;
  readonly by: Requester;
  readonly actor?: string;
  /** The run for whose sake it was asked. */
  readonly cause?: string;
  readonly at: Time;
  readonly deliveredAt?: Time;
}

export interface EntryEnd {
  readonly status: RunStatus;
  readonly error?: RunError;
  /** Of a cancelled run. */
  readonly outcome?: Exclude<CancelOutcome, "requested">;
  readonly sequence: number;
  readonly checkpoint?: string;
  readonly at: Time;
  /** The lease that ended with it, so that a repeated settle is known as such. */
  readonly token?: string;
}

export interface Debt {
  readonly server: string;
  readonly since: Time;
}

export interface Mark {
  readonly server: string;
  readonly rev: string;
  readonly at: Time;
}

export type HolderKind = "copy" | "prune" | "edit" | "delete";

export interface Holder {
  readonly kind: HolderKind;
  /** Names the hold; an edit's is the token of its writes. */
  readonly id: string;
  readonly server: string;
  readonly since: Time;
  /** What is to be removed: the run's id. Whoever takes the hold over completes it. */
  readonly target?: string;
  /** Holds before it which may still write until they are fenced. */
  readonly tokensToFence?: readonly string[];
}

export interface LastOutcome {
  readonly n: number;
  readonly status: RunStatus;
  readonly error?: RunError;
  /** The state that it left is not remembered yet. */
  readonly unread?: true;
}

/** A thread as it is created. */
export const newControl = (
  given: Pick<ThreadControl, "threadId" | "rev" | "metadata" | "ttlMs" | "watchedBy" | "state">,
  now: Time,
): ThreadControl =>
  lean({
    threadId: given.threadId,
    rev: given.rev,
    marks: [],
    lane: { n: 0, entries: [] },
    head: null,
    status: idleStatus({ state: given.state }),
    state: given.state && named(given.state, given.rev),
    metadata: given.metadata,
    ttlMs: given.ttlMs,
    expireAt: given.ttlMs === undefined ? undefined : now + given.ttlMs,
    updatedAt: now,
    watchedBy: given.watchedBy,
  });

/** The same without the fields that are undefined, as it is after it was stored. */
export function lean<T extends object>(value: T): T {
  const fields = Object.entries(value);
  return fields.every(([, field]) => field !== undefined)
    ? value
    : (Object.fromEntries(fields.filter(([, field]) => field !== undefined)) as T);
}

export const isEnded = ({ phase }: Entry): boolean => phase === "over";

/** Its delay has not ended; one that has is taken away by the decision that lets the run join. */
export const isDelayed = ({ phase, due }: Entry): boolean => phase === "waiting" && due !== undefined;

export const liveEntries = ({ entries }: Lane): Entry[] => entries.filter((entry) => !isEnded(entry));

/** The entry whose turn it is: the first that is neither over nor delayed. There is no other turn. */
export const firstInTurn = ({ entries }: Lane): Entry | undefined =>
  entries.find((entry) => !isEnded(entry) && !isDelayed(entry));

export const entryOf = ({ lane }: ThreadControl, run: string): Entry | undefined =>
  lane.entries.find((entry) => entry.run === run);

/** What the world is told of it. A rollback begins only on what has executed. */
export function statusOf({ phase, end }: Entry): RunStatus {
  if (phase === "over") return end!.status;
  return phase === "waiting" ? "pending" : "running";
}

export const withLane = (control: ThreadControl, change: Partial<Lane>): ThreadControl => ({
  ...control,
  lane: lean({ ...control.lane, ...change }),
});

/** The control with the entry in the place of the one of the same run. */
export const withEntry = (control: ThreadControl, entry: Entry): ThreadControl =>
  withLane(control, { entries: control.lane.entries.map((one) => (one.run === entry.run ? entry : one)) });

export const withoutEntry = (control: ThreadControl, run: string): ThreadControl =>
  withLane(control, { entries: control.lane.entries.filter((one) => one.run !== run) });
