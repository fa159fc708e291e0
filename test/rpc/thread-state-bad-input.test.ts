import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { maxStoredBytes } from "../../src/domain/check-metadata.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { type Dump, dump } from "../support/dump.ts";
import type { SpecInit } from "../support/run-kit.ts";
import { createStateKit, type StateKit, stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A thread with a subgraph that asks, another one beside it, and one on which nothing has run. */
let app: TestApp;
let kit: StateKit;
let other: StateKit;
let empty: StateKit;
let before: Dump;
/** Of the subgraph's state: where it is, and its ids. */
let ns: string;
let inside: string;
let root: string;
let foreign: string;

const unknown = randomUUID();

beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
  [kit, other, empty] = [
    await createStateKit(app, "tree"),
    await createStateKit(app, "gated"),
    await createStateKit(app, "gated"),
  ];
  for (const each of [kit, other]) each.gates.open();
  await kit.run({ asks: true });
  await other.run({ steps: ["a"] });
  const state = await kit.stateAt({ subgraphs: true });
  root = state.checkpoint!.checkpointId;
  ({ checkpointNs: ns, checkpointId: inside } = state.tasks[0]!.state!.checkpoint!);
  foreign = (await other.stateAt()).checkpoint!.checkpointId;
  before = await dump(app.db);
});
afterAll(async () => {
  for (const each of [kit, other, empty]) each.gates.remove();
  await app.close();
});
afterEach(async () => expect(await dump(app.db)).toEqual(before));

interface Refusal {
  readonly code?: Code;
  readonly reason?: string;
  readonly says: readonly Piece[];
}

/** What the sentence must hold; a function for what is known when the thread is there. */
type Piece = string | RegExp | (() => string);

/** Refused with exactly one ErrorInfo and a sentence that begins with the field. */
async function refused(call: () => Promise<unknown>, { code, reason, says }: Refusal) {
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectError);
  const failure = error as ConnectError;
  expect([Code[failure.code], failure.rawMessage]).toEqual([Code[code ?? Code.InvalidArgument], failure.rawMessage]);
  expect(failure.findDetails(ErrorInfoSchema)).toMatchObject([{ domain: "reins", reason: reason ?? "INVALID_FIELD" }]);
  for (const piece of says) expect(failure.rawMessage).toMatch(typeof piece === "function" ? piece() : piece);
}

const notFound = (...says: Piece[]): Refusal => ({
  code: Code.NotFound,
  reason: "CHECKPOINT_NOT_FOUND",
  says,
});
const noThread: Refusal = { code: Code.NotFound, reason: "THREAD_NOT_FOUND", says: [/^thread_id: /, unknown] };
const says = (...pieces: Piece[]): Refusal => ({ says: pieces });
const asIs = (request: object) => request as never;

describe("UpdateThreadState", () => {
  const values = toPayload({ log: ["x"] });
  const cases: [string, () => object, Refusal][] = [
    ["thread_id: no UUID", () => ({ threadId: "x" }), says(/^thread_id: /, /UUID/)],
    ["thread_id: unknown", () => ({ threadId: unknown }), noThread],
    [
      "values: absent without as_node",
      () => ({ values: undefined, asNode: "" }),
      says(/^values: must be set/, /as_node/),
    ],
    ["values: null without as_node", () => ({ values: toPayload(null), asNode: "" }), says(/^values: must be set/)],
    [
      "values: no JSON",
      () => ({ values: { encoding: { case: "json", value: Buffer.from("{") } } }),
      says(/^values\.json: must be JSON text/),
    ],
    [
      "values: a number",
      () => ({ values: toPayload(7) }),
      says(/^values: the graph does not take them/, /InvalidUpdateError/),
    ],
    ["values: a text", () => ({ values: toPayload("x") }), says(/^values: the graph does not take them/)],
    [
      "values: of another type than the reducer takes",
      () => ({ values: toPayload({ log: 7 }) }),
      says(/^values: the graph does not take them/, /TypeError/),
    ],
    [
      "values: too many",
      () => ({ values: toPayload({ dir: "x".repeat(maxStoredBytes) }) }),
      { code: Code.ResourceExhausted, reason: "INPUT_TOO_LARGE", says: [/^values: /, String(maxStoredBytes)] },
    ],
    ["as_node: unknown", () => ({ asNode: "begn" }), says(/^as_node: /, '"begn"', "the nodes are begin, sub, end")],
    ["as_node: the subgraph's", () => ({ asNode: "one" }), says(/^as_node: /, '"one"')],
    [
      "as_node: the graph's, in the subgraph",
      () => ({ asNode: "begin", checkpoint: { checkpointNs: ns } }),
      says(/^as_node: /, "the nodes are one, question, two"),
    ],
    ["as_node: the end, with values", () => ({ asNode: "__end__" }), says(/^as_node: .*__end__/)],
    ["as_node: too long", () => ({ asNode: "x".repeat(1001) }), says(/^as_node: /, /1000/)],
    ["checkpoint: no UUID", () => ({ checkpoint: { checkpointId: "x" } }), says(/^checkpoint\.checkpoint_id: /)],
    ["checkpoint: unknown", () => ({ checkpoint: { checkpointId: unknown } }), notFound(/^checkpoint: /, unknown)],
    [
      "checkpoint: another thread's",
      () => ({ checkpoint: { checkpointId: foreign } }),
      notFound(/^checkpoint: /, () => foreign),
    ],
    [
      "checkpoint: the subgraph's, as the graph's",
      () => ({ checkpoint: { checkpointId: inside } }),
      notFound(/^checkpoint: /),
    ],
    [
      "checkpoint: the graph's, as the subgraph's",
      () => ({ checkpoint: { checkpointNs: ns, checkpointId: root } }),
      notFound(
        /^checkpoint: /,
        () => root,
        () => ns,
      ),
    ],
    [
      "checkpoint: of no subgraph",
      () => ({ checkpoint: { checkpointNs: "nothing:1" } }),
      notFound(/^checkpoint: /, "nothing:1"),
    ],
    [
      "checkpoint: its map names an unknown one",
      () => ({ checkpoint: { checkpointId: inside, checkpointNs: ns, checkpointMap: { "": unknown } } }),
      notFound(/^checkpoint\.checkpoint_map: /, unknown),
    ],
    [
      "checkpoint: too long a namespace",
      () => ({ checkpoint: { checkpointNs: "x".repeat(1001) } }),
      says(/^checkpoint\.checkpoint_ns: /),
    ],
    [
      "assistant_id: unknown",
      () => ({ assistantId: "nothing" }),
      { reason: "GRAPH_NOT_FOUND", says: [/^assistant_id: /, "nothing"] },
    ],
    ["assistant_id: another graph", () => ({ assistantId: "gated" }), says(/^assistant_id: /, '"tree"', '"gated"')],
    [
      "assistant_id: another graph, by its id",
      () => ({ assistantId: graphAssistantId("gated") }),
      says(/^assistant_id: /, '"tree"', '"gated"'),
    ],
    [
      "assistant_id: none on a thread without a run",
      () => ({ threadId: empty.threadId }),
      says(/^assistant_id: must say whose state it is/, () => empty.threadId),
    ],
    ["assistant_id: too long", () => ({ assistantId: "x".repeat(201) }), says(/^assistant_id: /, /200/)],
    ["metadata: NaN", () => ({ metadata: { rate: Number.NaN } }), says(/^metadata: /, /NaN/)],
    ["metadata: a name that cannot be stored", () => ({ metadata: { "a\0b": 1 } }), says(/^metadata: /, /NUL/)],
  ];
  it.each(cases)("%s", (_, change, refusal) =>
    refused(
      () =>
        app.client.threads.updateThreadState(asIs({ threadId: kit.threadId, values, asNode: "begin", ...change() })),
      refusal,
    ),
  );

  it("as_node: not named where it cannot be told", async () => {
    const pair = await createStateKit(app, "pair");
    await pair.run({});
    // Both branches have ended at once.
    const ids = (await pair.thread()).interrupts.map(({ id }) => id);
    const resume = toPayload(Object.fromEntries(ids.map((id) => [id, "yes"])));
    await pair.run(null, { command: { resume }, interruptBefore: ["work"] });
    const stood = await dump(app.db, { threadId: pair.threadId });
    await refused(() => pair.update({ log: ["x"] }), says(/^as_node: .*cannot be told; name it/));
    expect(await dump(app.db, { threadId: pair.threadId })).toEqual(stood);
    await pair.client.threads.deleteThread({ threadId: pair.threadId });
    pair.gates.remove();
  });
});

describe("GetThreadState", () => {
  const cases: [string, () => object, Refusal][] = [
    ["thread_id: no UUID", () => ({ threadId: "x" }), says(/^thread_id: /)],
    ["thread_id: unknown", () => ({ threadId: unknown }), noThread],
    ["checkpoint_id: no UUID", () => ({ checkpointId: "1" }), says(/^checkpoint_id: /)],
    ["checkpoint_id: unknown", () => ({ checkpointId: unknown }), notFound(/^checkpoint_id: /, unknown)],
    ["checkpoint_id: the subgraph's", () => ({ checkpointId: inside }), notFound(/^checkpoint_id: /, () => inside)],
    [
      "checkpoint_id and checkpoint",
      () => ({ checkpointId: root, checkpoint: { checkpointId: root } }),
      says(/^checkpoint: must not be set together with checkpoint_id/),
    ],
    ["checkpoint: unknown", () => ({ checkpoint: { checkpointId: unknown } }), notFound(/^checkpoint: /, unknown)],
    [
      "checkpoint: unknown namespace",
      () => ({ checkpoint: { checkpointNs: "sub:x" } }),
      notFound(/^checkpoint: /, "sub:x"),
    ],
    [
      "checkpoint: on an empty thread",
      () => ({ threadId: empty.threadId, checkpoint: { checkpointId: root } }),
      notFound(/^checkpoint: /, () => root),
    ],
    [
      "checkpoint: its map names an unknown one",
      () => ({ checkpoint: { checkpointId: inside, checkpointNs: ns, checkpointMap: { "": unknown } } }),
      notFound(/^checkpoint\.checkpoint_map: /, unknown),
    ],
    [
      "checkpoint: its map contradicts it",
      () => ({ checkpoint: { checkpointNs: ns, checkpointId: inside, checkpointMap: { [ns]: root } } }),
      says(/^checkpoint\.checkpoint_map: names another checkpoint/),
    ],
    [
      "checkpoint: its map holds no UUID",
      () => ({ checkpoint: { checkpointNs: ns, checkpointMap: { "": "x" } } }),
      says(/^checkpoint\.checkpoint_map\[""\]: /),
    ],
    ["payload_format: unknown", () => ({ payloadFormat: 9 }), says(/^payload_format: /)],
  ];
  it.each(cases)("%s", (_, change, refusal) =>
    refused(() => app.client.threads.getThreadState(asIs({ threadId: kit.threadId, ...change() })), refusal),
  );
});

describe("ListThreadHistory", () => {
  const cases: [string, () => object, Refusal][] = [
    ["thread_id: unknown", () => ({ threadId: unknown }), noThread],
    ["limit: too many", () => ({ limit: 1001 }), says(/^limit: /, /1000/)],
    ["limit: negative", () => ({ limit: -1 }), says(/^limit: /)],
    ["before_checkpoint_id: no UUID", () => ({ beforeCheckpointId: "x" }), says(/^before_checkpoint_id: /)],
    [
      "before_checkpoint_id: unknown",
      () => ({ beforeCheckpointId: unknown }),
      notFound(/^before_checkpoint_id: /, unknown),
    ],
    [
      "before_checkpoint_id: another thread's",
      () => ({ beforeCheckpointId: foreign }),
      notFound(/^before_checkpoint_id: /),
    ],
    ["before_checkpoint_id: a subgraph's", () => ({ beforeCheckpointId: inside }), notFound(/^before_checkpoint_id: /)],
    ["checkpoint_ns: unknown", () => ({ checkpointNs: "sub:x" }), notFound(/^checkpoint_ns: /, "sub:x")],
    ["checkpoint_ns: too long", () => ({ checkpointNs: "x".repeat(1001) }), says(/^checkpoint_ns: /, /1000/)],
    ["metadata: NaN", () => ({ metadata: { step: Number.NaN } }), says(/^metadata: /, /NaN/)],
  ];
  it.each(cases)("%s", (_, change, refusal) =>
    refused(() => app.client.threads.listThreadHistory(asIs({ threadId: kit.threadId, ...change() })), refusal),
  );
});

describe("CreateRun", () => {
  const cases: [string, () => SpecInit, Refusal][] = [
    [
      "checkpoint and checkpoint_id",
      () => ({ checkpointId: root, checkpoint: { checkpointId: root } }),
      says(/^spec\.checkpoint: must not be set together with spec\.checkpoint_id/),
    ],
    ["checkpoint: no UUID", () => ({ checkpoint: { checkpointId: "x" } }), says(/^spec\.checkpoint\.checkpoint_id: /)],
    [
      "checkpoint: unknown",
      () => ({ checkpoint: { checkpointId: unknown } }),
      notFound(/^spec\.checkpoint: /, unknown),
    ],
    [
      "checkpoint: another thread's",
      () => ({ checkpoint: { checkpointId: foreign } }),
      notFound(/^spec\.checkpoint: /),
    ],
    [
      "checkpoint: the subgraph's, as the graph's",
      () => ({ checkpoint: { checkpointId: inside } }),
      notFound(/^spec\.checkpoint: /, () => inside),
    ],
    [
      "checkpoint: unknown in the subgraph",
      () => ({ checkpoint: { checkpointNs: ns, checkpointId: unknown } }),
      notFound(/^spec\.checkpoint: /, unknown, () => ns),
    ],
    [
      "checkpoint: its map names an unknown one",
      () => ({ checkpoint: { checkpointNs: ns, checkpointId: inside, checkpointMap: { "": unknown } } }),
      notFound(/^spec\.checkpoint\.checkpoint_map: /, unknown),
    ],
    [
      "checkpoint: its map contradicts it",
      () => ({ checkpoint: { checkpointNs: ns, checkpointId: inside, checkpointMap: { [ns]: root } } }),
      says(/^spec\.checkpoint\.checkpoint_map: names another checkpoint/),
    ],
    [
      "checkpoint: another graph's",
      () => ({ checkpoint: { checkpointId: root }, assistantId: "gated" }),
      says(/^spec\.checkpoint: /, () => root, '"tree"', '"gated"'),
    ],
    [
      "checkpoint_id: another graph's",
      () => ({ checkpointId: root, assistantId: "gated" }),
      says(/^checkpoint_id: /, () => root, '"tree"', '"gated"'),
    ],
    [
      "interrupt_before: an unknown node",
      () => ({ interruptBefore: ["sub", "sbu"] }),
      says(
        /^spec\.interrupt_before: /,
        '"tree" has no node "sbu"',
        "its nodes are begin, sub, end, those below are one, question, two",
      ),
    ],
    [
      "interrupt_before: every node and an unknown one",
      () => ({ interruptBefore: ["*", "sbu"] }),
      says(/^spec\.interrupt_before: /, '"sbu"'),
    ],
    [
      "interrupt_after: an unknown node",
      () => ({ interruptAfter: ["one", "none"] }),
      says(/^spec\.interrupt_after: /, '"none"'),
    ],
    [
      "command.goto: an unknown node",
      () => ({ command: { goto: ["end", "nowhere"] } }),
      says(/^spec\.command\.goto: /, '"nowhere"', "its nodes are begin, sub, end"),
    ],
    [
      "command.goto: another graph's node, at a checkpoint",
      () => ({ checkpoint: { checkpointId: root }, command: { goto: ["step"] } }),
      says(/^spec\.command\.goto: /, '"tree" has no node "step"', "its nodes are begin, sub, end"),
    ],
    [
      "command.goto: a node of the graph, at another graph's checkpoint",
      () => ({ checkpoint: { checkpointId: root }, command: { goto: ["step"] }, assistantId: "gated" }),
      says(/^spec\.checkpoint: /, () => root, '"tree"', '"gated"'),
    ],
    ["command.goto: every node", () => ({ command: { goto: ["*"] } }), says(/^spec\.command\.goto: /, '"*"')],
  ];
  it.each(cases)("%s", (_, change, refusal) =>
    refused(() => app.client.runs.createRun({ threadId: kit.threadId, spec: kit.spec(null, change()) }), refusal),
  );
});
