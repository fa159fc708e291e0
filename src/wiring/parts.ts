import type { Journal } from "../checkpoints/journal.ts";
import type { Stores } from "../storage/stores.ts";
import type { AttemptHost } from "../worker/attempt-host.ts";
import type { LeaseClock } from "../worker/lease-clock.ts";

/** What a server stands on: where it stores, and what executes. */
export interface AppParts {
  readonly stores: Stores;
  readonly journal: Journal;
  /** Rejects when the database does not answer in time. */
  readonly probe: () => Promise<void>;
  readonly host: AttemptHost;
  /** What stores and journal go by as well. */
  readonly clock: LeaseClock;
}
