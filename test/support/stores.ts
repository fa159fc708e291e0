import type { Db } from "mongodb";
import { type Journal, createJournal as journalOf } from "../../src/checkpoints/journal.ts";
import { type OwnConnections, openStores as open, type Stores, type StoresOptions } from "../../src/storage/stores.ts";
import type { AppParts } from "../../src/wiring/parts.ts";
import { createLeaseClock } from "../../src/worker/lease-clock.ts";

export const wallClock = (): Date => new Date();

/** What is stored, by this machine's time. */
export const openStores = (db: Db, options: Partial<StoresOptions> = {}, own?: OwnConnections): Promise<Stores> =>
  open(db, { now: wallClock, ...options }, own);

/** What a contract opens the stores of its database with, as often as it likes. */
export type OpenStores = (options?: Partial<StoresOptions>) => Promise<Stores>;

/** Checkpoints, by this machine's time. */
export const createJournal = (db: Db): Journal => journalOf(db, wallClock);

/** What a server is made from, but for what executes. */
export async function openParts(db: Db, leaseMs: number): Promise<Omit<AppParts, "host" | "probe">> {
  const clock = createLeaseClock(leaseMs);
  return { stores: await open(db, clock), journal: journalOf(db, clock.now), clock };
}
