import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { isAlive, until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("law 2: a run with a stored cancel ends as cancelled", () => {
  const points = createHoldPoints();
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 600_000 }, decorate: points.decorate });
  });
  afterAll(() => app.close());

  const cancel = (threadId: string, runId: string) =>
    app.client.runs.cancelRun({ threadId, runId, action: CancelAction.INTERRUPT, reason: "enough" });

  it.each([
    ["comes to its end", "gated", {}],
    ["fails", "faulty", { fault: "throw" }],
    ["runs out of time", "gated", { manners: { a: "deaf" } }],
  ] as const)("that %s meanwhile", async (how, graph, input) => {
    const hasTimeout = how === "runs out of time";
    const kit = await createRunKit(app, graph);
    const runId = randomUUID();
    const finish = points.hold("finish", runId);
    const stop = points.hold("stop", runId);
    await kit.start(input, hasTimeout ? { timeout: { nanos: 100_000_000 } } : {}, runId);
    if (hasTimeout) await Promise.all([kit.gates.started("a"), stop.reached]);
    stop.open();
    kit.gates.open();
    await finish.reached;
    expect((await cancel(kit.threadId, runId)).outcome).toBe(CancelOutcome.REQUESTED);
    finish.open();
    const over = await kit.join(runId);
    expect(over).toMatchObject({
      status: RunStatus.INTERRUPTED,
      attempt: 1,
      cancellation: { reason: "enough", outcome: CancelOutcome.STOPPED },
    });
    expect(over.error).toBeUndefined();
    kit.gates.remove();
  });

  it("when its process crashes meanwhile, and is not tried again", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { a: "deaf" } });
    const pid = await kit.gates.started("a");
    await cancel(kit.threadId, run.runId);
    process.kill(pid, "SIGKILL");
    expect(await kit.join(run.runId)).toMatchObject({
      status: RunStatus.INTERRUPTED,
      attempt: 1,
      cancellation: { outcome: CancelOutcome.KILLED },
    });
    expect(kit.gates.steps()).toEqual(["a"]);
    kit.gates.remove();
  });

  it("when its process crashed before the cancel and nobody knows yet", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    const pid = await kit.gates.started("a");
    // As long as a write is under way the crash has no outcome.
    const store = points.hold("store", runId);
    kit.gates.open("a");
    await store.reached;
    process.kill(pid, "SIGKILL");
    await until(() => !isAlive(pid));
    await cancel(kit.threadId, runId);
    store.open();
    expect(await kit.join(runId)).toMatchObject({
      status: RunStatus.INTERRUPTED,
      attempt: 1,
      cancellation: { outcome: CancelOutcome.KILLED },
    });
    kit.gates.remove();
  });

  it("when its server shuts down meanwhile", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    await cancel(kit.threadId, run.runId);
    await until(async () => (await kit.get(run.runId)).cancellation!.deliveredAt !== undefined);
    app = await app.restart();
    const { run: over } = await app.client.runs.joinRun({ threadId: kit.threadId, runId: run.runId });
    expect(over).toMatchObject({ status: RunStatus.INTERRUPTED, attempt: 1 });
    expect(over!.cancellation!.outcome).toBe(CancelOutcome.KILLED);
    expect(kit.gates.steps()).toEqual(["a"]);
    kit.gates.remove();
  });
});
