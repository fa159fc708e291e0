import { AsyncLocalStorage } from "node:async_hooks";
import type { Activity } from "./activity.ts";

/** Whose code is running: set around everything that an attempt executes, and inherited by all that this starts. */
export interface AttemptContext {
  readonly attemptId: string;
  readonly runId: string;
  readonly activity: Activity;
  /** The nodes of subgraphs at which the run is to pause. Known when its graph is open. */
  pauses?: Pauses;
}

export interface Pauses {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export const attemptContext = new AsyncLocalStorage<AttemptContext>();
