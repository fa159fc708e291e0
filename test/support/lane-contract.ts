import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { FoundThread, Lanes, StoredThread, ThreadPage } from "../../src/domain/ports.ts";
import { newControl, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { controlsOf, steps } from "../unit/domain/lane-sequences.ts";
import { crowdOfDeciders, faultsOf } from "./lane-deciders.ts";

export interface LaneStoreUnderTest {
  /** An empty store. */
  readonly open: () => Promise<Lanes>;
  /** One unit of a delay on the way to it. */
  readonly delay: (units: number) => Promise<unknown>;
  readonly seeds: readonly number[];
  readonly decisions: number;
}

/** What every store of lanes must do. */
export function describeLanes(which: string, { open, delay, seeds, decisions }: LaneStoreUnderTest): void {
  const newThread = (threadId: string, change: Partial<ThreadControl> = {}, owner = ""): StoredThread => ({
    origin: { owner, threadId, journal: `journal of ${threadId}`, createdAt: 1_000 },
    control: { ...newControl({ threadId, rev: "first", metadata: {} }, 1_000), ...change },
  });
  const nameOf = ({ origin }: StoredThread) => origin;

  describe(`a thread ${which}`, () => {
    let lanes: Lanes;
    let count = 0;
    const id = () => `one-${count++}`;
    beforeAll(async () => {
      lanes = await open();
    });

    it("is inserted once, and each owner has its own", async () => {
      const thread = newThread(id(), { metadata: { by: "the first" } });
      expect(await lanes.read(nameOf(thread))).toBeUndefined();
      expect(await lanes.insert(thread)).toBe(true);
      const twin = newThread(thread.origin.threadId, { rev: "other" });
      expect(await lanes.insert(twin)).toBe(false);
      expect(await lanes.read(nameOf(thread))).toStrictEqual(thread);
      const ofAnother = newThread(thread.origin.threadId, { rev: "another" }, "owner");
      expect(await lanes.read(nameOf(ofAnother))).toBeUndefined();
      expect(await lanes.insert(ofAnother)).toBe(true);
      expect(await lanes.read(nameOf(thread))).toStrictEqual(thread);
      expect(await lanes.read(nameOf(ofAnother))).toStrictEqual(ofAnother);
    });

    it("is written on the revision that is stored, and on no other", async () => {
      const thread = newThread(id());
      const second = { ...thread.control, rev: "second", ttlMs: 5 };
      expect(await lanes.write(nameOf(thread), "first", second)).toBe(false);
      expect(await lanes.read(nameOf(thread))).toBeUndefined();
      await lanes.insert(thread);
      expect(await lanes.write(nameOf(thread), "never", second)).toBe(false);
      expect(await lanes.read(nameOf(thread))).toStrictEqual(thread);
      expect(await lanes.write(nameOf(thread), "first", second)).toBe(true);
      expect(await lanes.write(nameOf(thread), "first", { ...second, rev: "third" })).toBe(false);
      expect(await lanes.read(nameOf(thread))).toStrictEqual({ origin: thread.origin, control: second });
    });

    it("that was removed leaves its place to another, and never comes back", async () => {
      const thread = newThread(id());
      await lanes.insert(thread);
      expect(await lanes.remove(nameOf(thread), "another")).toBe(false);
      expect(await lanes.read(nameOf(thread))).toStrictEqual(thread);
      expect(await lanes.remove(nameOf(thread), "first")).toBe(true);
      expect(await lanes.read(nameOf(thread))).toBeUndefined();
      expect(await lanes.readMany([nameOf(thread)])).toEqual([]);
      expect(await lanes.write(nameOf(thread), "first", { ...thread.control, rev: "late" })).toBe(false);
      expect(await lanes.insert(thread)).toBe(false);
      expect(await lanes.read(nameOf(thread))).toBeUndefined();
      const next = { ...thread, origin: { ...thread.origin, journal: "of the next" } };
      expect(await lanes.insert(next)).toBe(true);
      expect(await lanes.insert(next)).toBe(false);
      expect(await lanes.readMany([nameOf(thread)])).toStrictEqual([next]);
      expect(await lanes.insert(thread)).toBe(false);
    });

    it("is read as it is then, with others or twice at once", async () => {
      const threads = Array.from({ length: 5 }, (_, n) => newThread(id(), { ttlMs: n + 1 }));
      for (const thread of threads) await lanes.insert(thread);
      const wanted = [...threads, threads[0]!].map(nameOf);
      const absent = { owner: "", threadId: id() };
      const read = await Promise.all([...wanted, absent].map((name) => lanes.read(name)));
      expect(read).toStrictEqual([...threads, threads[0], undefined]);
    });

    it("is written by one of many who have read the same", async () => {
      const thread = newThread(id());
      await lanes.insert(thread);
      const revs = Array.from({ length: 8 }, (_, n) => `rev-${n}`);
      const results = await Promise.all(
        revs.map((rev) => lanes.write(nameOf(thread), "first", { ...thread.control, rev })),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await lanes.read(nameOf(thread)))!.control.rev).toBe(revs[results.indexOf(true)]);
    });

    it("is written together with others, each on its own revision", async () => {
      const threads = Array.from({ length: 40 }, () => newThread(id()));
      expect(await Promise.all(threads.map((thread) => lanes.insert(thread)))).toEqual(threads.map(() => true));
      const values = [{ $set: "$rev" }, "$$ROOT", null, [], "", { "a.b": { $c: [1.5, "\u0000"] } }];
      const second = (n: number) => ({ rev: `second-${n}`, metadata: { value: values[n % values.length] }, ttlMs: n });
      const write = async (n: number) => {
        const { origin, control } = threads[n]!;
        // One in five has missed another decision; one is not there any more.
        return lanes.write(origin, n % 5 === 4 ? "never" : "first", { ...control, ...second(n) });
      };
      await lanes.remove(threads[7]!.origin, "first");
      const landed = await Promise.all(threads.map((_, n) => write(n)));
      for (const [n, thread] of threads.entries()) {
        expect(landed[n]).toBe(n % 5 !== 4 && n !== 7);
        const stored = await lanes.read(thread.origin);
        if (n === 7) expect(stored).toBeUndefined();
        else expect(stored!.control).toStrictEqual({ ...thread.control, ...(landed[n] && second(n)) });
      }
    });

    it("is after each decision as it was decided, with nothing left of the one before", async () => {
      for (const sequence of fc.sample(steps, { numRuns: 5, seed: 7 })) {
        const controls = controlsOf(sequence).map((control, n) => ({ ...control, rev: `rev-${n}` }));
        const thread = newThread(id());
        await lanes.insert(thread);
        let from = "first";
        for (const control of controls) {
          const next = { ...control, threadId: thread.origin.threadId };
          expect(await lanes.write(nameOf(thread), from, next)).toBe(true);
          expect(await lanes.read(nameOf(thread))).toStrictEqual({ origin: thread.origin, control: next });
          from = control.rev;
        }
      }
    });
  });

  describe(`threads ${which}`, () => {
    let lanes: Lanes;
    const heads = ["ready", "leased", "held", null] as const;
    const threads = Array.from({ length: 24 }, (_, n): StoredThread => {
      const head = heads[n % 4]!;
      const server = `s${n % 3}`;
      // Many at the same time, of which the ids decide.
      const at = 1_000 + Math.floor(n / 8);
      return newThread(`thread-${String((n * 7) % 24).padStart(2, "0")}`, {
        head,
        ...(head ? { headSince: at } : {}),
        ...(head === "leased" || head === "held" ? { headServer: server } : {}),
        ...(n % 2 === 0 ? { owes: { server, since: at } } : {}),
        ...(n % 5 < 2 ? { due: at } : {}),
        ...(n % 3 === 0 ? { expireAt: at } : {}),
        ...(n % 4 === 1 ? { removing: true } : {}),
        ...(n % 4 === 2 ? { watchedBy: [] } : {}),
        updatedAt: at,
      });
    });
    beforeAll(async () => {
      lanes = await open();
      for (const thread of threads) await lanes.insert(thread);
    });

    const finders: Record<
      string,
      [(page: ThreadPage) => Promise<FoundThread[]>, (control: ThreadControl) => number | false | undefined]
    > = {
      "that may be claimed": [
        (page) => lanes.ready(page),
        ({ head, headSince }) => (head === "ready" ? headSince : false),
      ],
      "that may be claimed, of an owner": [
        (page) => lanes.ready(page, ""),
        ({ head, headSince }) => (head === "ready" ? headSince : false),
      ],
      "that a server executes or holds": [
        (page) => lanes.headedBy("s1", page),
        ({ headServer, headSince }) => (headServer === "s1" ? headSince : false),
      ],
      "that have owed something for long": [
        (page) => lanes.owing(1_001, page),
        ({ owes }) => (owes && owes.since <= 1_001 ? owes.since : false),
      ],
      "that a server owes something": [
        (page) => lanes.owingBy("s2", page),
        ({ owes }) => (owes?.server === "s2" ? owes.since : false),
      ],
      "whose delay has ended": [
        (page) => lanes.due(1_001, page),
        ({ due }) => (due !== undefined && due <= 1_001 ? due : false),
      ],
      "whose time is over": [
        (page) => lanes.expired(1_001, page),
        ({ expireAt }) => (expireAt !== undefined && expireAt <= 1_001 ? expireAt : false),
      ],
      "that are being removed": [
        (page) => lanes.removing(1_001, page),
        ({ removing, updatedAt }) => (removing && updatedAt <= 1_001 ? updatedAt : false),
      ],
      "that are temporary": [
        (page) => lanes.temporary(1_001, page),
        ({ watchedBy, updatedAt }) => (watchedBy && updatedAt <= 1_001 ? updatedAt : false),
      ],
    };

    it.each(Object.entries(finders))("%s are found in order, page by page", async (_, [find, timeOf]) => {
      const expected = threads
        .flatMap(({ origin: { threadId }, control }): FoundThread[] => {
          const at = timeOf(control);
          return at === false || at === undefined ? [] : [{ owner: "", threadId, at, lane: control.lane }];
        })
        .toSorted((a, b) => a.at - b.at || (a.threadId < b.threadId ? -1 : 1));
      expect(expected.length).toBeGreaterThan(2);
      expect(expected.length).toBeLessThan(threads.length);
      expect(await find({ limit: 100 })).toStrictEqual(expected);
      for (const limit of [1, 2, 3]) {
        const found: FoundThread[] = [];
        for (let page = await find({ limit }); page.length > 0; page = await find({ limit, after: found.at(-1)! })) {
          expect(page.length).toBeLessThanOrEqual(limit);
          found.push(...page);
        }
        expect(found).toStrictEqual(expected);
      }
    });

    it("tell which servers execute or hold something", async () => {
      expect(await lanes.headServers()).toEqual(["s0", "s1", "s2"]);
    });
  });

  describe(`many servers that decide at once ${which}`, () => {
    const crowd = { servers: 3, threads: 2, decisions, delay };

    it.each(seeds)("carry out each decision exactly once over a bad network, with seed %i", async (seed) => {
      const played = await crowdOfDeciders(await open(), { ...crowd, seed });
      expect(played.decided).toHaveLength(crowd.servers * crowd.threads * 2 * decisions);
      expect(faultsOf(played)).toEqual([]);
    });
  });
}
