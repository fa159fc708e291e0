import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A node that does not listen has all the time it wants here, so that what is said meanwhile can be looked at. */
describe("law 1: until the last node has settled", () => {
  const points = createHoldPoints();
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 600_000 }, decorate: points.decorate });
  });
  afterAll(() => app.close());

  /** The run is as it was after the same server and process have executed another run from its beginning to its end. */
  async function expectStillRunning(kit: RunKit, runId: string): Promise<void> {
    const other = await createRunKit(app);
    other.gates.open();
    expect((await other.join((await other.start()).runId)).status).toBe(RunStatus.SUCCESS);
    other.gates.remove();
    expect((await kit.get(runId)).status).toBe(RunStatus.RUNNING);
  }

  it("the status of a cancelled run stays, with the request on it", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const answer = await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: run.runId, reason: "enough" });
    expect(answer.outcome).toBe(CancelOutcome.REQUESTED);
    await until(async () => (await kit.get(run.runId)).cancellation!.deliveredAt !== undefined);
    await expectStillRunning(kit, run.runId);
    const { cancellation } = await kit.get(run.runId);
    expect(cancellation).toMatchObject({ reason: "enough", outcome: CancelOutcome.REQUESTED });
    kit.gates.open("a");
    const over = await kit.join(run.runId);
    expect(kit.gates.isDone("a")).toBe(true);
    expect(over).toMatchObject({
      status: RunStatus.INTERRUPTED,
      cancellation: { outcome: CancelOutcome.STOPPED },
    });
    expect(kit.gates.hasStarted("b")).toBe(false);
    kit.gates.remove();
  });

  it("a run whose branches have settled but one is not over", async () => {
    const kit = await createRunKit(app, "nested");
    const run = await kit.start({ manners: { one: "deaf" } });
    await Promise.all([kit.gates.started("left"), kit.gates.started("one")]);
    await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: run.runId });
    await until(async () => (await kit.get(run.runId)).cancellation!.deliveredAt !== undefined);
    await expectStillRunning(kit, run.runId);
    kit.gates.open("one");
    const over = await kit.join(run.runId);
    expect(kit.gates.isDone("one")).toBe(true);
    expect(over.status).toBe(RunStatus.INTERRUPTED);
    expect(kit.gates.steps().sort()).toEqual(["left", "one"]);
    kit.gates.remove();
  });

  it("a run whose time is over is not called so", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const stop = points.hold("stop", runId);
    const run = await kit.start({ manners: { a: "deaf" } }, { timeout: { nanos: 200_000_000 } }, runId);
    await Promise.all([kit.gates.started("a"), stop.reached]);
    stop.open();
    await expectStillRunning(kit, run.runId);
    kit.gates.open("a");
    expect((await kit.join(run.runId)).status).toBe(RunStatus.TIMEOUT);
    expect(kit.gates.isDone("a")).toBe(true);
    expect(kit.gates.hasStarted("b")).toBe(false);
    kit.gates.remove();
  });

  it("the record of a run that is being deleted is there", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const stop = points.hold("stop", runId);
    const run = await kit.start({ manners: { a: "deaf" } }, {}, runId);
    await kit.gates.started("a");
    const deleted = kit.client.runs.deleteRun({ threadId: kit.threadId, runId: run.runId });
    await stop.reached;
    stop.open();
    await expectStillRunning(kit, run.runId);
    kit.gates.open("a");
    await deleted;
    expect(kit.gates.isDone("a")).toBe(true);
    await expect(kit.get(run.runId)).rejects.toThrow(/no run/);
    kit.gates.remove();
  });
});
