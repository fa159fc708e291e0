import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { NudgeStore, ServerStore } from "../../src/domain/ports.ts";
import { newRecord } from "./run-records.ts";
import type { OpenStores } from "./stores.ts";

/** What every store of servers and their watches must do. */
export function describeServers(which: string, open: OpenStores): void {
  let servers: ServerStore;
  let nudges: NudgeStore;
  beforeAll(async () => {
    ({ servers, nudges } = await open());
  });

  const known = async (id: string) => (await servers.others("me")).find((one) => one.id === id);
  const one = () => ({ id: randomUUID(), machine: "m", pid: 1, started: "s", children: [2], freeSlots: 3 });

  async function joined() {
    const server = one();
    await servers.join(server);
    await nudges.open(server.id);
    return server;
  }
  async function dead() {
    const server = await joined();
    expect(await servers.declareDead((await known(server.id))!)).toBe(true);
    return server;
  }

  describe(`the servers of a database ${which}`, () => {
    it("beat when they have joined, and not before", async () => {
      const server = one();
      expect(await servers.beat(server)).toBeUndefined();
      expect(await known(server.id)).toBeUndefined();
      const joinedAt = (await servers.join(server))!;
      expect((await servers.beat({ ...server, freeSlots: 1 }))!.getTime()).toBeGreaterThanOrEqual(joinedAt.getTime());
      expect(await known(server.id)).toMatchObject({ ...server, freeSlots: 1, isDead: false });
    });

    it("are told when they were last heard of, and what time it is by the same clock", async () => {
      const server = await joined();
      const beatAt = (await servers.beat(server))!;
      const read = (await known(server.id))!;
      expect(read.seenAt).toEqual(beatAt);
      expect(read.readAt.getTime()).toBeGreaterThanOrEqual(beatAt.getTime());
      const others = (await servers.others(server.id)).map(({ id }) => id);
      expect(others).not.toContain(server.id);
      expect((await servers.others((await joined()).id)).map(({ id }) => id)).toEqual(
        expect.arrayContaining([...others, server.id]),
      );
    });

    it("are declared dead unless they have been heard of since", async () => {
      const server = await joined();
      const before = (await known(server.id))!;
      expect(await servers.declareDead({ ...before, seenAt: new Date(before.seenAt.getTime() - 1) })).toBe(false);
      expect(await servers.beat(server)).toBeDefined();
      expect(await servers.declareDead((await known(server.id))!)).toBe(true);
      expect(await servers.beat(server)).toBeUndefined();
      const after = (await known(server.id))!;
      expect(await servers.declareDead({ ...before, id: randomUUID() })).toBe(false);
      await servers.forget(server.id);
      // Also where the one that has declared it dead first has forgotten it.
      expect(await servers.declareDead(after)).toBe(true);
    });

    it("join as often as they say so, but not after they were declared dead", async () => {
      const server = await joined();
      expect(await servers.join({ ...server, freeSlots: 1 })).toBeDefined();
      expect(await known(server.id)).toMatchObject({ freeSlots: 1, isDead: false });
      const atOnce = one();
      const times = await Promise.all(Array.from({ length: 6 }, () => servers.join(atOnce)));
      expect(times).not.toContain(undefined);
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
      const now = new Date();
      await servers.presumeDead(unknown.id, now);
      expect(await known(unknown.id)).toMatchObject({ seenAt: now, isDead: true });
      expect(await servers.beat(unknown)).toBeUndefined();
    });

    it("that end in order are dead to the others, until they are forgotten with their nudges", async () => {
      const [ending, lost, living] = [await joined(), await dead(), await joined()];
      await servers.end(ending.id);
      expect(await servers.beat(ending)).toBeUndefined();
      for (const { id } of [ending, lost]) {
        expect(await known(id)).toMatchObject({ isDead: true });
        await servers.forget(id);
        expect(await known(id)).toBeUndefined();
        expect(await nudges.read(id)).toBeUndefined();
      }
      const unknown = one();
      await servers.end(unknown.id);
      expect(await known(unknown.id)).toBeUndefined();
      expect(await known(living.id)).toMatchObject({ isDead: false });
      expect(await nudges.read(living.id)).toBeDefined();
    });
  });

  describe(`watches ${which}`, () => {
    const newWatch = (owner = "") => {
      const { threadId, runId } = newRecord();
      return { id: randomUUID(), server: randomUUID(), run: { owner, threadId, runId } };
    };
    async function watched(ifLast = false, owner?: string) {
      const watch = newWatch(owner);
      await servers.watch(watch.id, watch.server, watch.run, { ifLast, actor: owner ?? "" });
      return watch;
    }

    it("are found by their server and by their run", async () => {
      const [first, owned] = [await watched(), await watched(true, "owner")];
      const second = { ...first, id: randomUUID(), server: randomUUID() };
      await servers.watch(second.id, second.server, second.run, { ifLast: true, actor: "ann" });
      const stored = ({ id, server }: typeof first, ifLast: boolean, actor = "") => ({
        id,
        server,
        ifLast,
        actor,
        left: false,
      });
      expect(await servers.watchesOf(first.server)).toEqual([{ ...stored(first, false), ...first.run }]);
      expect(await servers.watchesOf(owned.server)).toEqual([{ ...stored(owned, true, "owner"), ...owned.run }]);
      const ofRun = await servers.watchesOfRun(first.run);
      expect(ofRun).toHaveLength(2);
      expect(ofRun).toEqual(expect.arrayContaining([stored(first, false), stored(second, true, "ann")]));
      expect(await servers.watchesOfRun({ ...first.run, owner: "owner" })).toEqual([]);
      expect(await servers.watchesOf(randomUUID())).toEqual([]);
    });

    it("are stored once, however often they are", async () => {
      const { id, server, run } = await watched(true);
      await servers.markLeft(id);
      for (const other of [server, randomUUID()]) await servers.watch(id, other, run, { ifLast: false, actor: "" });
      expect(await servers.watchesOfRun(run)).toEqual([{ id, server, ifLast: true, actor: "", left: true }]);
    });

    it("are marked when their caller has left, and go when they are of no more use", async () => {
      const watch = await watched(true);
      for (const _ of [1, 2]) await servers.markLeft(watch.id);
      expect(await servers.watchesOfRun(watch.run)).toEqual([
        { id: watch.id, server: watch.server, ifLast: true, actor: "", left: true },
      ]);
      for (const _ of [1, 2]) await servers.unwatch(watch.id);
      expect(await servers.watchesOfRun(watch.run)).toEqual([]);
      expect(await servers.watchesOf(watch.server)).toEqual([]);
      await servers.markLeft(watch.id);
      expect(await servers.watchesOfRun(watch.run)).toEqual([]);
    });

    it("that are barred are gone, and never come", async () => {
      const [there, late] = [await watched(), newWatch()];
      for (const { id, server, run } of [there, late]) {
        for (const _ of [1, 2]) await servers.barWatch(id);
        await servers.watch(id, server, run, { ifLast: false, actor: "" });
        expect(await servers.watchesOf(server)).toEqual([]);
        expect(await servers.watchesOfRun(run)).toEqual([]);
      }
    });
  });
}
