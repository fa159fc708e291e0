import type { RememberedRequest } from "./request-name.ts";
import type { ParentOfRun, RunName, RunSpec, StatelessRun } from "./run.ts";

/** A run that a caller asks for. */
export interface NewRun extends RunName {
  /** The client chose the id, so that it may be taken. */
  readonly isChosenId: boolean;
  readonly spec: RunSpec;
  /** Who asks, where that is known. */
  readonly actor?: string;
  readonly createThread: boolean;
  /** The run whose node asks. */
  readonly parent?: ParentOfRun;
  /** The client's id for the request, and what is remembered of it: see request-ids.ts. */
  readonly requestId?: string;
  readonly remembered?: RememberedRequest;
  readonly request?: string;
  /** Without a thread of the client's: `threadId` names the one that is made for it. */
  readonly stateless?: StatelessRun;
  readonly given?: GivenFields;
  /** Whether the run may be on a thread with that metadata; THREAD_NOT_FOUND if not. Everywhere when absent. */
  readonly mayEnter?: (thread: Readonly<Record<string, unknown>>) => boolean;
}

/** Which fields of a request were set that make sense with a thread only, or without one only. */
interface GivenFields {
  readonly ifNotExists: boolean;
  readonly multitaskStrategy: boolean;
  readonly onCompletion: boolean;
}
