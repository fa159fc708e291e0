import type { Run, RunName } from "./run.ts";

export interface BatchName {
  readonly owner: string;
  readonly batchId: string;
}

/** One of which some runs may not be created. */
export interface UndoneBatch extends BatchName {
  readonly created: Date;
}

/** A decided batch of stateless runs. */
export interface Batch extends BatchName {
  readonly hash: string;
  readonly created: Date;
  readonly done: boolean;
  readonly runs: readonly RunName[];
  /** The runs as they are to be created; empty when they have been. */
  readonly records: readonly Run[];
}
