import type { RunName } from "./run.ts";

/** A client's id for a request that creates a run. Batches have ids of their own. */
export interface RequestName {
  readonly owner: string;
  readonly requestId: string;
}

/** A request that came with an id, and the run that it is about. */
export interface IdentifiedRequest extends RequestName, RunName {
  /** Of everything in it but the ids that the server makes. */
  readonly hash: string;
}

export interface RememberedRequest extends IdentifiedRequest {
  /** What it asked for has been done: nothing is made anew, even if the run is gone by now. */
  readonly created: boolean;
  /** It was remembered just now; nobody came before. */
  readonly isMine: boolean;
}
