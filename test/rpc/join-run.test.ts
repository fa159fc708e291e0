import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, toPayload } from "../../src/client/index.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

describe("JoinRun and WaitRun", () => {
  it("answer the run and the thread's values at its end, also when later runs have come", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const { threadId } = kit;
    const waited = await app.client.runs.waitRun({ create: { threadId, spec: kit.spec({}) } });
    const { runId } = waited.run!;
    expect(waited.run).toMatchObject({ threadId, status: RunStatus.SUCCESS });
    expect(fromPayload(waited.values)).toMatchObject({ log: ["a", "b", "c"] });
    await kit.join((await kit.start({ steps: ["d"] })).runId);
    const joined = await app.client.runs.joinRun({ threadId, runId });
    expect([joined.run, joined.values]).toEqual([waited.run, waited.values]);
    kit.gates.remove();
  });

  it("answer the values at the stop of a cancelled run, and those before a rolled back one", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const joinWhile = async (action: CancelAction) => {
      kit.gates.open("a");
      const { runId } = await kit.start({ steps: ["a", action === CancelAction.ROLLBACK ? "y" : "x"] });
      const joined = app.client.runs.joinRun({ threadId, runId });
      await kit.gates.started(action === CancelAction.ROLLBACK ? "y" : "x");
      await app.client.runs.cancelRun({ threadId, runId, action });
      const { run, values } = await joined;
      expect(run).toMatchObject({ runId, status: RunStatus.INTERRUPTED, cancellation: { action } });
      return fromPayload(values);
    };
    const atStop = await joinWhile(CancelAction.INTERRUPT);
    expect(atStop).toMatchObject({ log: ["a"], steps: ["a", "x"] });
    expect(await joinWhile(CancelAction.ROLLBACK)).toEqual(atStop);
    kit.gates.remove();
  });

  it("answer a failed run with its error, and the values of the steps before", async () => {
    const kit = await createRunKit(app, "faulty");
    const { threadId } = kit;
    const { run, values } = await app.client.runs.waitRun({
      create: { threadId, spec: kit.spec({ fault: "throw" }) },
    });
    expect(run).toMatchObject({
      status: RunStatus.ERROR,
      error: { name: "RangeError", message: "this step always fails" },
    });
    expect(fromPayload(values)).toMatchObject({ log: ["before"] });
    kit.gates.remove();
  });

  it("answer a run that asks a human as a success with its questions", async () => {
    const kit = await createRunKit(app, "ask");
    kit.gates.open();
    const { threadId } = kit;
    const asked = await app.client.runs.waitRun({ create: { threadId, spec: kit.spec({}) } });
    expect(asked.run!.status).toBe(RunStatus.SUCCESS);
    expect(asked.interrupts.map(({ value }) => fromPayload(value))).toEqual([{ question: "first" }]);
    const command = { resume: toPayload("blue") };
    const answered = await app.client.runs.waitRun({ create: { threadId, spec: kit.spec(null, { command }) } });
    expect(answered.interrupts.map(({ value }) => fromPayload(value))).toEqual([{ question: "second" }]);
    expect(fromPayload(answered.values)).toMatchObject({ answers: ["first=blue"], log: ["worked on first=blue"] });
    kit.gates.remove();
  });
});
