import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Defects of other servers in what a cancel does; the numbers are those of docs/defects.md. */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { graceMs: 500 } });
});
afterAll(() => app.close());

const { INTERRUPT, ROLLBACK } = CancelAction;

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

/** A thread on which a run has come to its end, so that there is something to return to. */
async function threadWithPast(): Promise<RunKit> {
  const kit = await createRunKit(app);
  kit.gates.open();
  await kit.join((await kit.start({ steps: ["past"] })).runId);
  kit.gates.close("all");
  return kit;
}

const cancel = (kit: RunKit, runId: string, action: CancelAction, wait = true) =>
  app.client.runs.cancelRun({ threadId: kit.threadId, runId, action, wait });

describe("bulk cancels", () => {
  it.each([
    ["S1", "INTERRUPT", INTERRUPT],
    ["S2", "ROLLBACK", ROLLBACK],
  ])("%s: by status with %s stop the work itself, and nothing changes afterwards", async (_, name, action) => {
    const kits = [await threadWithPast(), await threadWithPast()];
    const before = await Promise.all(kits.map(({ threadId }) => dump(app.db, { threadId })));
    const runs = await Promise.all(kits.map((kit) => kit.start({ steps: ["a", "b"], manners: { a: "deaf" } })));
    await Promise.all(kits.map((kit) => kit.gates.started("a")));
    const target = { case: "filter", value: { status: LiveRunStatus.RUNNING } } as const;
    const { results } = await app.client.runs.cancelRuns({ target, action, wait: true });
    expect(results.map(({ outcome }) => outcome)).toEqual([CancelOutcome.KILLED, CancelOutcome.KILLED]);
    const signs = kits.map((kit) => kit.gates.beats());
    const records = () => Promise.all(kits.map(({ threadId }) => dump(app.db, { threadId })));
    const settled = await records();
    if (name === "ROLLBACK") expect(settled).toEqual(before);
    // Another run from its begin to its end: time enough for whatever is left to show itself.
    const other = await threadWithPast();
    expect(kits.map((kit) => kit.gates.beats())).toEqual(signs);
    expect(kits.map((kit) => kit.gates.isDone("a"))).toEqual([false, false]);
    expect(await records()).toEqual(settled);
    for (const [i, kit] of kits.entries()) {
      const status = name === "ROLLBACK" ? ThreadStatus.IDLE : ThreadStatus.INTERRUPTED;
      expect((await kit.thread()).status).toBe(status);
      if (name === "INTERRUPT") expect((await kit.get(runs[i]!.runId)).status).toBe(RunStatus.INTERRUPTED);
      kit.gates.remove();
    }
    other.gates.remove();
  });
});

describe("rollback", () => {
  it("S3, J1: of a running run, without wait, leaves the thread free and as it was", async () => {
    const kit = await threadWithPast();
    const before = await dump(app.db, { threadId: kit.threadId });
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    await cancel(kit, runId, ROLLBACK, false);
    await until(async () => (await failure(kit.get(runId)))[1] === "RUN_NOT_FOUND");
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual(before);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("S4: of a pending run with a joiner and with wait deletes it", async () => {
    const kit = await threadWithPast();
    const first = await kit.start();
    const { runId } = await kit.start();
    const joined = kit.join(runId);
    expect((await cancel(kit, runId, ROLLBACK)).outcome).toBe(CancelOutcome.NEVER_STARTED);
    expect((await joined).cancellation).toMatchObject({ action: ROLLBACK, outcome: CancelOutcome.NEVER_STARTED });
    expect(await failure(kit.get(runId))).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    await cancel(kit, first.runId, INTERRUPT);
    kit.gates.remove();
  });

  it("S5: of a pending run does not leave the thread busy", async () => {
    const kit = await threadWithPast();
    const first = await kit.start({ steps: ["a"] });
    const { runId } = await kit.start();
    await kit.gates.started("a");
    await cancel(kit, runId, ROLLBACK, false);
    await cancel(kit, first.runId, ROLLBACK);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("S9: of a resumed run takes its answer back", async () => {
    const kit = await createRunKit(app, "ask");
    await kit.join((await kit.start()).runId);
    const before = await dump(app.db, { threadId: kit.threadId });
    const { runId } = await kit.start(null, { command: { resume: toPayload("BAD") } });
    await kit.gates.started("work");
    await cancel(kit, runId, ROLLBACK);
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual(before);
    expect((await kit.thread()).interrupts).toHaveLength(1);
    kit.gates.open();
    await kit.join((await kit.start(null, { command: { resume: toPayload("GOOD") } })).runId);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=GOOD"] });
    kit.gates.remove();
  });
});

describe("the truth of an answer", () => {
  it("S6: wait and join answer only when the worker has stopped", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const signs: number[] = [];
    const noted = async (call: Promise<unknown>) => {
      await call;
      signs.push(kit.gates.beats());
    };
    await Promise.all([noted(cancel(kit, runId, INTERRUPT)), noted(kit.join(runId))]);
    const other = await threadWithPast();
    // Neither has answered before the last sign of life.
    expect(signs).toEqual([kit.gates.beats(), kit.gates.beats()]);
    for (const each of [kit, other]) each.gates.remove();
  });

  it("S8: the cancel of a pending run leaves a busy thread busy, and a question asked", async () => {
    const kit = await createRunKit(app, "ask");
    await kit.join((await kit.start()).runId);
    const first = await kit.start(null, { command: { resume: toPayload("yes") } });
    const second = await kit.start(null);
    await kit.gates.started("work");
    await cancel(kit, second.runId, INTERRUPT);
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    await cancel(kit, first.runId, ROLLBACK);
    expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);
    kit.gates.remove();
  });

  it("S10, S11: a cancelled run ends as cancelled, whenever the cancel comes, and is not tried again", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const outcomes = new Set<RunStatus>();
    for (let i = 0; i < 30; i += 1) {
      const { runId } = await kit.start({ steps: ["a"] });
      const answer = await cancel(kit, runId, INTERRUPT).catch(errorReason);
      const run = await kit.join(runId);
      const wasAccepted = answer !== "RUN_NOT_CANCELLABLE";
      expect(run.status).toBe(wasAccepted ? RunStatus.INTERRUPTED : RunStatus.SUCCESS);
      expect(run.attempt).toBeLessThanOrEqual(1);
      expect(await kit.get(runId)).toEqual(run);
      outcomes.add(run.status);
    }
    expect(outcomes).toContain(RunStatus.INTERRUPTED);
    kit.gates.remove();
  });

  it("S14: a misspelt action changes nothing", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    await kit.gates.started("a");
    const post = (body: object) =>
      fetch(`${app.app.url}/reins.v1.RunService/CancelRun`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ thread_id: kit.threadId, run_id: runId, ...body }),
      });
    for (const body of [{ action: "rolback" }, { action: "CANCEL_ACTION_ROLBACK" }, { action: 9 }, { wait: "yes" }]) {
      expect((await post(body)).status, JSON.stringify(body)).toBe(400);
    }
    expect((await kit.get(runId)).cancellation).toBeUndefined();
    expect((await post({ action: "CANCEL_ACTION_ROLLBACK", wait: true })).status).toBe(200);
    expect(await failure(kit.get(runId))).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    kit.gates.remove();
  });

  it.each([
    ["INTERRUPT", INTERRUPT, [""]],
    ["ROLLBACK", ROLLBACK, []],
  ] as const)("S24: a thread whose run was cancelled with %s has no error", async (_, action, errors) => {
    const kit = await threadWithPast();
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    await cancel(kit, runId, action);
    expect((await kit.thread()).error).toBeUndefined();
    expect((await kit.state()).tasks.map(({ error }) => error)).toEqual(errors);
    kit.gates.remove();
  });

  it("S15: whoever waits can tell a cancel from a success, and a rollback from both", async () => {
    const kit = await threadWithPast();
    const ends = [];
    for (const action of [undefined, INTERRUPT, ROLLBACK]) {
      const { runId } = await kit.start({ steps: ["x"] });
      await kit.gates.started("x");
      const joined = app.client.runs.joinRun({ threadId: kit.threadId, runId });
      if (action === undefined) kit.gates.open("x");
      else await cancel(kit, runId, action);
      const { run } = await joined;
      ends.push([run!.status, run!.cancellation?.action]);
      kit.gates.close("x");
    }
    expect(ends).toEqual([
      [RunStatus.SUCCESS, undefined],
      [RunStatus.INTERRUPTED, INTERRUPT],
      [RunStatus.INTERRUPTED, ROLLBACK],
    ]);
    kit.gates.remove();
  });
});
