import { ObjectId } from "mongodb";
import type { AuditEntry, AuditStore } from "../domain/access-ports.ts";
import type { Collections } from "./collections.ts";
import type { AuditDocument } from "./documents.ts";
import { createGather } from "./gather.ts";
import { insertEach } from "./insert-each.ts";
import { after } from "./keys.ts";

/** The audit in MongoDB. Entries are inserted and expire; nothing changes one. */
export function createAuditStore(
  { audit }: Pick<Collections, "audit">,
  now: () => Date,
  /** 0: for ever. */
  ttlMs: number,
): AuditStore {
  const insertTogether = createGather((documents: readonly AuditDocument[]) => insertEach(audit, documents));
  return {
    async append({ requestId, ...same }) {
      const expire_at = ttlMs === 0 ? undefined : after(now(), ttlMs);
      await insertTogether({ _id: new ObjectId(), ...same, request_id: requestId, expire_at });
    },

    /** Index: audit_of_owner, or audit_by_time. */
    async *list(owner, since) {
      const query = { ...(owner !== undefined && { owner }), at: { $gte: since } };
      for await (const doc of audit.find(query).sort({ at: 1, _id: 1 })) yield toEntry(doc);
    },
  };
}

const toEntry = ({ _id, expire_at, request_id, ...same }: AuditDocument): AuditEntry => ({
  ...same,
  requestId: request_id,
});
