import type { JournalPort } from "../checkpoints/journal-port.ts";
import type { CancelAction } from "../domain/transitions.ts";
import type { Pending } from "./child-shares.ts";
import type {
  AttemptEnd,
  AttemptSpec,
  ErrorReport,
  GraphReport,
  Inspection,
  InspectionAnswers,
  ItemsPort,
  OutputTuple,
} from "./protocol.ts";

/** A thread's journal, and the long-term memory of its owner where graphs may use that. */
export interface StoragePort extends JournalPort {
  /** Whose thread it is. */
  readonly owner: string;
  readonly items?: ItemsPort;
}

/** Asks what a graph is like; a state or history is of the thread whose journal is given. */
export type Inspect = <I extends Inspection>(
  storage: StoragePort | undefined,
  inspection: I,
) => Promise<InspectionAnswers[I["kind"]]>;

/** What executes attempts in child processes and really stops them. Implemented by the child pool. */
export interface AttemptHost {
  /** Starts the first child, which loads every graph, and reports the broken ones. */
  start(): Promise<readonly GraphReport[]>;
  /** Attempts that could be placed in shared processes right now, whoever has them. */
  readonly freeSlots: number;
  /** Whether one more attempt of this owner could be placed, once those have their places whose claims are under way. */
  hasRoom(owner: string, pending: Pending): boolean;
  /** There is a run of this owner that finds no room: a process is made ready for it, if there may be one, and `onFree` tells of it. */
  want(owner: string): void;
  /** Runs whenever a slot may have become free. */
  onFree(listener: () => void): void;
  /**
   * Executes an attempt; undefined when no slot is free, or no process may start. `exclusive` gives it a process of its own, which ends with it.
   * `extra` places it although all slots are taken. Cancelling never needs a slot.
   */
  place(spec: AttemptSpec, hooks: AttemptHooks, options: PlaceOptions): PlacedAttempt | undefined;
  /**
   * Resolves when a process may start again, at a pause's end or when others have started; undefined when one may start now. For an
   * exclusive one also while there are as many as may be: then it resolves now and then, and whoever waits asks again.
   */
  untilStart(options?: { readonly exclusive?: boolean }): Promise<void> | undefined;
  /**
   * Reads or edits states, or reads the graph itself, with the graph's own code, in a child that executes no run meanwhile. Rejects with a
   * DomainError: GRAPH_UNAVAILABLE when the graph cannot answer, GRAPH_TIMEOUT when it does not in time, whose process is then replaced. While
   * one keeps its process from turning, the others go on elsewhere. An edit writes through the journal's port, once at most, and is refused by
   * the graph with INVALID_FIELD.
   */
  readonly inspect: Inspect;
  /**
   * Relays a lease renewal to the watchdogs of the children that execute attempts: each kills its process when nothing comes
   * for this long. Idle ones live on.
   */
  renewed(leaseMs: number): void;
  /** Process ids (group leaders) of all children. */
  readonly pids: readonly number[];
  /** Kills every child that is left, with its group. The attempts in them report `displaced`. */
  stop(): Promise<void>;
}

interface PlaceOptions {
  /** Whose it is: processes are never shared between owners. '' by default. */
  readonly owner?: string;
  readonly exclusive: boolean;
  readonly extra?: boolean;
}

export interface PlacedAttempt {
  /**
   * Begins the stop: abort, then, when node functions are left at the end of the grace or the process does not answer its
   * pings, the kill of its process, before which the neighbours are drained where that is quickly possible. Repeating it is
   * harmless. The outcome comes through {@link AttemptHooks.over}.
   */
  stop(action: CancelAction, reason: string): void;
  /** Asks the attempt to stop at its next step boundary; it then reports kind `drained`. */
  drain(): void;
  /** Its lease is lost: kills the process at once; this attempt reports `killed`. */
  kill(): void;
  readonly pid: number;
}

export interface AttemptHooks {
  readonly journal: JournalPort;
  readonly items: ItemsPort;
  /** Output in order. The child sends no more than a bounded amount before the promise resolves (the events are stored). */
  output(events: readonly OutputTuple[]): Promise<void>;
  /** The abort was sent to the process. */
  delivered(): void;
  /** Exactly once: nothing of the attempt runs any more. */
  over(end: AttemptOver): void;
}

export type AttemptOver =
  /** The child said so, after every node function had settled. */
  | { readonly how: "ended"; readonly end: AttemptEnd }
  /** It was being stopped (or `kill()` was called) and its process was killed. */
  | { readonly how: "killed" }
  /** Its process was killed for another attempt's sake, or with the pool: it lost nothing but its current step. */
  | { readonly how: "displaced" }
  /** Its lease could not be renewed in time, and its process ended itself. */
  | { readonly how: "lapsed" }
  /**
   * Its process died by itself. `blamed`: it is the known culprit (alone in the process, or the error was traced to it);
   * otherwise each attempt in the process may be the cause.
   */
  | { readonly how: "crashed"; readonly blamed: boolean; readonly error?: ErrorReport };
