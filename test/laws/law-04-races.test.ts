import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, MultitaskStrategy, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type App, startApp } from "../../src/app.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { silentLog } from "../support/engine.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit } from "../support/run-kit.ts";
import { attachWatchers } from "../support/run-watchers.ts";
import { startTestApp, type TestApp, testConfig } from "../support/test-app.ts";

describe("law 4: an end that others are just learning of", () => {
  const points = createHoldPoints();
  /** What the second server asks of runs; it waits there while the barrier is set. */
  const elsewhere = createHoldPoints();
  let looking: Barrier | undefined;
  let app: TestApp;
  let other: App;
  let otherClient: ReinsClient;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 600_000 }, decorate: points.decorate });
    const { mongodbUri, databaseName } = app.config;
    other = await startApp(testConfig({ uri: mongodbUri!, name: databaseName }, { slotsPerChild: 1 }), {
      log: silentLog,
      progress: () => {},
      decorate(own) {
        const parts = elsewhere.decorate(own);
        const look = { before: () => looking?.pass() };
        const runs = around(around(parts.stores.runs, "find", look), "findMany", look);
        return { ...parts, stores: { ...parts.stores, runs } };
      },
    });
    otherClient = createReinsClient({ baseUrl: other.url });
  });
  afterAll(async () => {
    looking?.open();
    await other.stop();
    await app.close();
  });

  it("a run that is deleted before its watchers in another server have looked ends for them as for the others", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    await kit.start({ steps: ["a"] }, {}, runId);
    const name = { threadId: kit.threadId, runId };
    await kit.gates.started("a");
    const near = await attachWatchers(app.client, name, () => points.lookups(runId));
    const far = await attachWatchers(otherClient, name, () => elsewhere.lookups(runId));
    looking = createBarrier();
    kit.gates.open();
    const [first, ...rest] = await near.ended();
    await app.client.runs.deleteRun(name);
    looking.open();
    expect(first!.status).toBe(RunStatus.SUCCESS);
    for (const one of [...rest, ...(await far.ended())]) expect(one).toEqual(first);
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    await expect(app.client.runs.deleteRun(name)).rejects.toThrow(/no run/);
    for (const action of [CancelAction.INTERRUPT, CancelAction.ROLLBACK]) {
      await expect(app.client.runs.cancelRun({ ...name, action })).rejects.toThrow(/no run/);
    }
    kit.gates.remove();
  });

  it("a run can be deleted when its outcome is written and nobody has been told yet", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const finished = points.hold("finished", runId);
    kit.gates.open();
    await kit.start({ steps: ["a"] }, {}, runId);
    await finished.reached;
    const name = { threadId: kit.threadId, runId };
    const before = points.looks(kit.threadId);
    const deleted = app.client.runs.deleteRun(name);
    deleted.catch(() => {});
    // It looks where the run stands, and then waits until that is told.
    await expect.poll(() => points.looks(kit.threadId) - before, { timeout: 30_000 }).toBeGreaterThanOrEqual(1);
    finished.open();
    await deleted;
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    kit.gates.remove();
  });

  it("a repeated cancel with wait is answered when the thread is free", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const settled = points.hold("settled", runId);
    await kit.start({}, {}, runId);
    await kit.gates.started("a");
    const name = { threadId: kit.threadId, runId };
    await app.client.runs.cancelRun(name);
    await settled.reached;
    const before = points.looks(kit.threadId);
    const repeated = app.client.runs.cancelRun({ ...name, wait: true });
    // It changes nothing, which it must have seen; then it waits.
    await expect.poll(() => points.looks(kit.threadId) - before, { timeout: 30_000 }).toBeGreaterThanOrEqual(1);
    settled.open();
    expect((await repeated).run!.status).toBe(RunStatus.INTERRUPTED);
    kit.gates.open();
    const next = await kit.start({}, { multitaskStrategy: MultitaskStrategy.REJECT });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });
});
