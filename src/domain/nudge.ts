import type { RunName } from "./run/run.ts";

/**
 * What one server tells another to look at. It may be lost, and may come late or twice: whoever gets one reads the stores before it
 * does anything, and finds the same by itself in time.
 */
export type Nudge =
  /** The cancel of a run that executes with it is stored. The follower, which has stored it, wants to be told of the end. */
  | { readonly kind: "cancel"; readonly run: RunName; readonly follower: string }
  /** The follower wants to be told of the end of a run that executes with it; of its events too, if it says so. */
  | { readonly kind: "follow"; readonly run: RunName; readonly follower: string; readonly events: boolean }
  /** The same of a run that executes nowhere yet, should it come to execute with it. */
  | { readonly kind: "expect"; readonly run: RunName; readonly follower: string; readonly events: boolean }
  /** Events of a run that it follows are stored. */
  | { readonly kind: "events"; readonly run: RunName }
  /** A run that it follows is over, or may be. */
  | { readonly kind: "ended"; readonly run: RunName }
  /** A run waits for a free slot. */
  | { readonly kind: "ready" };

/** What a server has been told by others. */
export interface StoredNudges {
  /** How many batches there have been. */
  readonly count: number;
  /** The last of them, oldest first. */
  readonly batches: readonly (readonly Nudge[])[];
}
