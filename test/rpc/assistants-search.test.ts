import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Assistant, errorReason, toPayload } from "../../src/client/index.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

type Filter = Parameters<TestApp["client"]["assistants"]["countAssistants"]>[0]["filter"];

const graphs = ["broken", "created", "factory", "functional", "gated", "layered", "mirror", "tuned", "typed"];
/** In order of creation. */
const configured: { name: string; graphId: string; metadata: JsonObject }[] = [
  { name: "Alpha", graphId: "gated", metadata: { team: "red", deep: { a: 1, b: [1, { c: 2 }] } } },
  { name: "beta", graphId: "mirror", metadata: { team: "red", deep: { a: 1 } } },
  { name: "gamma", graphId: "gated", metadata: { team: "blue", "a.b": { $ne: null }, none: null } },
  { name: "ALPHA (2)", graphId: "mirror", metadata: { team: null, deep: { a: 1, b: [1] } } },
  { name: "Über alpha.*", graphId: "gated", metadata: {} },
];

let app: TestApp;
let assistants: TestApp["client"]["assistants"];
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: assistantGraphs } });
  assistants = app.client.assistants;
  for (const one of configured) await assistants.createAssistant(one);
});
afterAll(() => app.close());

const names = (found: readonly Assistant[]) => found.map(({ name }) => name);
const newestFirst = configured.map(({ name }) => name).reverse();

/** All pages, and how long each is. */
async function pages(pageSize: number, filter?: Filter) {
  const found: Assistant[] = [];
  const sizes: number[] = [];
  let pageToken = "";
  do {
    const page = await assistants.searchAssistants({ filter, pageSize, pageToken });
    found.push(...page.assistants);
    if (sizes.length > 20) throw new Error("the pages do not end");
    sizes.push(page.assistants.length);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return { found, sizes };
}

it("finds the graphs' own first, by name, then configured ones, newest first", async () => {
  const { assistants: found, nextPageToken } = await assistants.searchAssistants({});
  expect(names(found)).toEqual([...graphs, ...newestFirst]);
  expect(found.map(({ system }) => system)).toEqual([...graphs.map(() => true), ...newestFirst.map(() => false)]);
  expect(nextPageToken).toBe("");
  for (const one of found) {
    const { assistant } = await assistants.getAssistant({ assistantId: one.assistantId });
    expect(one).toEqual(assistant);
  }
});

describe("filters", () => {
  const cases: [string, Filter, string[]][] = [
    ["nothing set", {}, [...graphs, ...newestFirst]],
    ["a graph", { graphId: "gated" }, ["gated", "Über alpha.*", "gamma", "Alpha"]],
    ["a graph that is not there", { graphId: "gate" }, []],
    ["a part of the name", { name: "alpha" }, ["Über alpha.*", "ALPHA (2)", "Alpha"]],
    ["a part of the name, in the other case", { name: "üBER AL" }, ["Über alpha.*"]],
    ["text that is no pattern", { name: ".*" }, ["Über alpha.*"]],
    ["a part of a graph's name", { name: "TED" }, ["created", "gated"]],
    ["a value", { metadata: { team: "red" } }, ["beta", "Alpha"]],
    ["an object that has more fields", { metadata: { deep: { a: 1 } } }, ["ALPHA (2)", "beta", "Alpha"]],
    ["a list, as a whole", { metadata: { deep: { b: [1] } } }, ["ALPHA (2)"]],
    ["a list with an object", { metadata: { deep: { b: [1, { c: 2 }] } } }, ["Alpha"]],
    ["null, which is not absent", { metadata: { team: null } }, ["ALPHA (2)"]],
    ["an empty object", { metadata: { deep: {} } }, ["ALPHA (2)", "beta", "Alpha"]],
    ["names that read as operators", { metadata: { "a.b": { $ne: null } } }, ["gamma"]],
    ["a field that every object has", { metadata: { constructor: null } }, []],
    ["another type", { metadata: { deep: { a: "1" } } }, []],
    ["the graphs' own", { metadata: { created_by: "system" } }, graphs],
    ["all three", { graphId: "gated", name: "a", metadata: { team: "red" } }, ["Alpha"]],
  ];

  it.each(cases)("%s", async (_, filter, expected) => {
    const { assistants: found } = await assistants.searchAssistants({ filter });
    expect(names(found)).toEqual(expected);
    expect((await assistants.countAssistants({ filter })).count).toBe(BigInt(expected.length));
  });
});

describe("pages", () => {
  it.each([1, 2, 3, 5, 8, 13, 14, 1000])("of %i are exact", async (size) => {
    const { found, sizes } = await pages(size);
    expect(names(found)).toEqual([...graphs, ...newestFirst]);
    expect(sizes.slice(0, -1).every((length) => length === size)).toBe(true);
    expect(sizes).toHaveLength(Math.ceil(found.length / size));
  });

  it("of a filter", async () => {
    expect(names((await pages(1, { name: "alpha" })).found)).toEqual(["Über alpha.*", "ALPHA (2)", "Alpha"]);
  });

  it("tell assistants apart that were created at the same moment", async () => {
    const time = new Date();
    const ids = Array.from({ length: 7 }, () => randomUUID());
    for (const assistantId of ids) await assistants.createAssistant({ assistantId, graphId: "typed", name: "twin" });
    await app.db.collection("assistants").updateMany({ name: "twin" }, { $set: { created_at: time } });
    const { found } = await pages(3, { name: "twin" });
    expect(found.map(({ assistantId }) => assistantId)).toEqual(ids.sort().reverse());
    for (const assistantId of ids) await assistants.deleteAssistant({ assistantId });
  });

  it("stay exact while assistants come and go", async () => {
    const first = await assistants.searchAssistants({ pageSize: 10 });
    const end = first.assistants.at(-1)!;
    const newer = await assistants.createAssistant({ graphId: "gated", name: "newer" });
    const token = { pageSize: 1000, pageToken: first.nextPageToken };
    await assistants.deleteAssistant({ assistantId: end.assistantId });
    const rest = names((await assistants.searchAssistants(token)).assistants);
    expect([...names(first.assistants), ...rest]).toEqual([...graphs, ...newestFirst]);
    await assistants.deleteAssistant({ assistantId: newer.assistant!.assistantId });
    const { name, graphId, metadata } = configured[3]!;
    await assistants.createAssistant({ name, graphId, metadata });
  });

  it("are small enough for a client's default limit", async () => {
    const context = toPayload({ text: "x".repeat(700_000) });
    for (let n = 0; n < 6; n += 1) await assistants.createAssistant({ graphId: "created", name: `big ${n}`, context });
    const { found, sizes } = await pages(1000, { name: "big" });
    expect(names(found)).toEqual([5, 4, 3, 2, 1, 0].map((n) => `big ${n}`));
    expect(sizes).toEqual([1, 1, 1, 1, 1, 1]);
    for (const { assistantId } of found) await assistants.deleteAssistant({ assistantId });
  });

  it("need the token of an answer to the same filter", async () => {
    const { nextPageToken } = await assistants.searchAssistants({ filter: { graphId: "gated" }, pageSize: 2 });
    const { nextPageToken: ofAll } = await assistants.searchAssistants({ pageSize: 2 });
    for (const [pageToken, filter] of [
      [nextPageToken, {}],
      [nextPageToken, { graphId: "gated", name: "a" }],
      [ofAll, { graphId: "gated" }],
      ["nonsense", {}],
      [Buffer.from("[1]").toString("base64url"), {}],
    ] as const) {
      const refused = await assistants.searchAssistants({ pageToken, filter }).catch((error) => error);
      expect(errorReason(refused)).toBe("INVALID_PAGE_TOKEN");
      expect(refused.rawMessage).toMatch(/^page_token: must be the next_page_token/);
    }
  });
});
