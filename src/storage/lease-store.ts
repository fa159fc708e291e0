import type { Filter } from "mongodb";
import type { LeaseStore } from "../domain/ports.ts";
import type { Collections } from "./collections.ts";
import { earliest } from "./keys.ts";
import { type RunDocument, runKey, threadKey, toLeaseDocument, toRun } from "./run-document.ts";

/** Leases live on the runs. Index for all of a server: leases. */
export function createLeaseStore({ runs }: Pick<Collections, "runs">): LeaseStore {
  return {
    async renew(server, until) {
      await runs.updateMany({ "lease.server": server }, { $set: { "lease.until": until } });
    },

    async held(server) {
      return (await runs.find({ "lease.server": server }).toArray()).map(toRun);
    },

    /** A query each, since the embedded engines answer `$or` by reading everything. Index: lease_ends, and leases. */
    async expired(before, deadServers) {
      const over: Filter<RunDocument> = { "lease.until": { $gte: earliest, $lt: before } };
      const filters = [over, ...deadServers.map((server): Filter<RunDocument> => ({ "lease.server": server }))];
      const found = await Promise.all(filters.map((filter) => runs.find(filter).limit(1000).toArray()));
      return [...new Map(found.flat().map((doc) => [doc._id, doc])).values()].map(toRun);
    },

    /** Guard: the lease is still the one that was read, not renewed since. */
    async takeOver(run, lease) {
      const held = run.lease!;
      const doc = await runs.findOneAndUpdate(
        {
          _id: runKey(run),
          thread_id: threadKey(run),
          "lease.token": held.token,
          "lease.until": held.until,
        },
        { $set: { lease: toLeaseDocument(lease) } },
        { returnDocument: "after" },
      );
      return doc ? toRun(doc) : undefined;
    },
  };
}
