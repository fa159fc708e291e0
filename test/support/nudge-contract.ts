import { beforeEach, describe, expect, it } from "vitest";
import type { Nudge, StoredNudges } from "../../src/domain/nudge.ts";
import type { NudgeStore } from "../../src/domain/ports.ts";
import { keptBatches } from "../../src/storage/nudge-store.ts";
import { until } from "./gates.ts";

const run = { owner: "somebody", threadId: "thread", runId: "run" };
const ready: Nudge = { kind: "ready" };
const every: Nudge[] = [
  { kind: "cancel", run, follower: "other" },
  { kind: "follow", run, follower: "other", events: true },
  { kind: "expect", run: { ...run, owner: "" }, follower: "other", events: false },
  { kind: "events", run },
  { kind: "ended", run },
  ready,
];

/** What every store of nudges must do. */
export function describeNudges(which: string, open: () => Promise<NudgeStore>): void {
  describe(`nudges ${which}`, () => {
    let store: NudgeStore;
    let server: string;
    let count = 0;
    beforeEach(async () => {
      store = await open();
      server = `server-${count++}`;
      await store.open(server);
    });

    it("are read as they were told, in batches", async () => {
      expect(await store.read(server)).toEqual({ count: 0, batches: [] });
      expect(await store.add(server, every)).toBe(true);
      expect(await store.add(server, [ready])).toBe(true);
      expect(await store.read(server)).toEqual({ count: 2, batches: [every, [ready]] });
    });

    it("are for one server each", async () => {
      await store.open("another");
      await store.add("another", [ready]);
      expect(await store.read(server)).toEqual({ count: 0, batches: [] });
    });

    it("cannot be told to a server that is not there", async () => {
      expect(await store.add("nobody", [ready])).toBe(false);
      expect(await store.read("nobody")).toBeUndefined();
    });

    it("stay when their server says again that it is there", async () => {
      await store.add(server, [ready]);
      await store.open(server);
      expect(await store.read(server)).toEqual({ count: 1, batches: [[ready]] });
    });

    it("are forgotten but for the last ones, and counted all the same", async () => {
      const told = Array.from(
        { length: keptBatches + 3 },
        (_, n): Nudge => ({ kind: "ended", run: { ...run, runId: `${n}` } }),
      );
      for (const one of told) await store.add(server, [one]);
      const batches = told.slice(-keptBatches).map((one) => [one]);
      expect(await store.read(server)).toEqual({ count: told.length, batches });
    });

    it("come one by one from many at once", async () => {
      const told = await Promise.all(Array.from({ length: keptBatches }, () => store.add(server, [ready])));
      expect(told).toEqual(Array(keptBatches).fill(true));
      expect((await store.read(server))!.count).toBe(keptBatches);
    });

    it("are watched until the watcher leaves", async () => {
      const leaving = new AbortController();
      let told = 0;
      let last: StoredNudges | undefined;
      const hear = (nudges?: StoredNudges) => {
        told += 1;
        last = nudges;
      };
      const watching = store.watch(server, hear, leaving.signal);
      await until(() => told === 1);
      await store.open("another");
      await store.add("another", [ready]);
      await store.add(server, [ready]);
      await until(() => told === 2);
      expect(last ?? (await store.read(server))).toEqual({ count: 1, batches: [[ready]] });
      leaving.abort();
      await watching;
      await store.add(server, [ready]);
      expect(told).toBe(2);
    });
  });
}
