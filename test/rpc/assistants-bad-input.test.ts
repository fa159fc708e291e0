import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AssistantService, errorInfo, errorReason, toPayload } from "../../src/client/index.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { rawCall } from "../support/raw-call.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

/** A row with a title before it, since some values are large. */
const titled = <R extends readonly [string, object, ...unknown[]]>(row: R): [string, ...R] => [
  `${row[0]} ${JSON.stringify(row[1]).slice(0, 100)}`,
  ...row,
];

/** The RPC, what is changed in a good request, the field that is named, and a piece of the sentence. */
type Row = readonly [rpc: string, change: Record<string, unknown>, field: string, allowed: RegExp];

const id = randomUUID();
const good: Record<string, Record<string, unknown>> = {
  CreateAssistant: { graphId: "gated" },
  GetAssistant: { assistantId: id },
  UpdateAssistant: { assistantId: id, name: "another" },
  DeleteAssistant: { assistantId: id },
  SearchAssistants: {},
  CountAssistants: {},
  GetAssistantGraph: { assistantId: id },
  GetAssistantSchemas: { assistantId: id },
};
const rpcs = Object.keys(good);

const uuid = /valid UUID/;
const formats = /PAYLOAD_FORMAT_VALUE, PAYLOAD_FORMAT_JSON/;
const value = (json: unknown) => ({ value: json });
const bytes = (text: string) => ({ json: Buffer.from(text).toString("base64") });
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

const byIdOrName = ["GetAssistant", "GetAssistantGraph", "GetAssistantSchemas"];
const byId = ["UpdateAssistant", "DeleteAssistant"];
const writing = ["CreateAssistant", "UpdateAssistant"];
const filtering = ["SearchAssistants", "CountAssistants"];
const formatted = [...byIdOrName, "UpdateAssistant", "SearchAssistants"];

const each = (names: readonly string[], ...[change, field, allowed]: [Row[1], Row[2], Row[3]]): Row[] =>
  names.map((rpc): Row => [rpc, change, field, allowed]);

const shapes: Row[] = [
  ...each(rpcs, { nonsense: 1 }, "nonsense", /there is no such field; there are \w+|there is no such field/),
  ...each([...byIdOrName, ...byId], { assistantId: 7 }, "assistant_id", /string/),
  ...each(byIdOrName, { assistantId: "" }, "assistant_id", /at least 1 character/),
  ...each(byIdOrName, { assistantId: "x".repeat(201) }, "assistant_id", /at most 200 characters/),
  ...each([...byId, "CreateAssistant"], { assistantId: "gated" }, "assistant_id", uuid),
  ...each(byId, { assistantId: "" }, "assistant_id", uuid),
  ...each(writing, { graphId: "" }, "graph_id", /at least 1 character/),
  ...each(writing, { graphId: "x".repeat(201) }, "graph_id", /at most 200 characters/),
  ...each(writing, { name: "x".repeat(201) }, "name", /at most 200 characters/),
  ["UpdateAssistant", { name: "" }, "name", /at least 1 character/],
  ...each(writing, { description: "x".repeat(10_001) }, "description", /at most 10000 characters/),
  ...each(writing, { description: ["x"] }, "description", /string/),
  ...each(writing, { config: "x" }, "config", /is not a reins.v1.RunConfig/),
  ...each(writing, { config: { tags: "x" } }, "config.tags", /Array/),
  ...each(writing, { config: { tags: [1] } }, "config.tags", /string/),
  ...each(writing, { config: { recursionLimit: -1 } }, "config.recursion_limit", /greater than or equal to 0/),
  ...each(writing, { config: { recursionLimit: 100_001 } }, "config.recursion_limit", /less than or equal to 100000/),
  ...each(writing, { config: { recursionLimit: 2.5 } }, "config.recursion_limit", /int32/),
  ...each(writing, { config: { configurable: {} } }, "config.configurable.encoding", /exactly one field is required/),
  ...each(writing, { context: {} }, "context.encoding", /exactly one field is required/),
  ...each(writing, { context: 5 }, "context", /is not a reins.v1.Payload/),
  ...each(writing, { metadata: ["a"] }, "metadata", /Struct/),
  ["CreateAssistant", { ifExists: 5 }, "if_exists", /IF_EXISTS_RAISE, IF_EXISTS_DO_NOTHING/],
  ["CreateAssistant", { ifExists: "do_nothing" }, "if_exists", /IF_EXISTS_RAISE, IF_EXISTS_DO_NOTHING/],
  ["UpdateAssistant", { removeMetadata: "a" }, "remove_metadata", /Array/],
  ["UpdateAssistant", { removeMetadata: ["a", "a"] }, "remove_metadata", /unique/],
  ["UpdateAssistant", { removeMetadata: [""] }, "remove_metadata[0]", /at least 1 character/],
  ["UpdateAssistant", { removeMetadata: Array.from({ length: 1001 }, (_, n) => `${n}`) }, "remove_metadata", /1000/],
  ...each(filtering, { filter: "x" }, "filter", /is not a reins.v1.AssistantFilter/),
  ...each(filtering, { filter: { graphId: "x".repeat(201) } }, "filter.graph_id", /at most 200 characters/),
  ...each(filtering, { filter: { name: "x".repeat(201) } }, "filter.name", /at most 200 characters/),
  ...each(filtering, { filter: { metadata: "a=b" } }, "filter.metadata", /Struct/),
  ["SearchAssistants", { pageSize: -1 }, "page_size", /greater than or equal to 0/],
  ["SearchAssistants", { pageSize: 1001 }, "page_size", /less than or equal to 1000/],
  ["SearchAssistants", { pageSize: "ten" }, "page_size", /int32/],
  ["SearchAssistants", { pageToken: "x".repeat(1001) }, "page_token", /at most 1000 characters/],
  ["GetAssistantGraph", { subgraphDepth: -1 }, "subgraph_depth", /greater than or equal to 0/],
  ["GetAssistantGraph", { subgraphDepth: 101 }, "subgraph_depth", /less than or equal to 100/],
  ["GetAssistantGraph", { subgraphDepth: true }, "subgraph_depth", /int32/],
  ...each(formatted, { payloadFormat: 9 }, "payload_format", formats),
  ...each(formatted, { payloadFormat: "JSON" }, "payload_format", formats),
];

const object = /must be a JSON object/;
const meanings: Row[] = [
  ...["thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "__pregel_send"].flatMap((name) =>
    each(writing, { config: { configurable: value({ [name]: 1 }) } }, "config.configurable", new RegExp(`"${name}"`)),
  ),
  ...[value([1]), value(null), value("x"), bytes("7")].flatMap((bad) => [
    ...each(writing, { context: bad }, "context", object),
    ...each(writing, { config: { configurable: bad } }, "config.configurable", object),
  ]),
  ...each(writing, { context: bytes("{") }, "context.json", /must be JSON text/),
  ...each(writing, { config: { configurable: bytes("{]") } }, "config.configurable.json", /must be JSON text/),
  ...each(writing, { context: bytes(`{"a":${nested(500)}}`) }, "context", /nested deeper than 64/),
  ...each(writing, { context: bytes(`{"a":${nested(5000)}}`) }, "context.json", /nested deeper than 1000 levels/),
  ...each(writing, { config: { configurable: bytes(`{"a":${nested(64)}}`) } }, "config.configurable", /deeper than 64/),
  ...each(writing, { config: { tags: Array(1001).fill("x") } }, "config.tags", /at most 1000/),
  ...each(writing, { metadata: { a: JSON.parse(nested(30)) } }, "metadata", /deeper than 30/),
  ...each(writing, { metadata: { "a\0": 1 } }, "metadata", /NUL/),
  ...each(filtering, { filter: { metadata: { a: JSON.parse(nested(30)) } } }, "filter.metadata", /deeper than 30/),
  [
    "UpdateAssistant",
    { metadata: { a: 1, b: 2 }, removeMetadata: ["b"] },
    "remove_metadata",
    /"b" is also in metadata/,
  ],
];

describe("a bad request changes nothing", () => {
  let app: TestApp;
  let before: Record<string, string>;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: assistantGraphs } });
    await app.client.assistants.createAssistant({ assistantId: id, graphId: "gated", context: toPayload({ a: 1 }) });
    before = await databaseDigest(app.db);
  });
  afterAll(() => app.close());

  const call = (rpc: string, change: unknown) => rawCall(app.app.url, rpc, { ...good[rpc], ...(change as object) });

  it("leaves out no field of any RPC", () => {
    const tried = [...shapes, ...meanings].map(([rpc, , field]) => `${rpc} ${field}`);
    for (const { name, input } of AssistantService.methods) {
      for (const field of input.fields) {
        expect(tried.filter((one) => one.startsWith(`${name} ${field.name}`)).length, `${name} ${field.name}`).not.toBe(
          0,
        );
      }
    }
  });

  it.each([...shapes, ...meanings].map(titled))("%s", async (_, rpc, change, field, allowed) => {
    const answer = await call(rpc, change);
    expect(answer).toMatchObject({ code: "invalid_argument", message: expect.stringMatching(allowed) });
    expect(answer.message).toContain(`${field}: `);
    expect(answer.infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD", metadata: { field } }]);
  });

  it.each(rpcs)("%s with what is no JSON object", async (rpc) => {
    for (const body of ["", "{", "[]", '"x"', "null"]) {
      const answer = await rawCall(app.app.url, rpc, body);
      expect(answer).toMatchObject({ code: "invalid_argument", infos: [{ domain: "reins" }] });
    }
  });

  const own = graphAssistantId("mirror");
  const unknown = randomUUID();
  const [large, half] = ["x".repeat(8 * 1024 * 1024), "x".repeat(5_000_000)];
  const tooMuch = /: .* bytes of JSON.*; at most 8388608/;
  const others = [
    ...writing.map((rpc) => [
      ...[
        rpc,
        { graphId: "Gated" },
        "invalid_argument",
        "GRAPH_NOT_FOUND",
        { graph_id: "Gated" },
        /^graph_id: .*"Gated".*gated/,
      ],
    ]),
    ...[...byIdOrName, ...byId].map((rpc) => [
      ...[rpc, { assistantId: unknown }, "not_found", "ASSISTANT_NOT_FOUND", { assistant_id: unknown }],
      new RegExp(`^assistant_id: there is no assistant ${unknown}$`),
    ]),
    ...byIdOrName.map((rpc) => [
      ...[rpc, { assistantId: "Gated" }, "not_found", "ASSISTANT_NOT_FOUND", { assistant_id: "Gated" }, /"?Gated"?$/],
    ]),
    ...byId.map((rpc) => [
      ...[rpc, { assistantId: own }, "failed_precondition", "ASSISTANT_READ_ONLY", { graph_id: "mirror" }],
      /^assistant_id: .*the graph "mirror" itself.*configure an assistant on it/,
    ]),
    ...[id, own].map((taken) => [
      ...["CreateAssistant", { assistantId: taken }, "already_exists", "ASSISTANT_EXISTS", { assistant_id: taken }],
      /^assistant_id: there is already an assistant/,
    ]),
    ...writing.flatMap((rpc) =>
      [
        ["metadata", { metadata: { large: "x".repeat(65_536) } }, /^metadata: .* bytes of JSON; at most 65536/],
        ["context", { context: value({ large }) }, tooMuch],
        ["config.configurable", { config: { configurable: value({ large }) } }, tooMuch],
        ["assistant", { config: { configurable: value({ half }) }, context: value({ half }) }, tooMuch],
      ].map(([field, change, sentence]) => [
        ...[rpc, change, "resource_exhausted", "INPUT_TOO_LARGE", { field }, sentence],
      ]),
    ),
    ...["x", "e30", Buffer.from('["",1,"x"]').toString("base64url")].map((pageToken) => [
      ...["SearchAssistants", { pageToken }, "invalid_argument", "INVALID_PAGE_TOKEN", { field: "page_token" }],
      /^page_token: must be the next_page_token of an answer to the same filter/,
    ]),
  ] as [string, object, string, string, Record<string, string>, RegExp][];

  it.each(others.map(titled))("%s", async (_, rpc, change, code, reason, metadata, sentence) => {
    const answer = await call(rpc, change);
    expect(answer).toMatchObject({ code, message: expect.stringMatching(sentence) });
    expect(answer.infos).toMatchObject([{ domain: "reins", reason, metadata }]);
  });

  it("numbers that JSON has not", async () => {
    const { assistants } = app.client;
    const metadata = { rate: Number.NaN };
    for (const [field, refused] of [
      ["metadata", () => assistants.createAssistant({ graphId: "gated", metadata })],
      ["metadata", () => assistants.updateAssistant({ assistantId: id, metadata })],
      ["filter.metadata", () => assistants.searchAssistants({ filter: { metadata } })],
      ["filter.metadata", () => assistants.countAssistants({ filter: { metadata } })],
    ] as const) {
      const error = await refused().catch((thrown: unknown) => thrown);
      expect([errorReason(error), errorInfo(error)?.metadata]).toEqual(["INVALID_FIELD", { field }]);
    }
  });

  it("and is all that was wrong: the good requests pass", async () => {
    expect(await databaseDigest(app.db)).toEqual(before);
    for (const rpc of rpcs.filter((one) => one !== "DeleteAssistant")) {
      expect([rpc, (await call(rpc, {})).code]).toEqual([rpc, "ok"]);
    }
    expect((await call("DeleteAssistant", {})).code).toBe("ok");
    expect(await databaseDigest(app.db)).not.toEqual(before);
  });
});
