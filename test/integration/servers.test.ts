import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ServerStore } from "../../src/domain/ports.ts";
import { collections } from "../../src/storage/collections.ts";
import { createNudgeStore } from "../../src/storage/nudge-store.ts";
import { createServerStore } from "../../src/storage/servers.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { wallClock } from "../support/stores.ts";

describe("the servers of a database", () => {
  let database: TestDatabase;
  let servers: ServerStore;
  beforeAll(async () => {
    database = await testDatabase();
    servers = createServerStore(collections(database.db), wallClock);
  });
  afterAll(() => database.close());

  const nudges = () => createNudgeStore(collections(database.db), () => undefined);
  const known = async (id: string) => (await servers.others("me")).find((one) => one.id === id);
  const one = () => ({ id: randomUUID(), machine: "m", pid: 1, started: "s", children: [2], freeSlots: 3 });

  async function joined() {
    const server = one();
    await servers.join(server);
    await nudges().open(server.id);
    return server;
  }
  async function dead() {
    const server = await joined();
    expect(await servers.declareDead((await known(server.id))!)).toBe(true);
    return server;
  }

  it("beat when they have joined, and not before", async () => {
    const server = one();
    expect(await servers.beat(server)).toBeUndefined();
    const joinedAt = (await servers.join(server))!;
    expect((await servers.beat({ ...server, freeSlots: 1 }))!.getTime()).toBeGreaterThanOrEqual(joinedAt.getTime());
    expect(await known(server.id)).toMatchObject({ ...server, freeSlots: 1, isDead: false });
  });

  it("are declared dead unless they have been heard of since", async () => {
    const server = await joined();
    const before = (await known(server.id))!;
    expect(await servers.declareDead({ ...before, seenAt: new Date(before.seenAt.getTime() - 1) })).toBe(false);
    expect(await servers.beat(server)).toBeDefined();
    expect(await servers.declareDead((await known(server.id))!)).toBe(true);
    expect(await servers.beat(server)).toBeUndefined();
    expect(await servers.declareDead((await known(server.id))!)).toBe(true);
  });

  it("join as often as they say so, but not after they were declared dead", async () => {
    const server = await joined();
    expect(await servers.join({ ...server, freeSlots: 1 })).toBeDefined();
    expect(await known(server.id)).toMatchObject({ freeSlots: 1, isDead: false });
    const lost = await dead();
    const before = await known(lost.id);
    expect(await servers.join(lost)).toBeUndefined();
    expect({ ...(await known(lost.id)), readAt: undefined }).toEqual({ ...before, readAt: undefined });
  });

  it("are presumed dead only where nobody knows them", async () => {
    const server = await joined();
    const before = await known(server.id);
    await servers.presumeDead(server.id, new Date());
    expect({ ...(await known(server.id)), readAt: undefined }).toEqual({ ...before, readAt: undefined });
    const unknown = one();
    await servers.presumeDead(unknown.id, new Date());
    expect(await known(unknown.id)).toMatchObject({ isDead: true });
    expect(await servers.beat(unknown)).toBeUndefined();
  });

  it("that end in order are dead to the others, until they are forgotten with their nudges", async () => {
    const [ending, lost] = [await joined(), await dead()];
    await servers.end(ending.id);
    expect(await servers.beat(ending)).toBeUndefined();
    for (const { id } of [ending, lost]) {
      expect(await known(id)).toMatchObject({ isDead: true });
      await servers.forget(id);
      expect(await known(id)).toBeUndefined();
      expect(await nudges().read(id)).toBeUndefined();
    }
  });
});
