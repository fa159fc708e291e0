import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createApiKeys, makeApiKey } from "../../../src/access/api-keys.ts";
import type { Scope } from "../../../src/access/identity.ts";
import type { ApiKeyRecord } from "../../../src/domain/access-ports.ts";
import { ownerKey } from "../../../src/domain/owner.ts";

const start = new Date("2027-01-01T00:00:00Z");
const wanted = { owner: "acme", scopes: ["read", "cancel"] as Scope[], name: "the build", createdBy: "root@here" };

/** A store of keys with clocks that stand until they are turned. */
function setUp(...records: ApiKeyRecord[]) {
  const stored = new Map(records.map((record) => [record.id, record]));
  const looks: string[] = [];
  const clock = { now: start.getTime(), monotonicMs: 0 };
  let failure: Error | undefined;
  const keys = createApiKeys({
    store: {
      async find(id) {
        looks.push(id);
        if (failure) throw failure;
        return stored.get(id);
      },
    },
    now: () => new Date(clock.now),
    monotonicMs: () => clock.monotonicMs,
  });
  return {
    keys,
    stored,
    looks,
    clock,
    fail: (error: Error | undefined) => {
      failure = error;
    },
  };
}

const refusal = {
  reason: "UNAUTHENTICATED",
  message: "The API key is not known, has expired or was revoked.",
};

describe("a new key", () => {
  it("has the form by which it is known, with an id and 256 random bits", () => {
    const { key, record } = makeApiKey(wanted, start);
    const [, id, random] = /^reins_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{43})$/.exec(key)!;
    expect(record.id).toBe(id);
    expect(Buffer.from(random!, "base64url")).toHaveLength(32);
  });

  it("is never the same", () => {
    const made = Array.from({ length: 1_000 }, () => makeApiKey(wanted, start));
    expect(new Set(made.map(({ key }) => key.slice(-43)))).toHaveProperty("size", 1_000);
    expect(new Set(made.map(({ record }) => record.id))).toHaveProperty("size", 1_000);
  });

  it("leaves its hash, and nothing of which it could be made", () => {
    const { key, record } = makeApiKey(wanted, start);
    expect(record).toEqual({
      ...wanted,
      id: key.split("_")[1],
      hash: createHash("sha256").update(key).digest("hex"),
      createdAt: start,
    });
    expect(JSON.stringify(record)).not.toContain(key.slice(-43));
  });
});

describe("a key says who calls", () => {
  it("with its owner, name, scopes and id", async () => {
    const { key, record } = makeApiKey(wanted, start);
    expect(await setUp(record).keys.identify(key)).toEqual({
      owner: "acme",
      actor: "the build",
      scopes: new Set(["read", "cancel"]),
      credential: `key:${record.id}`,
    });
  });

  it("whatever its owner is called, and by its id when it has no name", async () => {
    const { key, record } = makeApiKey({ ...wanted, owner: "auth0|7/x", name: "" }, start);
    expect(await setUp(record).keys.identify(key)).toMatchObject({ owner: ownerKey("auth0|7/x"), actor: record.id });
  });

  it("without scopes that nobody knows", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys } = setUp({ ...record, scopes: ["read", "root"] });
    expect((await keys.identify(key)).scopes).toEqual(new Set(["read"]));
  });

  it("up to its end, and not at it", async () => {
    const { key, record } = makeApiKey({ ...wanted, expiresAt: new Date(start.getTime() + 1_000) }, start);
    const { keys, clock } = setUp(record);
    clock.now += 999;
    await keys.identify(key);
    clock.now += 1;
    await expect(keys.identify(key)).rejects.toMatchObject(refusal);
  });
});

describe("whatever is no good is refused with one sentence", () => {
  const { key, record } = makeApiKey(wanted, start);
  const other = makeApiKey(wanted, start);
  const changed = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
  it.each([
    ["one of no form", "reins_x"],
    ["one that goes on", `${key}A`],
    ["one that nobody was given", other.key],
    ["the id of one with the rest of another", `reins_${record.id}_${other.key.slice(-43)}`],
    ["one that differs in its last character", changed],
    ["its hash", record.hash],
    ["one whose id asks for more", `reins_{"$gt":""}____${key.slice(-43)}`],
    ["an empty one", ""],
  ])("%s", async (_, given) => {
    await expect(setUp(record).keys.identify(given)).rejects.toMatchObject(refusal);
  });

  it("one that is revoked", async () => {
    await expect(setUp({ ...record, revokedAt: start }).keys.identify(key)).rejects.toMatchObject(refusal);
  });

  it("and the sentence never quotes it", async () => {
    const error = await setUp().keys.identify(key).catch(String);
    expect(error).not.toContain(key.slice(-43));
  });
});

describe("what was read of a key", () => {
  it("is good for four seconds, so that a revocation is felt within five", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys, stored, looks, clock } = setUp(record);
    await keys.identify(key);
    stored.set(record.id, { ...record, revokedAt: start });
    clock.monotonicMs += 3_999;
    await keys.identify(key);
    expect(looks).toHaveLength(1);
    clock.monotonicMs += 1;
    await expect(keys.identify(key)).rejects.toMatchObject(refusal);
    expect(looks).toHaveLength(2);
  });

  it("counts from the look, not from the last request", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys, stored, clock } = setUp(record);
    for (let second = 0; second < 4; second += 1) {
      await keys.identify(key);
      clock.monotonicMs += 1_000;
    }
    stored.delete(record.id);
    await expect(keys.identify(key)).rejects.toMatchObject(refusal);
  });

  it("is good for four seconds as well when there was nothing", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys, stored, looks, clock } = setUp();
    await expect(keys.identify(key)).rejects.toMatchObject(refusal);
    stored.set(record.id, record);
    await expect(keys.identify(key)).rejects.toMatchObject(refusal);
    expect(looks).toHaveLength(1);
    clock.monotonicMs += 4_000;
    await keys.identify(key);
  });

  it("is not that the database was away: nobody passes meanwhile, and the next one looks again", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys, clock, fail } = setUp(record);
    await keys.identify(key);
    clock.monotonicMs += 4_000;
    fail(new Error("the database is away"));
    for (const _ of [1, 2]) await expect(keys.identify(key)).rejects.toThrow("the database is away");
    fail(undefined);
    expect(await keys.identify(key)).toMatchObject({ owner: "acme" });
  });

  it("is kept of a bounded number of keys, also when somebody tries out many", async () => {
    const { key, record } = makeApiKey(wanted, start);
    const { keys, looks } = setUp(record);
    await keys.identify(key);
    for (let tried = 0; tried < 10_000; tried += 1) {
      const id = tried.toString().padStart(12, "0");
      await keys.identify(`reins_${id}_${key.slice(-43)}`).catch(() => undefined);
    }
    await keys.identify(key);
    expect(looks.filter((id) => id === record.id)).toHaveLength(2);
  });
});
