import type { Collection } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Item } from "../../src/domain/item.ts";
import { createItems, type Items } from "../../src/domain/items.ts";
import { databaseTime } from "../../src/storage/database.ts";
import type { ItemDocument } from "../../src/storage/documents.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { openStores } from "../support/stores.ts";

let database: TestDatabase;
let items: Items;
let documents: Collection<ItemDocument>;
let aheadMs = 0;

beforeAll(async () => {
  database = await testDatabase();
  const stores = await openStores(database.db, { now: () => new Date(Date.now() + aheadMs) });
  items = createItems(stores.items, { maxItemBytes: 2048 });
  documents = database.db.collection("items");
});
afterEach(async () => {
  aheadMs = 0;
  await documents.deleteMany({});
});
afterAll(() => database.close());

const named = (namespace: readonly string[], key = "k", owner = "") => ({ owner, namespace, key });
const put = (namespace: readonly string[], key: string, value: object, more: { owner?: string; ttlMs?: number } = {}) =>
  items.put({ owner: "", namespace, key, value: JSON.stringify(value), ...more });
const keysOf = (found: readonly Item[]) => found.map(({ key }) => key);
/** The next write gets a later time of the database. */
async function tick(): Promise<void> {
  const before = await databaseTime(database.db);
  await vi.waitUntil(async () => (await databaseTime(database.db)) > before);
}

describe("an item", () => {
  it("is what was put last, and knows when it was made and changed", async () => {
    expect(await items.get(named(["a"]))).toBeUndefined();
    expect(await put(["a"], "k", { n: 1 })).toBe(true);
    const first = (await items.get(named(["a"])))!;
    expect(first).toMatchObject({
      owner: "",
      namespace: ["a"],
      key: "k",
      value: '{"n":1}',
      createdAt: first.updatedAt,
    });
    await tick();
    await put(["a"], "k", { m: 2 });
    const second = (await items.get(named(["a"])))!;
    expect(second).toMatchObject({ value: '{"m":2}', createdAt: first.createdAt });
    expect(second.updatedAt.getTime()).toBeGreaterThan(first.updatedAt.getTime());
    expect(await items.remove(named(["a"]))).toBe(true);
    expect(await items.get(named(["a"]))).toBeUndefined();
    expect(await items.remove(named(["a"]))).toBe(true);
    expect(await documents.countDocuments()).toBe(0);
  });

  it("may have any key and hold anything that JSON holds", async () => {
    const value = { "a.b": { $set: [1.5, -0.1, null, "\0", "🦊", 9007199254740991] }, $where: "1", "": {}, "\0": 1 };
    const keys = ["", ".", "a.b", "$gt", "a\0b", "a", "🦊", "__proto__", "x".repeat(1024)];
    for (const key of keys) await put(["n"], key, { ...value, key });
    for (const key of keys) {
      const item = await items.get(named(["n"], key));
      expect(JSON.parse(item!.value)).toEqual({ ...value, key });
      expect(item!.key).toBe(key);
    }
    expect(await documents.countDocuments()).toBe(keys.length);
  });

  it("is told apart from all with a similar name, and from those of other owners", async () => {
    const names = [
      ...[named(["a"], "b.c"), named(["a", "b"], "c"), named(["a/b"], "c"), named(["a", "b", "c"], "")],
      ...[named(["a:b"], "c"), named(["a"], "b", "o"), named(["o/a"], "b"), named(["o", "a"], "b")],
    ];
    for (const [n, name] of names.entries()) await items.put({ ...name, value: JSON.stringify({ n }) });
    for (const [n, name] of names.entries()) expect((await items.get(name))?.value).toBe(`{"n":${n}}`);
  });

  it("comes to one of its values when many put it at once", async () => {
    await Promise.all(Array.from({ length: 12 }, (_, n) => put(["a"], "k", { n })));
    expect(await documents.countDocuments()).toBe(1);
    expect(JSON.parse((await items.get(named(["a"])))!.value).n).toBeLessThan(12);
  });

  it.each<[string, Partial<Parameters<Items["put"]>[0]>, string]>([
    ["no namespace", { namespace: [] }, "namespace: must have at least one label"],
    ["an empty label", { namespace: ["a", ""] }, "must not be empty"],
    ["a dot", { namespace: ["a.b"] }, "must not hold a dot"],
    ["a NUL", { namespace: ["a\0"] }, "must not hold a NUL character"],
    ["half a character", { namespace: ["\ud800"] }, "no well-formed Unicode"],
    ["LangGraph's own label", { namespace: ["langgraph", "x"] }, '"langgraph" is LangGraph\'s own'],
    ["a label that is none", { namespace: [{ $gt: "" } as never] }, "is no string"],
    ["a namespace that is none", { namespace: { $ne: null } as never }, "must be a list"],
    ["a long label", { namespace: ["x".repeat(257)] }, "longer than 256"],
    ["a deep namespace", { namespace: Array(33).fill("x") }, "has 33 labels"],
    ["a key that is none", { key: { $gt: "" } as never }, "key: must be a string"],
    ["a long key", { key: "x".repeat(1025) }, "longer than 1024"],
    ["half a character as a key", { key: "\udfff" }, "no well-formed Unicode"],
    ["a list", { value: "[1]" }, "value: must be an object"],
    ["null", { value: "null" }, "value: must be an object"],
    ["a large value", { value: JSON.stringify({ x: "ä".repeat(1024) }) }, "at most 2048 are allowed"],
    ["no time", { ttlMs: 0 }, "ttl: must be more than 0"],
    ["a time that is none", { ttlMs: Number.NaN }, "ttl: must be more than 0"],
  ])("with %s is refused", async (_, wrong, sentence) => {
    const putting = items.put({ ...named(["a"]), value: "{}", ...wrong });
    await expect(putting).rejects.toThrow(sentence);
    await expect(putting).rejects.toMatchObject({ name: "DomainError" });
    expect(await documents.countDocuments()).toBe(0);
  });
});

describe("a time to live", () => {
  const minute = 60_000;

  it("ends an item for every reader, whenever the database removes it", async () => {
    await put(["a"], "mortal", { n: 1 }, { ttlMs: minute });
    await put(["b"], "other", { n: 1 });
    const made = (await items.get(named(["a"], "mortal"), { refreshTtl: false }))!;
    aheadMs = minute + 1_000;
    expect(await items.get(named(["a"], "mortal"))).toBeUndefined();
    expect(keysOf(await items.search("", { namespacePrefix: [] }))).toEqual(["other"]);
    expect(await items.namespaces("", {})).toEqual([["b"]]);
    aheadMs = 0;
    // Put again it is another one, which was made then.
    await documents.updateOne({ key: "mortal" }, { $set: { expire_at: new Date(0) } });
    await tick();
    await put(["a"], "mortal", { n: 2 });
    const again = (await items.get(named(["a"], "mortal")))!;
    expect(again.createdAt.getTime()).toBeGreaterThan(made.createdAt.getTime());
    expect(again.ttlMs).toBeUndefined();
    aheadMs = 10 * minute;
    expect(await items.get(named(["a"], "mortal"))).toBeDefined();
  });

  it("begins anew with each read that does not forbid it", async () => {
    const endOf = async () => (await documents.findOne({ key: "k" }))!.expire_at!.getTime();
    await put(["a"], "k", {}, { ttlMs: minute });
    const first = await endOf();
    aheadMs = 10_000;
    await items.get(named(["a"]), { refreshTtl: false });
    await items.search("", { namespacePrefix: ["a"], refreshTtl: false });
    expect(await endOf()).toBe(first);
    await items.get(named(["a"]));
    const second = await endOf();
    expect(second).toBeGreaterThanOrEqual(first + 10_000);
    aheadMs = 20_000;
    await items.search("", { namespacePrefix: [] });
    expect(await endOf()).toBeGreaterThanOrEqual(second + 10_000 - 1);
  });
});

describe("a search", () => {
  it("finds what is in the namespace and below it, last changed first", async () => {
    for (const [namespace, key] of [
      [["u", "1"], "old"],
      [["u", "1", "x"], "below"],
      [["u", "12"], "longer label"],
      [["u", "2"], "beside"],
      [["u", "1"], "new"],
    ] as const) {
      await put(namespace, key, {});
      await tick();
    }
    const search = async (...namespacePrefix: string[]) => keysOf(await items.search("", { namespacePrefix }));
    expect(await search("u", "1")).toEqual(["new", "below", "old"]);
    expect(await search("u")).toEqual(["new", "beside", "longer label", "below", "old"]);
    expect(await search()).toEqual(["new", "beside", "longer label", "below", "old"]);
    expect(await search("u", "1", "x")).toEqual(["below"]);
    expect(await search("1")).toEqual([]);
    await tick();
    await put(["u", "1"], "old", {});
    expect(await search("u", "1")).toEqual(["old", "new", "below"]);
    expect(await items.search("somebody", { namespacePrefix: [] })).toEqual([]);
  });

  it("answers ten, or pages without a repeat, of what the filter leaves", async () => {
    for (let n = 0; n < 25; n++) await put(["n"], `${n}`, { n, even: n % 2 === 0 });
    expect(await items.search("", { namespacePrefix: ["n"] })).toHaveLength(10);
    const pages: string[] = [];
    for (let offset = 0; offset < 20; offset += 5) {
      const search = { namespacePrefix: ["n"], filter: { even: true, n: { $lt: 24 } }, limit: 5, offset };
      pages.push(...keysOf(await items.search("", search)));
    }
    expect(pages.map(Number).sort((a, b) => a - b)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]);
    expect(await items.search("", { namespacePrefix: ["n"], limit: 0 })).toEqual([]);
  });

  it.each<[object, string]>([
    [{ namespacePrefix: [{ $ne: "a" }] }, "namespace_prefix: the label"],
    [{ namespacePrefix: "a" }, "namespace_prefix: must be a list"],
    [{ namespacePrefix: ["a"], limit: -1 }, "limit: must be a whole number from 0 on"],
    [{ namespacePrefix: ["a"], limit: 1.5 }, "limit: must be"],
    [{ namespacePrefix: ["a"], limit: { $gt: 1 } }, "limit: must be"],
    [{ namespacePrefix: ["a"], offset: -1 }, "offset: must be"],
    [{ namespacePrefix: ["a"], filter: { a: { $where: "1" } } }, "filter:"],
  ])("as %j is refused", async (search, sentence) => {
    await expect(items.search("", search as never)).rejects.toThrow(sentence);
  });
});

describe("the namespaces", () => {
  it("are listed once each, those that match, cut to a depth, in pages", async () => {
    const all = [["a"], ["a", "x"], ["a", "x", "v1"], ["a", "y", "v1"], ["a-b", "x"], ["b", "x"], ["b", "x", "v2"]];
    for (const namespace of all) for (const key of ["1", "2"]) await put(namespace, key, {});
    await put(["foreign"], "k", {}, { owner: "o" });
    const list = async (query: Parameters<Items["namespaces"]>[1]) =>
      (await items.namespaces("", query)).map((labels) => labels.join("/")).sort();
    const prefix = (...labels: string[]) => ({ at: "prefix", labels }) as const;
    const suffix = (...labels: string[]) => ({ at: "suffix", labels }) as const;
    expect(await list({})).toEqual(all.map((labels) => labels.join("/")).sort());
    expect(await list({ match: [prefix("a")] })).toEqual(["a", "a/x", "a/x/v1", "a/y/v1"]);
    expect(await list({ match: [prefix("*", "x")] })).toEqual(["a-b/x", "a/x", "a/x/v1", "b/x", "b/x/v2"]);
    expect(await list({ match: [suffix("v1")] })).toEqual(["a/x/v1", "a/y/v1"]);
    expect(await list({ match: [suffix("x", "*")] })).toEqual(["a/x/v1", "b/x/v2"]);
    expect(await list({ match: [prefix("a"), suffix("x")] })).toEqual(["a/x"]);
    expect(await list({ match: [prefix("a", "x", "v1", "deeper")] })).toEqual([]);
    expect(await list({ maxDepth: 1 })).toEqual(["a", "a-b", "b"]);
    expect(await list({ maxDepth: 2, match: [prefix("a")] })).toEqual(["a", "a/x", "a/y"]);
    expect(await list({ maxDepth: 1, match: [suffix("v1")] })).toEqual(["a"]);
    const pages = [0, 2, 4].map((offset) => items.namespaces("", { maxDepth: 2, limit: 2, offset }));
    const paged = (await Promise.all(pages)).flat().map((labels) => labels.join("/"));
    expect(paged.sort()).toEqual(["a", "a-b/x", "a/x", "a/y", "b/x"]);
    expect(await list({ limit: 0 })).toEqual([]);
  });

  it("are refused a depth of nothing, and labels that cannot be", async () => {
    await expect(items.namespaces("", { maxDepth: 0 })).rejects.toThrow("max_depth: must be a whole number from 1 on");
    const match = [{ at: "suffix", labels: ["a.b"] }] as const;
    await expect(items.namespaces("", { match })).rejects.toThrow("suffix: the label");
  });
});

describe("a write with a limit", () => {
  const limit = (inMs: number) => ({ by: new Date(Date.now() + inMs), limitMs: 10_000 });
  const late = limit(-60_000);
  const inTime = limit(60_000);
  const write = { ...named(["a"]), value: '{"n":1}' };

  it("lands in time", async () => {
    expect(await items.put(write, inTime)).toBe(true);
    expect((await items.get(named(["a"])))?.value).toBe('{"n":1}');
    expect(await items.put({ ...write, value: '{"n":2}', ttlMs: 1_000_000 }, inTime)).toBe(true);
    expect(await items.get(named(["a"]))).toMatchObject({ value: '{"n":2}', ttlMs: 1_000_000 });
    expect(await items.remove(named(["a"]), inTime)).toBe(true);
    expect(await documents.countDocuments()).toBe(0);
  });

  it("changes nothing when its time is over, by the database's clock", async () => {
    await items.put(write);
    const before = await documents.find().toArray();
    expect(await items.put({ ...write, value: '{"n":2}', ttlMs: 5 }, late)).toBe(false);
    expect(await items.remove(named(["a"]), late)).toBe(false);
    expect(await documents.find().toArray()).toEqual(before);
    await put(["a"], "mortal", {}, { ttlMs: 60_000 });
    const mortal = await documents.find().toArray();
    aheadMs = 5_000;
    await items.get(named(["a"], "mortal"), { write: late });
    expect(await documents.find().toArray()).toEqual(mortal);
  });

  it("makes nothing when its time is over", async () => {
    expect(await items.put(write, late)).toBe(false);
    expect(await items.get(named(["a"]))).toBeUndefined();
    expect(await items.search("", { namespacePrefix: [] })).toEqual([]);
    expect(await items.namespaces("", {})).toEqual([]);
    expect(await items.remove(named(["a"]), late)).toBe(true);
    // What an upsert leaves holds nothing, and goes.
    const [left] = await documents.find().toArray();
    expect(Object.keys(left ?? {}).sort()).toEqual(["_id", "expire_at"]);
    expect(left!.expire_at!.getTime()).toBeLessThanOrEqual((await databaseTime(database.db)).getTime());
    expect(await items.put(write)).toBe(true);
    expect(await items.get(named(["a"]))).toMatchObject({ value: '{"n":1}' });
  });
});
