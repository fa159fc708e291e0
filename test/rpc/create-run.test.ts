import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Durability, MultitaskStrategy, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists } from "../../gen/reins/v1/run_service_pb.ts";
import { errorReason, fromPayload, toPayload } from "../../src/client/index.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

describe("CreateRun", () => {
  it("answers the stored run at once, running or pending", async () => {
    const kit = await createRunKit(app);
    const [first, second] = [await kit.start(), await kit.start()];
    expect(first).toMatchObject({ threadId: kit.threadId, graphId: "gated", status: RunStatus.RUNNING, attempt: 1 });
    expect(second).toMatchObject({ status: RunStatus.PENDING, attempt: 0 });
    expect(second.startedAt).toBeUndefined();
    kit.gates.open();
    for (const { runId } of [first, second]) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c", "a", "b", "c"] });
    kit.gates.remove();
  });

  it("keeps what was asked for", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const spec = {
      assistantId: graphAssistantId("gated"),
      input: toPayload({ dir: kit.gates.dir, steps: ["x"] }),
      config: { tags: ["t1", "t2"], recursionLimit: 7, configurable: toPayload({ user: "u" }) },
      context: toPayload({ model: "m" }),
      metadata: { a: { "b.c": [1, null] }, $d: "e" },
      streamModes: [StreamMode.UPDATES, StreamMode.CUSTOM],
      streamSubgraphs: true,
      interruptBefore: ["step"],
      interruptAfter: ["begin", "step"],
      multitaskStrategy: MultitaskStrategy.REJECT,
      durability: Durability.ASYNC,
      timeout: { seconds: 90n },
    };
    const { threadId } = kit;
    const created = (await app.client.runs.createRun({ threadId, spec, includeInput: true })).run!;
    const { runId } = created;
    await kit.join(runId);
    const stored = (await app.client.runs.getRun({ threadId, runId, includeInput: true })).run!.spec!;
    for (const one of [created.spec!, stored]) {
      expect(one).toMatchObject({
        assistantId: spec.assistantId,
        metadata: spec.metadata,
        streamModes: spec.streamModes,
        streamSubgraphs: true,
        interruptBefore: ["step"],
        interruptAfter: ["begin", "step"],
        multitaskStrategy: spec.multitaskStrategy,
        durability: spec.durability,
        timeout: { seconds: 90n },
        config: { tags: ["t1", "t2"], recursionLimit: 7 },
      });
      expect([one.input, one.context, one.config!.configurable].map(fromPayload)).toEqual([
        ...[{ dir: kit.gates.dir, steps: ["x"] }, { model: "m" }, { user: "u" }],
      ]);
    }
    // An answer that echoes the request does so in the request's encoding.
    expect(created.spec!.input!.encoding.case).toBe("json");
    kit.gates.remove();
  });

  it("takes a chosen id, once", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const runId = randomUUID();
    const create = () =>
      app.client.runs.createRun({ threadId: kit.threadId, runId: runId.toUpperCase(), spec: kit.spec({}) });
    const attempts = await Promise.allSettled([create(), create(), create()]);
    expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect(await failure(create())).toEqual(["AlreadyExists", "RUN_EXISTS"]);
    const other = await createRunKit(app);
    const elsewhere = { threadId: other.threadId, runId, spec: other.spec({}) };
    expect(await failure(app.client.runs.createRun(elsewhere))).toEqual(["AlreadyExists", "RUN_EXISTS"]);
    // Those that came too late have left the thread free.
    expect((await kit.join((await kit.start()).runId)).status).toBe(RunStatus.SUCCESS);
    for (const each of [kit, other]) each.gates.remove();
  });

  it("creates the thread if that is asked for", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const threadId = randomUUID();
    const create = (ifNotExists?: IfNotExists) =>
      app.client.runs.createRun({ threadId, spec: kit.spec({}), ifNotExists });
    for (const ifNotExists of [undefined, IfNotExists.REJECT]) {
      expect(await failure(create(ifNotExists))).toEqual(["NotFound", "THREAD_NOT_FOUND"]);
    }
    for (const _ of [1, 2]) {
      const { run } = await create(IfNotExists.CREATE);
      const joined = await app.client.runs.joinRun({ threadId, runId: run!.runId });
      expect(joined.run!.status).toBe(RunStatus.SUCCESS);
    }
    const { thread } = await app.client.threads.getThread({ threadId });
    expect(fromPayload(thread!.values)).toMatchObject({ log: ["a", "b", "c", "a", "b", "c"] });
    kit.gates.remove();
  });

  it("goes on from a checkpoint of the thread's past", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const past = (await kit.history()).find((state) => (fromPayload(state.values) as { done: number }).done === 1)!;
    const { runId } = await kit.start(null, { checkpointId: past.checkpoint!.checkpointId });
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.steps()).toEqual(["a", "b", "c", "b", "c"]);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it.each([
    ["interruptBefore", [], ["a"]],
    ["interruptAfter", ["a"], ["a", "b"]],
  ] as const)("pauses with %s and goes on with null input", async (field, before, after) => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const pausing = { [field]: ["step"] };
    expect((await kit.join((await kit.start({}, pausing)).runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: before });
    expect((await kit.thread()).status).toBe(3);
    await kit.join((await kit.start(null, pausing)).runId);
    expect((await kit.state()).values).toMatchObject({ log: after });
    kit.gates.remove();
  });

  it("updates the state and goes to a node with a command", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start({ steps: ["a"] })).runId);
    const update = toPayload({ steps: ["x", "y"], done: 1, log: ["edited"] });
    await kit.join((await kit.start(null, { command: { update, goto: ["step"] } })).runId);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "edited", "y"] });
    kit.gates.remove();
  });

  it("ends as an error when the graph takes more steps than it may", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const over = await kit.join((await kit.start({}, { config: { recursionLimit: 2 } })).runId);
    expect(over).toMatchObject({ status: RunStatus.ERROR, error: { name: "GraphRecursionError" } });
    kit.gates.remove();
  });
});

describe("GetRun", () => {
  it("shows the run's life", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    const live = await kit.get(runId);
    expect([live.status, live.endedAt, live.endCheckpointId, live.cancellation, live.error]).toEqual([
      ...[RunStatus.RUNNING, undefined, "", undefined, undefined],
    ]);
    kit.gates.open();
    const over = await kit.join(runId);
    expect(over).toEqual(await kit.get(runId));
    const times = [over.createdAt, over.startedAt, over.endedAt].map(
      (time) => Number(time!.seconds) + time!.nanos / 1e9,
    );
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(over.endCheckpointId).toBe((await kit.state()).checkpoint!.checkpointId);
    kit.gates.remove();
  });
});
