import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { ApiKeyRecord, ApiKeyStore, AuditEntry, AuditStore } from "../../src/domain/access-ports.ts";
import type { Row } from "./storage-calls.ts";
import type { OpenStores } from "./stores.ts";

async function every<T>(found: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of found) all.push(one);
  return all;
}

export const apiKeyRecord = (change: Partial<ApiKeyRecord> = {}): ApiKeyRecord => ({
  id: randomUUID(),
  hash: "00".repeat(32),
  owner: "acme",
  scopes: ["read"],
  name: "",
  createdAt: new Date(1_000),
  createdBy: "root@here",
  ...change,
});

export const auditEntry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  at: new Date(1_000),
  owner: "acme",
  actor: "ann",
  credential: "key:1",
  call: "RunService/CancelRun",
  targets: [],
  decision: "allowed",
  outcome: "stopped",
  requestId: randomUUID(),
  ...change,
});

/** What every store of API keys must do. */
export function describeApiKeys(which: string, open: () => Promise<ApiKeyStore>): void {
  let keys: ApiKeyStore;
  beforeAll(async () => {
    keys = await open();
  });

  describe(`an API key ${which}`, () => {
    it("is found as it was given", async () => {
      const full = apiKeyRecord({ expiresAt: new Date(5_000), name: "of the build" });
      const plain = apiKeyRecord({ owner: "" });
      for (const record of [full, plain]) await keys.insert(record);
      expect(await keys.find(full.id)).toEqual(full);
      expect(await keys.find(plain.id)).toEqual(plain);
      expect(await keys.find(randomUUID())).toBeUndefined();
    });

    it("is listed with those of its owner, or all, the newest first", async () => {
      const owner = randomUUID();
      const [old, young] = [1_000, 2_000].map((at) => apiKeyRecord({ owner, createdAt: new Date(at) }));
      const other = apiKeyRecord();
      for (const record of [old!, young!, other]) await keys.insert(record);
      expect(await every(keys.list(owner))).toEqual([young, old]);
      const all = (await every(keys.list(undefined))).map(({ id }) => id);
      expect(all).toEqual(expect.arrayContaining([old!.id, young!.id, other.id]));
    });

    it("is revoked once", async () => {
      const record = apiKeyRecord();
      await keys.insert(record);
      expect(await keys.revoke(record.id, new Date(3_000))).toEqual({ ...record, revokedAt: new Date(3_000) });
      expect(await keys.revoke(record.id, new Date(4_000))).toMatchObject({ revokedAt: new Date(3_000) });
      expect(await keys.find(record.id)).toMatchObject({ revokedAt: new Date(3_000) });
      expect(await keys.revoke(randomUUID(), new Date(4_000))).toBeUndefined();
    });
  });
}

/** What every audit must do. */
export function describeAudit(which: string, open: OpenStores): void {
  let audit: AuditStore;
  beforeAll(async () => {
    audit = (await open()).audit;
  });

  describe(`the audit ${which}`, () => {
    it("has every entry as it was given, in the order of time, of an owner or of all", async () => {
      const owner = randomUUID();
      const early = auditEntry({ owner, targets: ["run a/b", "run a/c"] });
      const late = auditEntry({ owner, at: new Date(2_000), decision: "refused" });
      const other = auditEntry();
      for (const entry of [late, other, early]) await audit.append(entry);
      expect(await every(audit.list(owner, new Date(0)))).toEqual([early, late]);
      expect(await every(audit.list(owner, new Date(1_500)))).toEqual([late]);
      const all = (await every(audit.list(undefined, new Date(0)))).map(({ requestId }) => requestId);
      expect(all).toEqual(expect.arrayContaining([early.requestId, late.requestId, other.requestId]));
    });
  });
}

/** See storage-calls.ts. */
export const accessCalls = (anHourAgo: Date): Record<"apiKeys" | "audit", readonly Row[]> => ({
  apiKeys: [
    ["insert", () => [apiKeyRecord()]],
    ["find", () => ["none"]],
    ["list", () => [undefined], "all", "linear"],
    ["list", () => ["acme"], "of an owner", "linear"],
    ["revoke", () => ["none", new Date()]],
  ],
  audit: [
    ["append", () => [auditEntry()]],
    ["list", () => [undefined, anHourAgo], "all", "linear"],
    ["list", () => ["acme", anHourAgo], "of an owner", "linear"],
  ],
});
