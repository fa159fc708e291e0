import type { LeaseStore } from "../domain/stores.ts";
import type { Collections } from "./collections.ts";
import { runKey, threadKey, toLeaseDocument, toRun } from "./run-document.ts";

/** Leases live on the runs. Index for all: leases. */
export function createLeaseStore({ runs }: Pick<Collections, "runs">): LeaseStore {
  return {
    async renew(server, until) {
      await runs.updateMany({ "lease.server": server }, { $set: { "lease.until": until } });
    },

    async held(server) {
      return (await runs.find({ "lease.server": server }).toArray()).map(toRun);
    },

    async expired(before, deadServers) {
      const filter = { $or: [{ "lease.until": { $lt: before } }, { "lease.server": { $in: [...deadServers] } }] };
      return (await runs.find(filter).limit(1000).toArray()).map(toRun);
    },

    /** Guard: the lease is still the one that was read, not renewed since. */
    async takeOver(run, lease) {
      const held = run.lease!;
      const doc = await runs.findOneAndUpdate(
        {
          thread_id: threadKey(run),
          _id: runKey(run),
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
