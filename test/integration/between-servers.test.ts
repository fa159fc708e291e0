import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type EventReader, endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { createStatelessKit } from "../support/stateless-kit.ts";
import { gatedGraph, startTestApp, type TestApp } from "../support/test-app.ts";

const quarterOfAnHour = 900_000;

/**
 * Two servers, of which one executes the runs that are cancelled, read and waited for at the other. For a quarter of an hour nothing
 * is looked for, and neither beats, so that only what they tell each other explains what they do.
 */
describe("what servers tell each other", { timeout: 60_000 }, () => {
  let other: TestApp;
  let executing: TestApp;
  let kit: RunKit;

  beforeAll(async () => {
    const config = { configFile: gatedGraph, slotsPerChild: 1, pollMs: quarterOfAnHour, leaseMs: 3 * quarterOfAnHour };
    other = await startTestApp({ config });
    executing = await other.start({ slotsPerChild: 8 });
    // Each has found the other.
    await until(async () => (await other.db.collection("nudges").countDocuments()) === 2);
  });
  beforeEach(async () => {
    kit = await createRunKit(executing);
  });
  afterEach(() => kit.gates.remove());
  afterAll(async () => {
    await executing.app.stop();
    await other.close();
  });

  /** A run that executes, and is read and waited for at the other server; all of its events so far are there. */
  async function followedRun() {
    const { runId } = await kit.start();
    await kit.gates.started("a");
    const name = { threadId: kit.threadId, runId };
    const reader = readEvents((signal) => other.client.runs.joinRunStream(name, { signal }));
    const joined = other.client.runs.joinRun({ ...name, omitValues: true });
    await reader.received(1);
    await until(() => tells("follow", runId));
    return { name, reader, joined };
  }

  /** Whether a server was told so of the run. */
  async function tells(kind: string, runId: string): Promise<boolean> {
    const told = await other.db.collection("nudges").find({}).toArray();
    return told.some(({ batches }) =>
      batches.some((text: string) => text.includes(`"kind":"${kind}"`) && text.includes(runId)),
    );
  }

  /** More events than there were. */
  async function grows(reader: EventReader, change: () => void): Promise<void> {
    const before = reader.events.length;
    change();
    await reader.received(before + 1);
  }

  it("a run that is cancelled at one server stops at the other", async () => {
    const { runId } = await kit.start();
    await kit.gates.started("a");
    await other.client.runs.cancelRun({ threadId: kit.threadId, runId });
    const over = await kit.join(runId);
    expect(over.status).toBe(RunStatus.INTERRUPTED);
    expect(over.cancellation!.outcome).toBe(CancelOutcome.STOPPED);
  });

  it("events, and the end, come to those who read and wait at another server", async () => {
    const { reader, joined } = await followedRun();
    await grows(reader, () => kit.gates.open("a"));
    await grows(reader, () => kit.gates.open("b"));
    kit.gates.open();
    expect((await joined).run!.status).toBe(RunStatus.SUCCESS);
    expect(await reader.ended).toBeUndefined();
    expect(endOf(reader.events)).toMatchObject({ status: RunStatus.SUCCESS });
  });

  it("a rollback is told as an end", async () => {
    const { name, reader, joined } = await followedRun();
    await executing.client.runs.cancelRun({ ...name, action: 2 });
    expect((await joined).run!.status).toBe(RunStatus.INTERRUPTED);
    expect(await reader.ended).toBeUndefined();
  });

  it("a run that finds no free slot is executed where there is one, for those who wait where it was created", async () => {
    const blocker = createStatelessKit(other);
    const stateless = createStatelessKit(other);
    await blocker.create({ steps: ["block"] });
    await blocker.gates.started("block");
    const [read, waited] = [await stateless.stream({ steps: ["a"] }), await stateless.wait({ steps: ["b"] })];
    for (const step of ["a", "b"]) await stateless.gates.started(step);
    stateless.gates.open();
    for (const { told } of [read, waited]) expect(await told).toMatchObject({ status: RunStatus.SUCCESS });
    blocker.gates.open();
    for (const { gates } of [blocker, stateless]) gates.remove();
  });
});
