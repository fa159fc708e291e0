import { describe, expect, it } from "vitest";
import { readChildMessage } from "../../../src/worker/child-message.ts";
import type { ChildMessage, StateReport } from "../../../src/worker/protocol.ts";

const value = { inline: { type: "json", bytes: new Uint8Array([1]) } };
const record = {
  namespace: "",
  checkpointId: "c1",
  checkpoint: value.inline,
  metadata: value.inline,
  metadataFields: { source: "loop", step: 1, parents: { "": "c0" }, none: null },
  values: { messages: value, big: { type: "json", parts: [{ segmentId: "s", length: 3 }] } },
};
const write = {
  namespace: "",
  checkpointId: "c1",
  taskId: "t",
  taskPath: "",
  index: -3,
  channel: "__interrupt__",
  value,
};
const flush = {
  flushId: "f",
  checkpoints: [record],
  writes: [write],
  segments: [{ segmentId: "s", bytes: new Uint8Array(3) }],
};
const inner: StateReport = { checkpointNs: "inner:1", next: [], tasks: [], interrupts: [] };
const state: StateReport = {
  checkpointId: "c1",
  checkpointNs: "",
  parentCheckpointId: "c0",
  parentCheckpointNs: "",
  values: '{"a":1}',
  next: ["ask"],
  metadata: "{}",
  createdAt: "2026-01-01T00:00:00.000Z",
  interrupts: [{ id: "i", taskId: "t", value: '"really?"' }],
  tasks: [
    {
      id: "t",
      name: "ask",
      error: "Error: no",
      interrupts: [{ id: "i", taskId: "t", value: '"really?"' }],
      result: "{}",
      checkpoint: { checkpointId: "", checkpointNs: "inner:1", checkpointMap: { "": "c1" } },
      state: inner,
    },
  ],
};

const request = (method: string, argument: unknown) =>
  ({ type: "request", requestId: 1, scope: "a", method, args: [argument] }) as ChildMessage;

const good: readonly ChildMessage[] = [
  {
    type: "loaded",
    graphs: [
      { name: "agent", nodes: ["a"] },
      { name: "other", problem: "It is broken" },
    ],
  },
  { type: "output", of: [{ attemptId: "a", events: [["custom", "custom", ["inner:1"], "null"]] }] },
  { type: "output", of: [{ attemptId: "a", events: [["custom", "custom", [], "null", ["checkpoint"]]] }] },
  { type: "end", attemptId: "a", end: { kind: "success", state } },
  { type: "end", attemptId: "a", end: { kind: "error", error: { name: "Error", message: "no" } } },
  { type: "end", attemptId: "a", end: { kind: "drained" } },
  { type: "inspected", scope: "a", states: [state] },
  { type: "inspected", scope: "a", error: { name: "Error", message: "no" }, refused: "as_node" },
  {
    type: "inspected",
    scope: "a",
    description: {
      nodes: [{ id: "a", name: "a", metadata: "{}" }],
      edges: [{ source: "a", target: "b", label: "x", conditional: true }],
    },
  },
  { type: "inspected", scope: "a", description: { input: "{}", config: undefined } },
  { type: "fault", error: { name: "Error", message: "no", stack: "Error: no" } },
  { type: "pong", sequence: 1, running: { a: 2 } },
  request("append", flush),
  request("read", { namespace: "", checkpointId: "c1" }),
  request("list", { limit: 2, metadata: { run_id: "r" } }),
  request("items", [
    { kind: "get", namespace: ["a"], key: "k" },
    { kind: "put", namespace: ["a"], key: "k", value: "{}" },
    { kind: "delete", namespace: ["a"], key: "k" },
    { kind: "search", namespacePrefix: [], filter: "{}", limit: 1, offset: undefined },
    { kind: "namespaces", match: [{ at: "suffix", labels: ["*"] }], maxDepth: 2 },
  ]),
];

const circular: Record<string, unknown> = {};
circular.own = circular;
const endless: Record<string, unknown> = { ...inner, tasks: [{ id: "t", name: "n", interrupts: [] }] };
(endless.tasks as Record<string, unknown>[])[0]!.state = endless;

const output = (...event: unknown[]) => ({ type: "output", of: [{ attemptId: "a", events: [event] }] });
const end = (what: unknown) => ({ type: "end", attemptId: "a", end: what });
const append = (changes: object) => request("append", { ...flush, ...changes });
const bad: readonly [string, unknown][] = [
  ["a mode that there is not", output("loud", "custom", [], "1")],
  ["a name that is no text", output("custom", 1, [], "1")],
  ["a namespace that is no list", output("custom", "custom", "", "1")],
  ["a namespace of numbers", output("custom", "custom", [1], "1")],
  ["an event that is no JSON", output("custom", "custom", [], "undefined")],
  ["an event of three parts", output("custom", "custom", [])],
  ["an event of six parts", output("custom", "custom", [], "1", [], [])],
  ["checkpoints that are no list", output("custom", "custom", [], "1", "checkpoint")],
  ["checkpoints that are numbers", output("custom", "custom", [], "1", [1])],
  ["an end of no kind", end({ kind: "triumph" })],
  ["no end", end(undefined)],
  ["a failure without an error", end({ kind: "error" })],
  ["an error that is a text", end({ kind: "error", error: "no" })],
  ["a state that is no object", end({ kind: "success", state: "idle" })],
  ["values that are no JSON", end({ kind: "success", state: { ...state, values: "{" } })],
  ["values that are no text", end({ kind: "success", state: { ...state, values: { a: 1 } } })],
  [
    "a question that is no JSON",
    end({ kind: "success", state: { ...state, interrupts: [{ id: "i", taskId: "t", value: "?" }] } }),
  ],
  ...Object.entries({
    "a question's id": { interrupts: [{ id: "i".repeat(201), taskId: "t", value: "1" }] },
    "a task's id": { tasks: [{ id: "t".repeat(201), name: "n", interrupts: [] }] },
    "a checkpoint's id": { checkpointId: "c".repeat(201) },
  }).map(([what, long]): [string, unknown] => [
    `${what} that is too long`,
    end({ kind: "success", state: { ...state, ...long } }),
  ]),
  ["next nodes that are numbers", end({ kind: "success", state: { ...state, next: [1] } })],
  ["tasks that are none", end({ kind: "success", state: { ...state, tasks: [{}] } })],
  ["metadata that is a list", end({ kind: "success", state: { ...state, metadata: "[]" } })],
  ["a time that is none", end({ kind: "success", state: { ...state, createdAt: "yesterday" } })],
  ["a state within itself", end({ kind: "success", state: endless })],
  ["a call that there is not", request("drop", {})],
  ["a call without its argument", { ...request("read", {}), args: [] }],
  ["a call without a number", { ...request("read", { namespace: "" }), requestId: "1" }],
  ["a flush without a name", append({ flushId: undefined })],
  ["a flush without segments", append({ segments: undefined })],
  ["bytes that are none", append({ segments: [{ segmentId: "s", bytes: "abc" }] })],
  ["a value that is none", append({ checkpoints: [{ ...record, values: { a: {} } }] })],
  [
    "a length below zero",
    append({ writes: [{ ...write, value: { type: "json", parts: [{ segmentId: "s", length: -1 }] } }] }),
  ],
  ["an index that is none", append({ writes: [{ ...write, index: 0.5 }] })],
  ["metadata that JSON does not have", append({ checkpoints: [{ ...record, metadataFields: { step: 1n } }] })],
  ["metadata within itself", append({ checkpoints: [{ ...record, metadataFields: circular }] })],
  ["a limit that is none", request("list", { limit: Number.NaN })],
  ["a filter that is a text", request("list", { metadata: "a" })],
  ["a read of no namespace", request("read", { namespace: { $ne: "" } })],
  ["an operation that there is not", request("items", [{ kind: "drop" }])],
  ["an item that is no JSON", request("items", [{ kind: "put", namespace: ["a"], key: "k", value: "{" }])],
  ["states that are none", { type: "inspected", scope: "a", states: [{}] }],
  ["a drawing without edges", { type: "inspected", scope: "a", description: { nodes: [] } }],
  ["a fault without an error", { type: "fault", attemptId: "a" }],
];

describe("readChildMessage", () => {
  it.each(good.map((message) => [message.type, message] as const))("takes a message %s", (_, message) => {
    expect(readChildMessage(message)).toEqual({ message, wrong: [] });
  });

  it.each(bad)("names the attempt whose message has %s", (_, message) => {
    const read = readChildMessage(message)!;
    expect(read.wrong).toEqual([{ scope: "a", problem: expect.stringContaining("is malformed") as string }]);
    // Of output, what is left of the other attempts.
    expect(read.message ?? { type: "output", of: [] }).toEqual({ type: "output", of: [] });
  });

  it.each([
    ["graphs that are none", { type: "loaded", graphs: [{ name: 1 }] }],
    ["node counts below zero", { type: "pong", sequence: 1, running: { a: -1 } }],
    ["no sequence", { type: "pong", running: {} }],
    ["an end of nobody", { type: "end", end: { kind: "success" } }],
    ["output of nobody", { type: "output", of: [{ events: [] }] }],
  ])("blames nobody for %s", (_, message) => {
    const { wrong } = readChildMessage(message)!;
    expect(wrong).toEqual([{ problem: expect.stringContaining("is malformed") as string }]);
  });

  it("keeps the output of the others", () => {
    const event = ["custom", "custom", [], "1"];
    const of = [
      { attemptId: "a", events: [event] },
      { attemptId: "b", events: ["x"] },
      { attemptId: "c", events: [event] },
    ];
    const read = readChildMessage({ type: "output", of })!;
    expect(read.message).toEqual({ type: "output", of: [of[0], of[2]] });
    expect(read.wrong).toMatchObject([{ scope: "b" }]);
  });

  it.each([["ready"], [null], [1], [[]], [{}], [{ type: 1 }], [{ type: "ready" }], [{ type: "toString" }]])(
    "knows that %j is none of the protocol's",
    (message) => {
      expect(readChildMessage(message)).toBeUndefined();
    },
  );

  it("leaves what a graph asks of the long-term memory to those who answer it", () => {
    const mistakes = [
      { kind: "get", namespace: "a", key: 1 },
      { kind: "search", namespacePrefix: [1], filter: "[]", limit: -1, offset: Number.NaN },
    ];
    expect(readChildMessage(request("items", mistakes))).toEqual({ message: request("items", mistakes), wrong: [] });
  });

  it("drops what the protocol does not know", () => {
    const read = readChildMessage({ ...end({ kind: "drained", also: 1 }), more: 1 });
    expect(read?.message).toEqual(end({ kind: "drained" }));
  });
});
