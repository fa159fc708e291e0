import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { isAlive } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { traces } from "../support/traces.ts";

const cancelled = (kit: RunKit, runId: string) =>
  kit.client.runs.cancelRun({ threadId: kit.threadId, runId, action: CancelAction.INTERRUPT, wait: true });

/** Opens every gate: what is still under way goes on, and shows it by the time that another run has come to its end. */
async function expectStillness(kit: RunKit, app: TestApp): Promise<void> {
  const before = { beats: kit.gates.beats(), steps: kit.gates.steps() };
  kit.gates.open();
  const other = await createRunKit(app);
  other.gates.open();
  await other.join((await other.start()).runId);
  other.gates.remove();
  expect({ beats: kit.gates.beats(), steps: kit.gates.steps() }).toEqual(before);
}

describe("law 1: stopped means stopped", () => {
  const points = createHoldPoints();
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 500 }, decorate: points.decorate });
  });
  afterAll(() => app.close());

  it.each([
    ["polite", CancelOutcome.STOPPED],
    ["deaf", CancelOutcome.KILLED],
    ["busy", CancelOutcome.KILLED],
  ] as const)("a %s node leaves no sign of life after the answer", async (manner, outcome) => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { b: manner } });
    kit.gates.open("a");
    const pid = await kit.gates.started("b");
    const answer = await cancelled(kit, run.runId);
    expect(answer.outcome).toBe(outcome);
    expect(answer.run!.status).toBe(RunStatus.INTERRUPTED);
    expect(isAlive(pid)).toBe(outcome === CancelOutcome.STOPPED);
    await expectStillness(kit, app);
    expect(kit.gates.isDone("b")).toBe(false);
    expect((await kit.state()).values).toMatchObject({ log: ["a"] });
    kit.gates.remove();
  });

  it.each([
    ["every branch", {}, CancelOutcome.STOPPED],
    ["a deaf branch beside a subgraph", { left: "deaf" }, CancelOutcome.KILLED],
    ["a deaf step in a subgraph", { one: "deaf" }, CancelOutcome.KILLED],
  ] as const)("stops %s", async (_, manners, outcome) => {
    const kit = await createRunKit(app, "nested");
    const run = await kit.start({ manners });
    const pid = await kit.gates.started("left");
    await kit.gates.started("one");
    const answer = await cancelled(kit, run.runId);
    expect(answer.outcome).toBe(outcome);
    expect(isAlive(pid)).toBe(outcome === CancelOutcome.STOPPED);
    await expectStillness(kit, app);
    expect(kit.gates.steps().sort()).toEqual(["left", "one"]);
    kit.gates.remove();
  });

  it.each([
    ["polite", CancelOutcome.STOPPED],
    ["deaf", CancelOutcome.KILLED],
  ] as const)("ends a dedicated run's process with it when its node is %s", async (manner, outcome) => {
    const kit = await createRunKit(app, "dedicated");
    const run = await kit.start({ manners: { a: manner } });
    const pid = await kit.gates.started("a");
    expect((await cancelled(kit, run.runId)).outcome).toBe(outcome);
    expect(isAlive(pid)).toBe(false);
    await expectStillness(kit, app);
    kit.gates.remove();
  });

  it("calls a run timed out when the process of its deaf node is dead", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const stop = points.hold("stop", runId);
    await kit.start({ manners: { a: "deaf" } }, { timeout: { nanos: 300_000_000 } }, runId);
    const [pid] = await Promise.all([kit.gates.started("a"), stop.reached]);
    stop.open();
    const over = await kit.join(runId);
    expect(isAlive(pid)).toBe(false);
    expect(over).toMatchObject({ status: RunStatus.TIMEOUT, error: { name: "TimeoutError" } });
    await expectStillness(kit, app);
    kit.gates.remove();
  });

  it.each(["polite", "deaf", "busy"] as const)("deletes a live run with a %s node when it is over", async (manner) => {
    const kit = await createRunKit(app);
    const run = await kit.start({ manners: { b: manner } });
    kit.gates.open("a");
    const pid = await kit.gates.started("b");
    await kit.client.runs.deleteRun({ threadId: kit.threadId, runId: run.runId });
    expect(isAlive(pid)).toBe(manner === "polite");
    await expectStillness(kit, app);
    await expect(kit.get(run.runId)).rejects.toThrow(/no run/);
    const left = await traces(app.db, run.runId);
    expect(left.filter((place) => !place.startsWith("tombstones/"))).toEqual([]);
    kit.gates.remove();
  });
});
