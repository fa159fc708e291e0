import type { Journal } from "../checkpoints/journal.ts";
import type { Stores } from "../storage/stores.ts";
import type { AttemptHost } from "../worker/attempt-host.ts";

/** What a server stands on: where it stores, and what executes. */
export interface AppParts {
  readonly stores: Stores;
  readonly journal: Journal;
  readonly host: AttemptHost;
}
