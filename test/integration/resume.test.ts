import { randomUUID } from "node:crypto";
import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorInfo, fromPayload, toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("going on with a thread", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp();
  });
  afterAll(() => app.close());

  async function done(kit: RunKit, input: object | null, more: SpecInit = {}): Promise<Run> {
    const run = await kit.join((await kit.start(input, more)).runId);
    expect(run.status).toBe(RunStatus.SUCCESS);
    return run;
  }

  const questions = async (kit: RunKit) => (await kit.thread()).interrupts.map(({ value }) => fromPayload(value));
  const idsOf = async (kit: RunKit) => (await kit.history()).map(({ checkpoint }) => checkpoint!.checkpointId);

  it("input null goes on where interrupt_before stopped", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await done(kit, { steps: ["a", "b"] }, { interruptBefore: ["step"] });
    expect((await kit.state()).next).toEqual(["step"]);
    expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);
    expect(kit.gates.steps()).toEqual([]);
    await done(kit, null, { interruptAfter: ["step"] });
    expect((await kit.state()).values).toMatchObject({ log: ["a"] });
    await done(kit, null);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b"] });
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("input null on a finished thread changes nothing but the runs", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await done(kit, { steps: ["a"] });
    const before = { ids: await idsOf(kit), values: (await kit.state()).values };
    await done(kit, null);
    expect({ ids: await idsOf(kit), values: (await kit.state()).values }).toEqual(before);
    expect(kit.gates.steps()).toEqual(["a"]);
    kit.gates.remove();
  });

  it("checkpoint_id goes on from there, and the other branch stays in the history", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await done(kit, { steps: ["a", "b"] });
    const ids = await idsOf(kit);
    const afterA = (await kit.history()).find((state) => logOf(state.values).length === 1)!;
    const run = await done(kit, null, { checkpointId: afterA.checkpoint!.checkpointId });
    expect(kit.gates.steps()).toEqual(["a", "b", "b"]);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b"] });
    const history = await kit.history();
    expect(history.map(({ checkpoint }) => checkpoint!.checkpointId).slice(-ids.length)).toEqual(ids);
    const forked = history.filter(({ metadata }) => metadata?.run_id === run.runId);
    expect(forked.at(-1)!.parentCheckpoint!.checkpointId).toBe(afterA.checkpoint!.checkpointId);

    // A new input there begins a branch of its own.
    await done(kit, { steps: ["x"] }, { checkpointId: afterA.checkpoint!.checkpointId });
    expect((await kit.state()).values).toMatchObject({ log: ["a", "x"] });
    kit.gates.remove();
  });

  it("an attempt that is lost forks once", async () => {
    const kit = await createRunKit(app);
    kit.gates.open("a");
    kit.gates.open("b");
    await done(kit, { steps: ["a", "b"] });
    const start = (await kit.history()).find((state) => logOf(state.values).length === 1)!.checkpoint!.checkpointId;
    const { runId } = await kit.start({ steps: ["x", "y"] }, { checkpointId: start });
    kit.gates.open("x");
    process.kill(await kit.gates.started("y"), "SIGKILL");
    kit.gates.open("y");
    const run = await kit.join(runId);
    expect([run.status, run.attempt]).toEqual([RunStatus.SUCCESS, 2]);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "x", "y"] });
    const children = (await kit.history()).filter(({ parentCheckpoint }) => parentCheckpoint?.checkpointId === start);
    expect(children.filter(({ metadata }) => metadata?.run_id === runId)).toHaveLength(1);
    kit.gates.remove();
  });

  it("command.resume answers the question that is asked", async () => {
    const kit = await createRunKit(app, "ask");
    kit.gates.open();
    await done(kit, {});
    expect(await questions(kit)).toEqual([{ question: "first" }]);
    await done(kit, null, { command: { resume: toPayload("one") } });
    expect(await questions(kit)).toEqual([{ question: "second" }]);
    const [asked] = (await kit.thread()).interrupts;
    await done(kit, null, { command: { resume: toPayload({ [asked!.id]: "two" }) } });
    expect(await questions(kit)).toEqual([]);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=one", "second=two"] });
    kit.gates.remove();
  });

  it("an attempt that is lost after it was answered does not answer the next question with it", async () => {
    const kit = await createRunKit(app, "ask");
    await done(kit, {});
    const { runId } = await kit.start(null, { command: { resume: toPayload("one") } });
    process.kill(await kit.gates.started("work"), "SIGKILL");
    kit.gates.open();
    const run = await kit.join(runId);
    expect([run.status, run.attempt]).toEqual([RunStatus.SUCCESS, 2]);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=one"], log: ["worked on first=one"] });
    expect(await questions(kit)).toEqual([{ question: "second" }]);
    kit.gates.remove();
  });

  it("command.update changes the state and command.goto says where to go on", async () => {
    const kit = await createRunKit(app, "ask");
    kit.gates.open();
    await done(kit, {});
    await done(kit, null, { command: { update: toPayload({ log: ["by hand"] }), goto: ["second"] } });
    expect((await kit.state()).values).toMatchObject({ log: ["by hand"] });
    expect(await questions(kit)).toContainEqual({ question: "second" });
    expect(kit.gates.steps()).toEqual([]);
    kit.gates.remove();
  });

  it("the state at a checkpoint and the history before one can be read", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await done(kit, { steps: ["a", "b"] });
    const history = await kit.history();
    for (const [i, state] of history.entries()) {
      const checkpointId = state.checkpoint!.checkpointId;
      const { threadId } = kit;
      expect((await kit.client.threads.getThreadState({ threadId, checkpointId })).state).toEqual(state);
      const rest = await kit.client.threads.listThreadHistory({
        threadId,
        beforeCheckpointId: checkpointId,
        limit: 100,
      });
      expect(rest.states).toEqual(history.slice(i + 1));
    }
    kit.gates.remove();
  });

  it.each(["on its thread", "of another thread"])(
    "an unknown checkpoint, %s, is refused and changes nothing",
    async (where) => {
      const [kit, other] = [await createRunKit(app), await createRunKit(app)];
      kit.gates.open();
      other.gates.open();
      await done(kit, { steps: ["a"] });
      await done(other, { steps: ["a"] });
      const checkpointId = where === "on its thread" ? randomUUID() : (await idsOf(other))[0]!;
      const before = await dump(app.db);
      const { threadId } = kit;
      const calls = [
        () => kit.start({}, { checkpointId }),
        () => kit.client.threads.getThreadState({ threadId, checkpointId }),
        () => kit.client.threads.listThreadHistory({ threadId, beforeCheckpointId: checkpointId }),
      ];
      for (const call of calls) {
        const error = await call().then(
          () => expect.unreachable(),
          (caught: unknown) => caught,
        );
        expect((error as ConnectError).code).toBe(Code.NotFound);
        expect(errorInfo(error)).toMatchObject({
          reason: "CHECKPOINT_NOT_FOUND",
          metadata: { checkpoint_id: checkpointId },
        });
      }
      expect(await dump(app.db)).toEqual(before);
      const { lane } = (await app.db.collection("threads").findOne({ thread_id: threadId }))!;
      expect(JSON.parse(lane).n).toBe(1);
      kit.gates.remove();
      other.gates.remove();
    },
  );
});

const logOf = (values: Parameters<typeof fromPayload>[0]) => (fromPayload(values) as { log?: string[] }).log ?? [];
