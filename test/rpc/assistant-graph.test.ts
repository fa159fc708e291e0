import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorReason, fromPayload, type Payload, toPayload } from "../../src/client/index.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let assistants: TestApp["client"]["assistants"];
/** A factory's graph needs a configuration. */
let factory: string;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: assistantGraphs } });
  assistants = app.client.assistants;
  const config = { configurable: toPayload({ node: "told" }) };
  const made = await assistants.createAssistant({ graphId: "factory", config, context: toPayload({ tone: "dry" }) });
  factory = made.assistant!.assistantId;
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error), error.rawMessage],
  );

/** The nodes with their metadata, and the edges as `from -> to`, `from -label-> to`, conditional ones with `?`. */
async function drawing(assistantId: string, subgraphDepth = 0) {
  const { graph } = await assistants.getAssistantGraph({ assistantId, subgraphDepth });
  const nodes = graph!.nodes.map(({ id, name, metadata }) => [id, name, fromPayload(metadata)]);
  const edges = graph!.edges.map(
    ({ source, target, label, conditional }) =>
      `${source} ${label && `-${label}`}->${conditional ? "?" : ""} ${target}`,
  );
  return { nodes, ids: graph!.nodes.map(({ id }) => id), edges: edges.sort() };
}

async function schemas(assistantId: string) {
  const found = (await assistants.getAssistantSchemas({ assistantId })).schemas!;
  const { $typeName, ...parts } = found;
  const read = Object.entries(parts as Record<string, Payload | undefined>).map(([name, one]) => [
    name,
    fromPayload(one),
  ]);
  return Object.fromEntries(read.filter(([, schema]) => schema !== undefined)) as Record<string, unknown>;
}

describe("GetAssistantGraph", () => {
  it("draws nodes and edges, with the nodes' metadata and the edges' labels", async () => {
    const { nodes, edges } = await drawing("layered");
    expect(nodes).toEqual([
      ...[
        ["__start__", "__start__", undefined],
        ["sub", "sub", undefined],
      ],
      ...[
        ["review", "review", { by: "a person" }],
        ["__end__", "__end__", undefined],
      ],
    ]);
    expect(edges).toEqual([...["__start__ -> sub", "review -> __end__", "sub -fine->? __end__", "sub -odd->? review"]]);
  });

  it("draws as many levels of subgraphs as it is asked for", async () => {
    const one = await drawing("layered", 1);
    expect(one.ids).toEqual(["__start__", "sub:prepare", "sub:core", "review", "__end__"]);
    expect(one.edges).toEqual([
      ...["__start__ -> sub:prepare", "review -> __end__", "sub:core -fine->? __end__", "sub:core -odd->? review"],
      "sub:prepare -> sub:core",
    ]);
    const all = ["__start__", "sub:prepare", "sub:core:deep", "sub:core:deeper", "review", "__end__"];
    for (const depth of [2, 100]) expect((await drawing("layered", depth)).ids).toEqual(all);
  });

  it("draws an agent with its tools, and a graph that is described with zod", async () => {
    const agent = await drawing("created");
    expect(agent.nodes).toContainEqual(["tools", "tools", { __tools: ["work"] }]);
    expect(agent.edges).toContain("model_request ->? tools");
    expect((await drawing("typed")).edges).toEqual(["__start__ -> say", "say -> __end__"]);
  });

  it("draws the functional API's one step, with the same ids each time", async () => {
    const { nodes, edges } = await drawing("functional");
    expect(nodes.map(([id, name]) => `${id} ${name}`)).toEqual([
      "0 functionalInput",
      "1 functional",
      "2 functionalOutput",
    ]);
    expect(edges).toEqual(["0 -> 1", "1 -> 2"]);
  });

  it("draws what a factory makes for the assistant's configuration", async () => {
    const { ids, nodes } = await drawing(factory);
    expect(ids).toEqual(["__start__", "told", "__end__"]);
    expect(nodes[1]![2]).toEqual({ id: factory, context: { tone: "dry" } });
  });
});

describe("GetAssistantSchemas", () => {
  const object = (...names: string[]) => ({
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, {}])),
  });

  it("of annotations: the names", async () => {
    expect(await schemas("layered")).toEqual({
      input: object("words"),
      output: object("note"),
      state: object("words", "note"),
    });
  });

  it("of zod: types, what is required, and the context", async () => {
    const found = await schemas("typed");
    expect(Object.keys(found).sort()).toEqual(["config", "context", "input", "output", "state"]);
    expect(found.input).toMatchObject({ type: "object", properties: { question: { type: "string" } } });
    expect(found.output).toMatchObject({ properties: { answer: { type: "string" } }, required: ["answer"] });
    expect(found.state).toMatchObject({ properties: { tries: { type: "number", default: 1 } } });
    const context = { properties: { tone: { type: "string" } }, required: ["tone"] };
    expect(found).toMatchObject({ context, config: context });
  });

  it("of an agent: its messages", async () => {
    const messages = { type: "object", properties: { messages: { langgraph_type: "messages" } } };
    expect(await schemas("created")).toMatchObject({ input: messages, output: messages, state: messages });
  });

  it("of the functional API: nothing", async () => {
    expect(await schemas("functional")).toEqual({});
  });

  it("of what a factory makes", async () => {
    expect(await schemas(factory)).toEqual({ input: object("said"), output: object("said"), state: object("said") });
  });
});

describe.each([
  ["GetAssistantGraph", (assistantId: string) => assistants.getAssistantGraph({ assistantId })],
  ["GetAssistantSchemas", (assistantId: string) => assistants.getAssistantSchemas({ assistantId })],
])("%s says why it cannot", (_, call) => {
  it("for a broken graph, and an assistant on it", async () => {
    const { assistant } = await assistants.createAssistant({ graphId: "broken" });
    for (const id of ["broken", assistant!.assistantId]) {
      expect(await failure(call(id))).toEqual([
        ...["FailedPrecondition", "GRAPH_UNAVAILABLE", expect.stringContaining("this file is broken on purpose")],
      ]);
    }
  });

  it("for a factory that throws without a configuration", async () => {
    expect(await failure(call("factory"))).toEqual([
      ...[
        "FailedPrecondition",
        "GRAPH_UNAVAILABLE",
        expect.stringMatching(/"factory": configurable\.node is missing$/),
      ],
    ]);
  });

  it("for a graph that is not in langgraph.json any more", async () => {
    const { assistant } = await assistants.createAssistant({ graphId: "mirror" });
    const { assistantId } = assistant!;
    await app.db.collection("assistants").updateOne({ assistant_id: assistantId }, { $set: { graph: "former" } });
    expect(await failure(call(assistantId))).toEqual([
      ...["FailedPrecondition", "GRAPH_UNAVAILABLE", expect.stringContaining('"former" is not in langgraph.json')],
    ]);
  });

  it("for an assistant that is not there", async () => {
    for (const id of ["nothing", "6f2e9d3c-0000-4000-8000-000000000000"]) {
      expect(await failure(call(id))).toEqual(["NotFound", "ASSISTANT_NOT_FOUND", expect.stringContaining(id)]);
    }
  });
});
