import type { Json, RunError } from "./run/run.ts";
import type { RunStatus, ThreadStatus } from "./transitions.ts";

export interface ThreadInterrupt {
  readonly id: string;
  /** The task that asks. Absent of a question that was stored before tasks were kept beside them. */
  readonly taskId?: string;
  /** Absent of one that was too large to be kept beside its thread. */
  readonly value?: Json;
}

/** What is remembered of the thread's state at the end of a run, so that reading the thread needs no graph. */
export interface RememberedState {
  /** The place in its thread's order of the run that has left it; 0 when an edit or a copy has. */
  readonly n: number;
  /** The graph that the state belongs to. */
  readonly graph: string;
  /** Of the last run that ended; absent when there was none. */
  readonly assistantId?: string;
  readonly checkpointId?: string;
  /** Absent when it was too large to be kept beside the thread, or could not be computed. */
  readonly values?: Json;
  readonly next: readonly string[];
  readonly interrupts: readonly ThreadInterrupt[];
  /** Not all of its questions are here, or not with their values. */
  readonly cut?: boolean;
  /** Values, and those of its questions, are too large to stand here: they have a document of their own, with this name. */
  readonly apart?: string;
  /** It could not be read when its run ended: nothing is known but what is here. */
  readonly unread?: boolean;
}

/** What the factory of a thread's graph was called with; configuration and context as JSON texts of objects. */
export interface GraphOpening {
  readonly assistantId: string;
  readonly configurable?: Json;
  readonly context?: Json;
}

export interface ThreadName {
  readonly owner: string;
  readonly threadId: string;
}

/** The thread as the key of a map. */
export const keyOfThread = ({ owner, threadId }: ThreadName): string => `${owner}/${threadId}`;

export interface Thread extends ThreadName {
  /** Names the journal of this incarnation: a deleted and recreated thread starts afresh. */
  readonly journal: string;
  readonly status: ThreadStatus;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly state?: RememberedState;
  /** Of a copy: how its source's graph was made, by a factory, which no run of its own can tell. */
  readonly opened?: GraphOpening & { readonly graph: string };
  readonly error?: RunError;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** How long it is kept after its last change while no run is live; for ever when absent. */
  readonly ttlMs?: number;
  /** The temporary thread of a stateless run, which disappears with it. */
  readonly temporary: boolean;
  /** The thread is being deleted and takes no new runs. */
  readonly removing: boolean;
}

/**
 * The graph that the thread is for: the one that its state belongs to; before it has a state, the one that its metadata names in
 * `graph_id`, as LangGraph's clients send it.
 */
export function graphOfThread({ state, metadata }: Pick<Thread, "state" | "metadata">): string | undefined {
  if (state) return state.graph;
  const { graph_id: named } = metadata;
  return typeof named === "string" && named !== "" ? named : undefined;
}

/** What the thread's status is computed from when no run is live. */
export interface IdleFacts {
  /** The status of the last run that started, of those that are still there. */
  readonly lastStarted?: RunStatus;
  readonly state?: Pick<RememberedState, "next" | "interrupts" | "unread">;
}

/** The status of a thread without a live run. */
export function idleStatus(facts: IdleFacts): Exclude<ThreadStatus, "busy"> {
  if (facts.lastStarted === "error" || facts.lastStarted === "timeout") return "error";
  const { next = [], interrupts = [], unread = false } = facts.state ?? {};
  if (next.length > 0 || interrupts.length > 0) return "interrupted";
  // The state could not be read: a success counts as finished; after any other end something may be left to do.
  return unread && facts.lastStarted !== "success" ? "interrupted" : "idle";
}
