import type { StreamMode } from "../transitions.ts";
import type { RunName } from "./run.ts";

/** A stored event; its sequence number follows from its chunk's `first` and its place. */
export type StoredEvent =
  | { readonly kind: "attempt"; readonly attempt: number; readonly checkpointId?: string }
  | {
      readonly kind: "output";
      readonly mode: StreamMode;
      readonly name: string;
      readonly namespace: readonly string[];
      readonly json: string;
      /** The checkpoints of the run's own graph that were made since the event before it. */
      readonly after?: readonly string[];
    };

export interface EventChunk {
  readonly first: number;
  readonly last: number;
  readonly events: readonly StoredEvent[];
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
