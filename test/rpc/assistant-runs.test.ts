import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CancelAction,
  errorReason,
  fromPayload,
  IfNotExists,
  type Payload,
  type Run,
  RunStatus,
  toPayload,
} from "../../src/client/index.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { around } from "../support/barrier.ts";
import { tombstones } from "../support/dump.ts";
import { createGates } from "../support/gates.ts";
import type { SpecInit } from "../support/run-kit.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

type NewAssistant = Parameters<TestApp["client"]["assistants"]["createAssistant"]>[0];

let app: TestApp;
let lookups = 0;
beforeAll(async () => {
  app = await startTestApp({
    config: { configFile: assistantGraphs },
    decorate: ({ stores, ...parts }) => ({
      ...parts,
      stores: { ...stores, assistants: around(stores.assistants, "find", { before: () => (lookups += 1) }) },
    }),
  });
});
afterAll(() => app.close());

/** What the node of the mirror was given. */
interface Seen {
  readonly configurable: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
  readonly tags: string[];
  readonly recursionLimit: number;
  readonly context?: Record<string, unknown>;
}

const configured = async (more: NewAssistant = {}) =>
  (await app.client.assistants.createAssistant({ graphId: "mirror", ...more })).assistant!.assistantId;

const newThread = async () => (await app.client.threads.createThread({})).thread!.threadId;

async function run(assistantId: string, spec: SpecInit = {}) {
  const create = { threadId: await newThread(), spec: { input: toPayload({}), assistantId, ...spec } };
  const { run, values } = await app.client.runs.waitRun({ create });
  return { run: run!, seen: seenIn(values) };
}

const seenIn = (values: Payload | undefined): Seen => (fromPayload(values) as unknown as { seen: Seen }).seen;
const nameOf = ({ runId, threadId }: Run) => ({ runId, threadId });

const whole = {
  config: { tags: ["a", "b"], recursionLimit: 11, configurable: toPayload({ tone: "warm", deep: { x: 1 }, only: 1 }) },
  context: toPayload({ user: "u", deep: { x: 1 }, only: 1 }),
};

describe("what a node is given", () => {
  it("by the assistant alone", async () => {
    const assistantId = await configured(whole);
    const { run: ended, seen } = await run(assistantId);
    expect(ended).toMatchObject({ status: RunStatus.SUCCESS, graphId: "mirror", assistantId, assistantVersion: 1 });
    expect(seen.configurable).toMatchObject({ tone: "warm", deep: { x: 1 }, only: 1, run_id: ended.runId });
    expect(seen.configurable).toMatchObject({ assistant_id: assistantId, graph_id: "mirror" });
    expect(seen.metadata).toMatchObject({ assistant_id: assistantId, graph_id: "mirror" });
    expect(seen.tags).toEqual(expect.arrayContaining(["a", "b"]));
    expect([seen.recursionLimit, seen.context]).toEqual([11, { user: "u", deep: { x: 1 }, only: 1 }]);
  });

  it("by the run over the assistant, field by field at the top; tags are added", async () => {
    const config = { tags: ["b", "c"], recursionLimit: 12, configurable: toPayload({ tone: "dry", deep: { y: 2 } }) };
    const context = toPayload({ deep: { y: 2 }, user: null });
    const { run: ended, seen } = await run(await configured(whole), { config, context });
    expect(seen.configurable).toMatchObject({ tone: "dry", only: 1 });
    expect(seen.configurable.deep).toEqual({ y: 2 });
    expect(seen.context).toEqual({ user: null, deep: { y: 2 }, only: 1 });
    expect(seen.tags.filter((tag) => /^[abc]$/.test(tag)).sort()).toEqual(["a", "b", "c"]);
    expect(seen.recursionLimit).toBe(12);
    // The run's record says what was asked for, not what came of it.
    const { spec } = (await app.client.runs.getRun({ ...nameOf(ended), includeInput: true })).run!;
    expect(spec!.config).toMatchObject({ tags: ["b", "c"], recursionLimit: 12 });
    expect(fromPayload(spec!.config!.configurable)).toEqual({ tone: "dry", deep: { y: 2 } });
    expect(fromPayload(spec!.context)).toEqual({ deep: { y: 2 }, user: null });
  });

  it("by the run, where the assistant says nothing, and by neither", async () => {
    const { seen } = await run(await configured(), { context: toPayload({ a: 1 }), config: { tags: ["x", "x"] } });
    expect([seen.context, seen.recursionLimit]).toEqual([{ a: 1 }, 25]);
    expect(seen.tags.filter((tag) => tag === "x")).toEqual(["x"]);
    const bare = await run(await configured());
    expect([bare.seen.context, bare.seen.recursionLimit]).toEqual([undefined, 25]);
    expect(Object.keys(bare.seen.configurable)).not.toContain("tone");
  });

  it("by a graph's own assistant, under its name or its id, without a look at the database", async () => {
    const own = graphAssistantId("mirror");
    const before = lookups;
    for (const assistantId of ["mirror", own, own.toUpperCase()]) {
      const { run: ended, seen } = await run(assistantId);
      expect(ended).toMatchObject({ assistantId: own, assistantVersion: 1, graphId: "mirror" });
      expect([seen.configurable.assistant_id, seen.metadata.assistant_id]).toEqual([own, own]);
      expect((await app.client.runs.getRun(nameOf(ended))).run!.spec!.assistantId).toBe(assistantId);
    }
    expect(lookups).toBe(before);
    await run(await configured());
    expect(lookups).toBeGreaterThan(before);
  });

  it("by a graph's own assistant, as LANGGRAPH_CONFIG has it", async () => {
    const { assistant } = await app.client.assistants.getAssistant({ assistantId: "tuned" });
    expect(assistant).toMatchObject({ config: { tags: ["t"], recursionLimit: 9 }, metadata: { created_by: "system" } });
    const { seen } = await run("tuned", { config: { configurable: toPayload({ more: 1 }) } });
    expect(seen).toMatchObject({ recursionLimit: 9, context: { user: "u" }, configurable: { tone: "warm", more: 1 } });
    expect(seen.metadata).toMatchObject({ origin: "langgraph.json", graph_id: "tuned" });
    expect(seen.tags).toContain("t");
  });

  it("by a factory, which is called with the assistant's configuration and the run's over it", async () => {
    const config = { configurable: toPayload({ node: "below" }) };
    const assistantId = await configured({ graphId: "factory", config, context: toPayload({ tone: "dry" }) });
    const said = async (spec: SpecInit) => {
      const create = { threadId: await newThread(), spec: { input: toPayload({}), assistantId, ...spec } };
      return fromPayload((await app.client.runs.waitRun({ create })).values);
    };
    expect(await said({})).toEqual({ said: 'below {"tone":"dry"}' });
    const over = { config: { configurable: toPayload({ node: "over" }) }, context: toPayload({ mood: "good" }) };
    expect(await said(over)).toEqual({ said: 'over {"tone":"dry","mood":"good"}' });

    // Such a graph is also needed to read what it has left.
    const create = { threadId: await newThread(), spec: { input: toPayload({}), assistantId } };
    const { threadId } = (await app.client.runs.waitRun({ create })).run!;
    await app.client.assistants.deleteAssistant({ assistantId });
    const { state } = await app.client.threads.getThreadState({ threadId });
    expect(fromPayload(state!.values)).toEqual({ said: 'below {"tone":"dry"}' });
    const { states } = await app.client.threads.listThreadHistory({ threadId });
    expect(states.map(({ next }) => next)).toEqual([[], ["below"], ["__start__"]]);

    // And what a copy of it holds, or a copy of that, although they have no run that could tell how it was made.
    let copy = threadId;
    for (const of of ["the thread", "its copy"]) {
      copy = (await app.client.threads.copyThread({ threadId: copy })).thread!.threadId;
      expect([of, (await app.client.threads.getThreadState({ threadId: copy })).state]).toEqual([of, state]);
      expect([of, (await app.client.threads.listThreadHistory({ threadId: copy })).states]).toEqual([of, states]);
    }
  });

  it("by a graph that checks its context", async () => {
    const create = async (assistantId: string) => ({
      threadId: await newThread(),
      spec: { assistantId, input: toPayload({ question: "well?" }) },
    });
    const good = await configured({ graphId: "typed", context: toPayload({ tone: "calm" }) });
    const { values } = await app.client.runs.waitRun({ create: await create(good) });
    expect(fromPayload(values)).toMatchObject({ answer: "well? (calm)" });
    const bad = await app.client.runs.waitRun({ create: await create(await configured({ graphId: "typed" })) });
    expect(bad.run).toMatchObject({ status: RunStatus.ERROR });
  });
});

describe("a run that is under way", () => {
  it("keeps what it was given while its assistant changes and goes, also one that waits", async () => {
    const gates = createGates();
    const assistantId = await configured(whole);
    const threadId = await newThread();
    const spec = { assistantId, input: toPayload({ dir: gates.dir }) };
    const running = (await app.client.runs.createRun({ threadId, spec })).run!;
    const waiting = (await app.client.runs.createRun({ threadId, spec })).run!;
    await gates.started("look");
    const change = { config: { tags: ["z"] }, context: toPayload({ user: "v" }), graphId: "gated" };
    await app.client.assistants.updateAssistant({ assistantId, ...change });
    const after = (await app.client.runs.createRun({ threadId: await newThread(), spec })).run!;
    expect(after).toMatchObject({ assistantId, assistantVersion: 2, graphId: "gated" });
    await app.client.assistants.deleteAssistant({ assistantId });
    gates.open();
    for (const { runId } of [running, waiting]) {
      const { run: ended, values } = await app.client.runs.joinRun({ threadId, runId });
      expect(ended).toMatchObject({ status: RunStatus.SUCCESS, assistantId, assistantVersion: 1, graphId: "mirror" });
      expect(seenIn(values)).toMatchObject({
        context: { user: "u" },
        configurable: { tone: "warm" },
        recursionLimit: 11,
      });
    }
    await app.client.runs.joinRun(nameOf(after));
    const gone = await app.client.runs.createRun({ threadId, spec }).catch((error) => error);
    expect([Code[gone.code], errorReason(gone)]).toEqual(["NotFound", "ASSISTANT_NOT_FOUND"]);
    gates.remove();
  });

  it("leaves nothing of its configuration in the record of a rollback", async () => {
    const gates = createGates();
    const assistantId = await configured({ context: toPayload({ secret: "tombs are legible" }) });
    const spec = { assistantId, input: toPayload({ dir: gates.dir }) };
    const created = (await app.client.runs.createRun({ threadId: await newThread(), spec })).run!;
    await gates.started("look");
    const { runId, threadId } = created;
    const { run: last } = await app.client.runs.cancelRun({
      runId,
      threadId,
      action: CancelAction.ROLLBACK,
      wait: true,
    });
    expect(last).toMatchObject({ assistantId, assistantVersion: 1 });
    const stones = (await tombstones(app.db)).filter(({ _id }) => _id === runId);
    expect(stones).toHaveLength(1);
    expect(JSON.stringify(stones)).not.toContain("legible");
    gates.remove();
  });
});

describe("runs that cannot be created", () => {
  const refusal = async (assistantId: string, spec: SpecInit = {}) => {
    const threadId = randomUUID();
    const request = { threadId, ifNotExists: IfNotExists.CREATE, spec: { assistantId, input: toPayload({}), ...spec } };
    const error = await app.client.runs.createRun(request).then(
      () => expect.fail("it was created"),
      (error) => error,
    );
    const there = await app.client.threads.getThread({ threadId }).catch((missing) => errorReason(missing));
    expect(there).toBe("THREAD_NOT_FOUND");
    return [Code[error.code], errorReason(error), error.rawMessage];
  };

  it("of an unknown assistant, and of a name that is no graph", async () => {
    const id = randomUUID();
    expect(await refusal(id)).toEqual(["NotFound", "ASSISTANT_NOT_FOUND", `assistant_id: there is no assistant ${id}`]);
    expect(await refusal("miror")).toEqual([
      ...["InvalidArgument", "GRAPH_NOT_FOUND", expect.stringMatching(/^assistant_id: .*"miror".*gated, mirror, /)],
    ]);
  });

  it("of an assistant whose graph is broken, or gone from langgraph.json", async () => {
    const broken = await configured({ graphId: "broken" });
    const former = await configured();
    await app.db.collection("assistants").updateOne({ assistant_id: former }, { $set: { graph: "former" } });
    const unavailable = (sentence: RegExp) => [
      "FailedPrecondition",
      "GRAPH_UNAVAILABLE",
      expect.stringMatching(sentence),
    ];
    expect(await refusal(broken)).toEqual(unavailable(/^assistant_id: .*broken on purpose/));
    expect(await refusal(former)).toEqual(unavailable(/^assistant_id: its graph "former" is not in langgraph\.json/));
  });

  it("with more than can be stored, together with the assistant's configuration", async () => {
    const half = "x".repeat(5_000_000);
    const assistantId = await configured({ context: toPayload({ half }) });
    expect(await refusal(assistantId, { input: toPayload({ half }) })).toEqual([
      ...[
        "ResourceExhausted",
        "INPUT_TOO_LARGE",
        expect.stringMatching(/^spec: .*the assistant's configuration have \d+/),
      ],
    ]);
    expect((await run(assistantId)).run.status).toBe(RunStatus.SUCCESS);
  });
});
