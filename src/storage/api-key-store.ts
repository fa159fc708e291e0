import type { ApiKeyRecord, ApiKeyStore } from "../domain/access-ports.ts";
import type { Collections } from "./collections.ts";
import type { ApiKeyDocument } from "./documents.ts";
import { earliest } from "./keys.ts";

/** API keys in MongoDB: few, looked for by `_id`. */
export function createApiKeyStore({ apiKeys }: Pick<Collections, "apiKeys">): ApiKeyStore {
  return {
    async find(id) {
      const doc = await apiKeys.findOne({ _id: id });
      return doc ? toRecord(doc) : undefined;
    },

    async insert({ id, createdAt, createdBy, expiresAt, ...same }) {
      const times = { created_at: createdAt, created_by: createdBy, expires_at: expiresAt };
      await apiKeys.insertOne({ _id: id, ...same, ...times });
    },

    /** Index: keys_of_owner, or keys_by_time. */
    async *list(owner) {
      const found = apiKeys
        .find(owner === undefined ? { created_at: { $gte: earliest } } : { owner })
        .sort({ created_at: -1, _id: -1 });
      for await (const doc of found) yield toRecord(doc);
    },

    /** Guard: not revoked yet. */
    async revoke(id, at) {
      await apiKeys.updateOne({ _id: id, revoked_at: { $exists: false } }, { $set: { revoked_at: at } });
      return this.find(id);
    },
  };
}

const toRecord = ({ _id, created_at, created_by, expires_at, revoked_at, ...same }: ApiKeyDocument): ApiKeyRecord => ({
  ...same,
  id: _id,
  createdAt: created_at,
  createdBy: created_by,
  ...(expires_at && { expiresAt: expires_at }),
  ...(revoked_at && { revokedAt: revoked_at }),
});
