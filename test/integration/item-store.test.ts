import type { Collection } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Item } from "../../src/domain/item.ts";
import { createItems, type Items } from "../../src/domain/items.ts";
import { databaseTime } from "../../src/storage/database.ts";
import type { ItemDocument } from "../../src/storage/documents.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { openStores } from "../support/stores.ts";

/** What is asked of items before they are stored (test/support/item-contract.ts has what their store does), and what is left. */

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

describe("an item", () => {
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
  const late = { by: new Date(Date.now() - 60_000), limitMs: 10_000 };

  it("is also what begins the time of an item anew", async () => {
    await put(["a"], "k", {}, { ttlMs: 60_000 });
    const before = await documents.find().toArray();
    aheadMs = 5_000;
    await items.get(named(["a"]), { write: late });
    await items.search("", { namespacePrefix: [], write: late });
    expect(await documents.find().toArray()).toEqual(before);
    await items.get(named(["a"]), { write: { ...late, by: new Date(Date.now() + 60_000) } });
    expect(await documents.find().toArray()).not.toEqual(before);
  });

  it("leaves a document that holds nothing, and goes, when it came too late to make one", async () => {
    expect(await items.put({ ...named(["a"]), value: '{"n":1}' }, late)).toBe(false);
    const [left] = await documents.find().toArray();
    expect(Object.keys(left ?? {}).sort()).toEqual(["_id", "expire_at"]);
    expect(left!.expire_at!.getTime()).toBeLessThanOrEqual((await databaseTime(database.db)).getTime());
  });
});
