import { randomUUID } from "node:crypto";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Item, ItemName, NewItem } from "../../src/domain/item.ts";
import type { ItemStore } from "../../src/domain/ports.ts";
import { until } from "./gates.ts";
import type { OpenStores } from "./stores.ts";

const minute = 60_000;

/** What every store of items must do. The clocks of this machine and of the database must be one. */
export function describeItems(which: string, open: OpenStores): void {
  let items: ItemStore;
  /** How far this server is ahead: what it reads looks so much older. */
  let aheadMs = 0;
  beforeAll(async () => {
    ({ items } = await open({ now: () => new Date(Date.now() + aheadMs) }));
  });
  /** Whose all items of a test are, but for those of others. */
  let owner: string;
  beforeEach(() => {
    owner = randomUUID();
  });
  afterEach(() => {
    aheadMs = 0;
  });

  const named = (namespace: readonly string[] = ["a"], key = "k"): ItemName => ({ owner, namespace, key });
  const valued = (value: object, name = named(), ttlMs?: number): NewItem => {
    return { ...name, value: JSON.stringify(value), ttlMs };
  };
  async function put(item: NewItem): Promise<Item> {
    expect(await items.put(item)).toBe(true);
    return (await items.find(item))!;
  }
  async function all<T>(found: AsyncIterable<T>): Promise<T[]> {
    const read: T[] = [];
    for await (const one of found) read.push(one);
    return read;
  }
  const keys = async (prefix: readonly string[] = [], of = owner) =>
    (await all(items.scan(of, prefix, 10))).map(({ key }) => key);
  const namespaces = async (prefix: readonly string[] = []) => all(items.namespaces(owner, prefix));
  /** The next write gets a later time. */
  async function tick(): Promise<void> {
    const before = Date.now();
    await until(() => Date.now() > before + 1);
  }

  describe(`an item ${which}`, () => {
    it("is what was put last, and knows when it was made and changed", async () => {
      expect(await items.find(named())).toBeUndefined();
      const first = await put(valued({ n: 1 }));
      expect(first).toEqual({ ...valued({ n: 1 }), createdAt: first.updatedAt, updatedAt: expect.any(Date) });
      await tick();
      const second = await put(valued({ m: 2 }, named(), minute));
      expect(second).toMatchObject({ value: '{"m":2}', ttlMs: minute, createdAt: first.createdAt });
      expect(second.updatedAt.getTime()).toBeGreaterThan(first.updatedAt.getTime());
      expect(await put(valued({}))).toMatchObject({ value: "{}", ttlMs: undefined });
      for (const _ of [1, 2]) expect(await items.remove(named())).toBe(true);
      expect(await items.find(named())).toBeUndefined();
      await tick();
      expect((await put(valued({}))).createdAt.getTime()).toBeGreaterThan(second.updatedAt.getTime());
    });

    it("may have any key and hold anything that JSON holds", async () => {
      const value = { "a.b": { $set: [1.5, -0.1, null, "\0", "🦊", 9007199254740991] }, $where: "1", "": {}, "\0": 1 };
      const all = ["", ".", "a.b", "$gt", "$$NOW", "a\0b", "a", "🦊", "__proto__", "x".repeat(1024)];
      for (const key of all) await items.put(valued({ ...value, key }, named(["$n"], key)));
      for (const key of all) {
        const item = (await items.find(named(["$n"], key)))!;
        expect(JSON.parse(item.value)).toEqual({ ...value, key });
        expect(item.key).toBe(key);
      }
      expect((await keys(["$n"])).toSorted()).toEqual(all.toSorted());
      expect(await namespaces()).toEqual([["$n"]]);
    });

    it("is told apart from all with a similar name, and from those of other owners", async () => {
      const names = [
        ...[named(["a"], "b.c"), named(["a", "b"], "c"), named(["a/b"], "c"), named(["a", "b", "c"], "")],
        ...[
          named(["a:b"], "c"),
          { ...named(["a"], "b"), owner: "" },
          named([`${owner}/a`], "b"),
          named(["o", "a"], "b"),
        ],
      ];
      for (const [n, name] of names.entries()) await items.put(valued({ n }, name));
      for (const [n, name] of names.entries()) expect((await items.find(name))?.value).toBe(`{"n":${n}}`);
      await items.remove(names[1]!);
      expect(await Promise.all(names.map(async (name) => (await items.find(name)) === undefined))).toEqual(
        names.map((_, n) => n === 1),
      );
    });

    it("comes to one of its values when many put it at once", async () => {
      const put = Array.from({ length: 12 }, (_, n) => valued({ n }));
      expect(await Promise.all(put.map((item) => items.put(item)))).toEqual(put.map(() => true));
      expect(put.map(({ value }) => value)).toContain((await items.find(named()))!.value);
      expect(await keys()).toEqual(["k"]);
    });
  });

  describe(`the time of an item ${which}`, () => {
    it("ends it for every reader, whenever the database removes it", async () => {
      await put(valued({}, named(["a"], "mortal"), minute));
      await put(valued({}, named(["b"], "other")));
      aheadMs = minute - 5_000;
      expect((await keys()).toSorted()).toEqual(["mortal", "other"]);
      aheadMs = minute + 1_000;
      expect(await items.find(named(["a"], "mortal"))).toBeUndefined();
      expect(await keys()).toEqual(["other"]);
      expect(await namespaces()).toEqual([["b"]]);
    });

    it("is over for good: what is put then is another one", async () => {
      const first = await put(valued({}, named(), minute));
      expect(await items.put(valued({}, named(), 1))).toBe(true);
      await until(async () => (await items.find(named())) === undefined);
      await tick();
      const again = await put(valued({}));
      expect(again.createdAt.getTime()).toBeGreaterThan(first.createdAt.getTime());
      expect(again.createdAt).toEqual(again.updatedAt);
      aheadMs = 10 * minute;
      expect(await items.find(named())).toEqual(again);
    });

    it("begins anew when it is prolonged, in time", async () => {
      const item = await put(valued({}, named(), minute));
      const isThere = async () => (await items.find(named())) !== undefined;
      aheadMs = 30_000;
      await items.prolong(item, { by: new Date(Date.now() - minute), limitMs: 10_000 });
      aheadMs = 70_000;
      expect(await isThere()).toBe(false);
      aheadMs = 30_000;
      await items.prolong(item, { by: new Date(Date.now() + minute), limitMs: 10_000 });
      aheadMs = 70_000;
      expect(await items.find(named())).toEqual(item);
      await items.prolong(item);
      aheadMs = 120_000;
      expect(await isThere()).toBe(true);
      aheadMs = 140_000;
      expect(await isThere()).toBe(false);
    });

    it("is not prolonged for what was put before, or is gone", async () => {
      const item = await put(valued({}, named(), minute));
      await tick();
      await put(valued({}, named(), minute));
      aheadMs = 30_000;
      await items.prolong(item);
      aheadMs = 70_000;
      expect(await items.find(named())).toBeUndefined();
      await items.remove(named());
      await items.prolong(item);
      aheadMs = 0;
      expect(await items.find(named())).toBeUndefined();
    });
  });

  describe(`items ${which}`, () => {
    it("are found in a namespace and below it, last changed first", async () => {
      for (const [namespace, key] of [
        [["u", "1"], "old"],
        [["u", "1", "x"], "below"],
        [["u", "12"], "longer label"],
        [["u", "2"], "beside"],
        [["u", "1"], "new"],
      ] as const) {
        await put(valued({}, named(namespace, key)));
        await tick();
      }
      expect(await keys(["u", "1"])).toEqual(["new", "below", "old"]);
      expect(await keys(["u"])).toEqual(["new", "beside", "longer label", "below", "old"]);
      expect(await keys()).toEqual(["new", "beside", "longer label", "below", "old"]);
      expect(await keys(["u", "1", "x"])).toEqual(["below"]);
      expect(await keys(["1"])).toEqual([]);
      await put(valued({}, named(["u", "1"], "old")));
      expect(await keys(["u", "1"])).toEqual(["old", "new", "below"]);
      expect(await keys([], randomUUID())).toEqual([]);
      expect((await all(items.scan(owner, ["u", "2"], 1)))[0]).toEqual(await items.find(named(["u", "2"], "beside")));
    });

    it("are all found, however few are likely to be wanted", async () => {
      const many = Array.from({ length: 30 }, (_, n) => `${n}`);
      await Promise.all(many.map((key) => items.put(valued({}, named(["n"], key)))));
      for (const batch of [1, 7, 1_000])
        expect((await all(items.scan(owner, ["n"], batch))).map(({ key }) => key).sort()).toEqual(many.toSorted());
    });

    it("tell their namespaces once each, those below one right after it", async () => {
      const those = [["a"], ["a", "x"], ["a", "x", "v1"], ["a", "y"], ["a-b", "x"], ["a!"], ["b", "x"]];
      for (const key of ["1", "2"]) for (const one of those.toReversed()) await put(valued({}, named(one, key)));
      await put({ ...valued({}, named(["foreign"])), owner: randomUUID() });
      const found = await namespaces();
      expect(found.map((labels) => labels.join("/")).sort()).toEqual(those.map((labels) => labels.join("/")).sort());
      const first = found.findIndex(([label]) => label === "a");
      expect(found.slice(first, first + 4)).toEqual([["a"], ["a", "x"], ["a", "x", "v1"], ["a", "y"]]);
      expect(await namespaces(["a"])).toEqual([["a"], ["a", "x"], ["a", "x", "v1"], ["a", "y"]]);
      expect(await namespaces(["a", "x"])).toEqual([
        ["a", "x"],
        ["a", "x", "v1"],
      ]);
      expect(await namespaces(["x"])).toEqual([]);
      for (const key of ["1", "2"]) await items.remove(named(["b", "x"], key));
      expect(await namespaces(["b"])).toEqual([]);
    });
  });

  describe(`a write of an item with a limit ${which}`, () => {
    const limit = (inMs: number) => ({ by: new Date(Date.now() + inMs), limitMs: 10_000 });
    const late = limit(-minute);
    const inTime = limit(60 * minute);

    it("lands in time", async () => {
      expect(await items.put(valued({ n: 1 }), inTime)).toBe(true);
      const first = (await items.find(named()))!;
      expect(first).toMatchObject({ value: '{"n":1}', createdAt: first.updatedAt });
      expect(await items.put(valued({ n: 2 }, named(), minute), inTime)).toBe(true);
      expect(await items.find(named())).toMatchObject({ value: '{"n":2}', ttlMs: minute, createdAt: first.createdAt });
      for (const _ of [1, 2]) expect(await items.remove(named(), inTime)).toBe(true);
      expect(await items.find(named())).toBeUndefined();
    });

    it("changes nothing when its time is over, by the database's clock", async () => {
      const item = await put(valued({ n: 1 }));
      await tick();
      expect(await items.put(valued({ n: 2 }, named(), 1), late)).toBe(false);
      expect(await items.remove(named(), late)).toBe(false);
      aheadMs = 10 * minute;
      expect(await items.find(named())).toEqual(item);
      expect(await all(items.scan(owner, [], 10))).toEqual([item]);
    });

    it("makes nothing when its time is over", async () => {
      expect(await items.put(valued({ n: 1 }), late)).toBe(false);
      // Also for a server whose clock is behind.
      for (const ms of [0, -minute]) {
        aheadMs = ms;
        expect(await items.find(named())).toBeUndefined();
        expect(await keys()).toEqual([]);
        expect(await namespaces()).toEqual([]);
        expect(await items.remove(named(), late)).toBe(true);
      }
      aheadMs = 0;
      const item = await put(valued({ n: 1 }));
      expect(item).toMatchObject({ value: '{"n":1}', createdAt: item.updatedAt });
    });
  });
}
