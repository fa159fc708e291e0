import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestClient } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const configFile = fileURLToPath(new URL("../agents/remembering.json", import.meta.url));
let app: TestApp;
let rest: RestClient;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile, maxItemBytes: 1024 } });
  rest = createRestClient(app.app.url);
});
afterEach(async () => {
  await app.db.collection("items").deleteMany({});
});
afterAll(() => app.close());

const put = (namespace: string[], key: string, value: object, more: object = {}) =>
  rest.put("/store/items", { namespace, key, value, ...more });
const get = (namespace: string, key: string, more = "") =>
  rest.get(`/store/items?${new URLSearchParams({ namespace, key })}${more}`);

describe("items of the long-term memory", () => {
  it("are put, read, replaced and removed", async () => {
    expect(await put(["users", "ada"], "likes", { what: "tea" })).toMatchObject({ status: 204, text: "" });
    const first = (await get("users.ada", "likes")).body;
    expect(first).toEqual({
      namespace: ["users", "ada"],
      key: "likes",
      value: { what: "tea" },
      created_at: expect.stringMatching(/^20.*\+00:00$/),
      updated_at: first.created_at,
    });
    await put(["users", "ada"], "likes", { what: "coffee" }, { index: false, ttl: null });
    const second = (await get("users.ada", "likes")).body;
    expect(second).toMatchObject({ value: { what: "coffee" }, created_at: first.created_at });
    expect((await rest.delete("/store/items", { namespace: ["users", "ada"], key: "likes" })).status).toBe(204);
    expect(await get("users.ada", "likes")).toMatchObject({ status: 200, body: null });
    expect((await rest.delete("/store/items", { namespace: ["users", "ada"], key: "likes" })).status).toBe(204);
  });

  it("live as many minutes as they are put for, from the last read that does not say otherwise", async () => {
    await put(["a"], "k", {}, { ttl: 1.5 });
    const endOf = async () => (await app.db.collection("items").findOne({ key: "k" }))!.expire_at.getTime();
    expect(Math.abs((await endOf()) - Date.now() - 90_000)).toBeLessThan(60_000);
    await app.db.collection("items").updateOne({ key: "k" }, { $set: { expire_at: new Date(Date.now() + 60_000) } });
    const shortened = await endOf();
    await get("a", "k", "&refresh_ttl=false");
    await rest.post("/store/items/search", { namespace_prefix: ["a"], refresh_ttl: false });
    await rest.get("/store/items?namespace=a&key=k", { headers: { "sec-fetch-site": "cross-site" } });
    expect(await endOf()).toBe(shortened);
    await get("a", "k");
    expect(await endOf()).toBeGreaterThan(shortened);
  });

  it("are searched", async () => {
    for (const n of [1, 2, 3]) await put(["notes", `of ${n}`], `${n}`, { n, kind: "note" });
    await put(["other"], "o", { n: 9 });
    const search = async (body: object) => (await rest.post("/store/items/search", body)).body.items;
    const keys = async (body: object) => (await search(body)).map(({ key }: { key: string }) => key).sort();
    expect(await keys({})).toEqual(["1", "2", "3", "o"]);
    expect(await keys({ namespace_prefix: ["notes"], filter: null, query: "what is new?" })).toEqual(["1", "2", "3"]);
    expect(await keys({ namespace_prefix: ["notes"], filter: { n: { $gte: 2 }, kind: "note" } })).toEqual(["2", "3"]);
    expect(await search({ namespace_prefix: [], limit: 1, offset: 3 })).toHaveLength(1);
    expect(await search({ namespace_prefix: ["other"] })).toEqual([{ ...(await get("other", "o")).body, score: null }]);
  });

  it("are in namespaces that are listed", async () => {
    for (const namespace of [["a", "x"], ["a", "y", "z"], ["b"]]) await put(namespace, "k", {});
    const list = async (body: object) => (await rest.post("/store/namespaces", body)).body;
    expect(await list({})).toEqual({ namespaces: [["a", "x"], ["a", "y", "z"], ["b"]] });
    expect(await list({ prefix: ["a"], max_depth: 2 })).toEqual({
      namespaces: [
        ["a", "x"],
        ["a", "y"],
      ],
    });
    expect(await list({ suffix: ["z"], prefix: null, limit: 5, offset: 0 })).toEqual({ namespaces: [["a", "y", "z"]] });
  });

  it("are the same that graphs see", async () => {
    const kit = await createRestKit(app.app.url);
    await put(["shared"], "from a client", { n: 1 });
    const acts = [
      { do: "get", namespace: ["shared"], key: "from a client" },
      { do: "put", namespace: ["shared"], key: "from a graph", value: { n: 2 } },
    ];
    const input = { dir: kit.gates.dir, acts };
    const done = await kit.rest.post(`${kit.thread}/runs/wait`, { assistant_id: "remembering", input });
    expect(done.body.answers).toMatchObject([{ key: "from a client", value: { n: 1 } }]);
    expect((await get("shared", "from a graph")).body).toMatchObject({ value: { n: 2 } });
    kit.gates.remove();
  });

  it.each<[string, () => ReturnType<RestClient["get"]>, number, string]>([
    ["no namespace", () => put([], "k", {}), 422, "namespace: must have at least one label"],
    ["a dot in a label", () => put(["a.b"], "k", {}), 422, "must not hold a dot"],
    ["LangGraph's own label", () => put(["langgraph"], "k", {}), 422, "langgraph"],
    ["a list as value", () => put(["a"], "k", []), 422, "value"],
    ["a large value", () => put(["a"], "k", { x: "x".repeat(2_000) }), 413, "at most 1024 are allowed"],
    ["no time", () => put(["a"], "k", {}, { ttl: 0 }), 422, "ttl"],
    [
      "an operator as key",
      () => rest.put("/store/items", { namespace: ["a"], key: { $gt: "" }, value: {} }),
      422,
      "key",
    ],
    ["a read without a key", () => rest.get("/store/items?namespace=a"), 422, "Query parameter key is missing"],
    ["a read with an empty label", () => get("a..b", "k"), 422, "must not be empty"],
    ["an unknown operator", () => rest.post("/store/items/search", { filter: { a: { $where: "1" } } }), 422, "$where"],
    ["a depth of nothing", () => rest.post("/store/namespaces", { max_depth: 0 }), 422, "max_depth"],
    ["a deletion without a key", () => rest.delete("/store/items", { namespace: ["a"] }), 422, "key"],
  ])("are refused with %s", async (_, send, status, detail) => {
    const answer = await send();
    expect(answer).toMatchObject({ status, body: { detail: expect.stringContaining(detail) } });
    expect(await app.db.collection("items").countDocuments()).toBe(0);
  });
});
