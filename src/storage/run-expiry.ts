import type { Collection, Filter } from "mongodb";
import type { DuePage, DueRun, RunStore } from "../domain/ports.ts";
import { after, earliest } from "./keys.ts";
import { type RunDocument, runKey, threadKey, toRun } from "./run-document.ts";
import type { RunSpecs } from "./run-specs.ts";
import { walkIndex } from "./walk-index.ts";

/** How long what has ended is kept; 0: for ever. */
export interface Retention {
  /** A run's events, after its end. */
  readonly eventsTtlMs: number;
  /** A run's record, after its end; its events go before it. */
  readonly runTtlMs: number;
}

export const keepForEver: Retention = { eventsTtlMs: 0, runTtlMs: 0 };

/** Written with a run's end, so that it costs no write of its own. */
export function expiry({ eventsTtlMs, runTtlMs }: Retention, end: Date) {
  const times = [eventsTtlMs, runTtlMs].filter((ms) => ms > 0);
  return {
    ...(times.length > 0 ? { events_expire_at: after(end, Math.min(...times)) } : {}),
    ...(runTtlMs > 0 ? { expire_at: after(end, runTtlMs) } : {}),
  };
}

export type RunExpiry = Pick<RunStore, "eventsDue" | "eventsGone" | "recordsDue" | "removeRecord">;

const eventsAreGone = { events_expire_at: { $exists: false } };

/** What is due of the runs that are over. The records are not left to the database, since what hangs on them goes first. */
export function createRunExpiry(runs: Collection<RunDocument>, specs: Pick<RunSpecs, "remove">): RunExpiry {
  async function find(field: "events_expire_at" | "expire_at", by: Date, rest: Filter<RunDocument>, page: DuePage) {
    const { limit, after: before } = page;
    const last = before && { value: before.at, id: runKey(before.run) };
    // An engine leaves out what equals the inclusive end of a range, where the index goes on behind it.
    const filter: Filter<RunDocument> = { ...rest, [field]: { $gte: earliest, $lt: after(by, 1) } };
    const found = await walkIndex(runs, filter, { field }, limit, last);
    return found.map((doc): DueRun => ({ run: toRun(doc), at: doc[field]! }));
  }

  return {
    /** Index: run_events_by_expiry. */
    eventsDue: (by, page) => find("events_expire_at", by, {}, page),

    async eventsGone(name) {
      await runs.updateOne(
        { _id: runKey(name), thread_id: threadKey(name), phase: "over" },
        { $unset: { events_expire_at: "" } },
      );
    },

    /** Index: runs_by_expiry. In these words an engine does not look for those without a date in the index of the others. */
    recordsDue: (by, page) => find("expire_at", by, { events_expire_at: { $not: { $type: "date" } } }, page),

    /** Guard: it is over, its events are gone, and it is due. */
    async removeRecord(run, before) {
      const guard: Filter<RunDocument> = {
        _id: runKey(run),
        thread_id: threadKey(run),
        phase: "over",
        ...eventsAreGone,
        expire_at: { $gte: earliest, $lte: before },
      };
      if (run.givenApart !== undefined) {
        // From here on nothing makes the guard fail but another removal.
        if (!(await runs.findOne(guard, { projection: { _id: 1 } }))) return false;
        await specs.remove(run);
      }
      return (await runs.deleteOne(guard)).deletedCount === 1;
    },
  };
}
