import { sizeOfDelta, type TextDelta } from "../text-delta.ts";
import type { StreamMode } from "../transitions.ts";
import type { RunName } from "./run.ts";

interface AttemptEvent {
  readonly kind: "attempt";
  readonly attempt: number;
  readonly checkpointId?: string;
}

interface OutputHead {
  readonly kind: "output";
  readonly mode: StreamMode;
  readonly name: string;
  readonly namespace: readonly string[];
  /** The checkpoints of the run's own graph that were made since the event before it. */
  readonly after?: readonly string[];
}

export interface OutputEvent extends OutputHead {
  readonly json: string;
}

/** An event of a run; its sequence number follows from its chunk's `first` and its place. */
export type WholeEvent = AttemptEvent | OutputEvent;

/** An event whose text is stored as what it has of the text of an event before it. */
export interface PackedEvent extends OutputHead {
  readonly delta: TextDelta;
  /** The sequence number of the event that it is made from. */
  readonly base: number;
  /** That of the event where one must begin to read, to have the text of the base. */
  readonly since: number;
}

export type StoredEvent = WholeEvent | PackedEvent;

/** Events that follow each other. */
export interface EventChunk<E extends StoredEvent = WholeEvent> {
  readonly first: number;
  readonly last: number;
  readonly events: readonly E[];
}

/** What an event takes where it is stored. */
export function charactersOf(event: StoredEvent): number {
  if (event.kind !== "output") return 0;
  return "delta" in event ? sizeOfDelta(event.delta) : event.json.length;
}

/** Where the next chunk of a run goes. */
export interface EventHead {
  readonly chunk: number;
  /** The last sequence number that is stored; 1 stands for the created event, which is not stored. */
  readonly last: number;
}

export interface NewChunk {
  readonly run: RunName;
  /** Of the run's thread. */
  readonly journal: string;
  readonly chunk: number;
  readonly token: string;
  /** A number that a fenced writer can no longer take; it holds no events. */
  readonly isFence: boolean;
  readonly first: number | null;
  readonly last: number | null;
  readonly events: readonly StoredEvent[];
}
