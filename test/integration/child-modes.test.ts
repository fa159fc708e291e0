import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StreamMode } from "../../src/domain/transitions.ts";
import type { AttemptSpec, OutputTuple } from "../../src/worker/protocol.ts";
import { ChildParent, graph, json } from "../support/child.ts";

let child: ChildParent;
const input = JSON.stringify({ messages: [{ role: "user", content: "hi", id: "question" }] });

beforeAll(async () => {
  child = new ChildParent();
  const reports = await child.load(...["chat", "nested", "odd", "tools"].map((name) => graph("streams.ts", name)));
  expect(reports.filter((report) => report.problem !== undefined)).toEqual([]);
});
afterAll(() => child.stop());

async function run(graphName: string, modes: StreamMode[], spec: Partial<AttemptSpec> = {}): Promise<OutputTuple[]> {
  const attempt = child.start(graphName, { input, streamModes: modes, ...spec });
  expect((await attempt.end).kind).toBe("success");
  return attempt.events;
}

interface PlainMessage {
  readonly id: string;
  readonly type: string;
  readonly content: string;
}
const texts = (values: unknown) => (values as { messages: PlainMessage[] }).messages.map(({ content }) => content);

describe("stream modes", () => {
  it("values: the whole state after each step, messages in plain form", async () => {
    const values = json(await run("chat", ["values"]), "values");
    expect(values.map(texts)).toEqual([["hi"], ["hi", "hello"], ["hi", "hello", "bye"]]);
    expect((values[0] as { messages: object[] }).messages[0]).toMatchObject({
      type: "human",
      content: "hi",
      id: "question",
    });
    expect(JSON.stringify(values)).not.toContain('"lc"');
  });

  it("updates: what each node returned", async () => {
    const updates = json(await run("chat", ["updates"]), "updates");
    expect(updates.map((update) => Object.keys(update as object))).toEqual([["talk"], ["close"]]);
  });

  it("messages-tuple: each chunk with its metadata", async () => {
    const events = await run("chat", ["messages-tuple"]);
    expect(new Set(events.map(([mode, name]) => `${mode} ${name}`))).toEqual(new Set(["messages-tuple messages"]));
    const tuples = json(events, "messages") as [PlainMessage, { langgraph_node: string }][];
    expect(tuples.map(([message]) => message.content).join("")).toBe("hellobye");
    expect(tuples[0]?.[1].langgraph_node).toBe("talk");
    expect(JSON.stringify(tuples)).not.toMatch(/"__\w+":/);
  });

  it("messages: metadata once, partials that grow, complete messages once", async () => {
    const events = await run("chat", ["messages"]);
    expect(new Set(events.map(([mode]) => mode))).toEqual(new Set(["messages"]));
    const partials = json(events, "messages/partial") as [PlainMessage][];
    expect(partials.map(([message]) => message.content)).toEqual(["h", "he", "hel", "hell", "hello"]);
    const complete = json(events, "messages/complete") as [PlainMessage][];
    expect(complete.map(([message]) => message.content)).toEqual(["hello", "bye"]);
    const ids = complete.map(([message]) => message.id);
    const metadata = json(events, "messages/metadata") as Record<string, { metadata: { langgraph_node: string } }>[];
    expect(metadata.map((entry) => Object.keys(entry)[0])).toEqual(ids);
    expect(Object.values(metadata[0] as object)[0].metadata.langgraph_node).toBe("talk");
    expect(events[0]?.[1]).toBe("messages/metadata");
  });

  it("custom: what nodes write", async () => {
    expect(json(await run("chat", ["custom"]), "custom")).toEqual([{ says: "soon" }]);
  });

  it("tasks: begin and end of each task", async () => {
    const tasks = json(await run("chat", ["tasks"]), "tasks") as { name: string; result?: unknown; input?: unknown }[];
    expect(tasks.map(({ name, result }) => [name, result !== undefined])).toEqual([
      ["talk", false],
      ["talk", true],
      ["close", false],
      ["close", true],
    ]);
  });

  it("checkpoints and debug: without callbacks and internals", async () => {
    const events = await run("chat", ["checkpoints", "debug"]);
    const checkpoints = json(events, "checkpoints") as {
      config: { configurable: object };
      next: string[];
      metadata: object;
      parent_config: object | null;
    }[];
    expect(checkpoints.map(({ next }) => next)).toEqual([["__start__"], ["talk"], ["close"], []]);
    expect(Object.keys(checkpoints[1]!.config)).toEqual(["configurable"]);
    expect(checkpoints[1]!.config.configurable).toEqual({
      thread_id: "thread",
      checkpoint_ns: "",
      checkpoint_id: expect.any(String),
    });
    expect(checkpoints[0]!.parent_config).toBeNull();
    const debug = json(events, "debug") as { type: string; payload: object }[];
    expect(debug.map(({ type }) => type)).toEqual([
      ...["checkpoint", "checkpoint", "task", "task_result"],
      ...["checkpoint", "task", "task_result", "checkpoint"],
    ]);
    for (const [, , , text] of events) expect(text).not.toMatch(/"(__\w+|callbacks)":/);
  });

  it("events: what callbacks tell, of the graph, its nodes and its models, beside the other modes", async () => {
    const events = await run("chat", ["events", "values", "updates"]);
    const told = json(events, "events") as { event: string; name: string; data: { chunk?: { content: string } } }[];
    expect(told[0]).toMatchObject({ event: "on_chain_start", name: "LangGraph" });
    expect(told.at(-1)).toMatchObject({ event: "on_chain_end", name: "LangGraph" });
    const chunks = told.filter(({ event }) => event === "on_chat_model_stream").map(({ data }) => data.chunk!.content);
    expect(chunks.join("")).toBe("hello");
    expect(json(events, "values").map(texts)).toEqual([["hi"], ["hi", "hello"], ["hi", "hello", "bye"]]);
    expect(json(events, "updates")).toHaveLength(2);
    for (const [, , , text] of events) expect(text).not.toMatch(/"(__\w+|callbacks)":/);
  });

  it("tools: what becomes of each call of a tool", async () => {
    const events = await run("tools", ["tools", "values"], { input: JSON.stringify({ city: "Rome" }) });
    expect(json(events, "tools")).toMatchObject([
      { event: "on_tool_start", toolCallId: "call-1", name: "weather" },
      { event: "on_tool_end", toolCallId: "call-1", name: "weather", output: { content: "sunny in Rome" } },
    ]);
    expect(json(events, "values").at(-1)).toMatchObject({ said: "sunny in Rome" });
  });

  it("sends only the modes that were asked for", async () => {
    const events = await run("chat", ["messages", "updates"]);
    expect(new Set(events.map(([mode]) => mode))).toEqual(new Set(["messages", "updates"]));
  });

  it("subgraphs with their namespace, and only when asked for", async () => {
    const without = await run("nested", ["updates", "messages-tuple", "custom"]);
    expect(without.every(([, , namespace]) => namespace.length === 0)).toBe(true);
    const events = await run("nested", ["updates", "messages"], { streamSubgraphs: true });
    const inner = events.filter(([, , namespace]) => namespace.length === 1);
    expect(inner[0]?.[2][0]).toMatch(/^inner:[0-9a-f-]{36}$/);
    expect(inner.map(([mode]) => mode)).toContain("messages");
    expect(json(inner, "updates").map((update) => Object.keys(update as object))).toEqual([["talk"], ["close"]]);
  });
});

it("values that JSON does not know have a defined form and do no harm", async () => {
  const events = await run("odd", ["custom"], { input: "{}" });
  expect(json(events, "custom")).toEqual([
    { name: "cycle", self: "[Circular]" },
    { big: "12345678901234567890", list: [null, null] },
    { error: { name: "TypeError", message: "bad" }, map: { a: 1 }, set: [1], at: "1970-01-01T00:00:00.000Z" },
    { bytes: "AQID", message: expect.objectContaining({ type: "human", content: "hi", id: "h" }) },
    { trap: "[Unreadable: hands off]" },
    null,
  ]);
});
