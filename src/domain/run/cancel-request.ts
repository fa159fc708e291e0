import type { CancelAction } from "../transitions.ts";
import type { Requester } from "./run.ts";

/** What somebody asks for who wants a run to stop. */
export interface CancelRequest {
  readonly action: CancelAction;
  readonly reason: string;
  readonly requestedBy: Requester;
  readonly actor?: string;
  readonly causeRunId?: string;
  /** A run that was cancelled like that before is refused as every other that is over. */
  readonly refuseRepeat?: boolean;
}
