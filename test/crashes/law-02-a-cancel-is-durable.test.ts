import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { CancelAction, CancelOutcome, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { entryInLane } from "../support/decisions.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { testGraphs } from "../support/test-app.ts";

const { INTERRUPT, ROLLBACK } = CancelAction;

describe("law 2: a cancel is durable", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());

  /** A server that neither kills a node nor looks for stored cancels by itself within the test's time. */
  async function startServer(more: Record<string, string> = {}): Promise<ServerProcess> {
    const server = await startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: testGraphs,
      REINS_CHILDREN: "1",
      REINS_GRACE_MS: "600000",
      REINS_LEASE_MS: "600000",
      REINS_POLL_MS: "100",
      ...more,
    });
    onTestFinished(() => (isAlive(server.pid) ? server.end("SIGKILL").then(() => {}) : undefined));
    return server;
  }

  /** After the crash: the kit on the new server. */
  const moved = (kit: RunKit, server: ServerProcess) => ({
    join: async (runId: string) =>
      (await server.client.runs.joinRun({ threadId: kit.threadId, runId, timeout: { seconds: 60n }, omitValues: true }))
        .run!,
    gone: (runId: string) =>
      until(async () => {
        const { runs } = await server.client.runs.listRuns({ threadId: kit.threadId });
        return runs.every((run) => run.runId !== runId);
      }),
    cancel: (runId: string, action: CancelAction) =>
      server.client.runs.cancelRun({ threadId: kit.threadId, runId, action }),
  });

  it("also when everything dies in the instant of the answer", { timeout: 180_000 }, async () => {
    const first = await startServer();
    const live: { kit: RunKit; run: Run; pid: number; action: CancelAction }[] = [];
    for (const [graph, manner, action] of [
      ["gated", "polite", INTERRUPT],
      ["gated", "deaf", INTERRUPT],
      ["gated", "deaf", ROLLBACK],
      ["dedicated", "busy", INTERRUPT],
      ["dedicated", "busy", ROLLBACK],
    ] as const) {
      const kit = await createRunKit(first, graph);
      const run = await kit.start({ manners: { b: manner } });
      kit.gates.open("a");
      live.push({ kit, run, pid: await kit.gates.started("b"), action });
    }
    const [holder] = live;
    const queued = [await holder!.kit.start(), await holder!.kit.start()];
    const bystander = await createRunKit(first);
    const untouched = await bystander.start();
    bystander.gates.open("a");
    await bystander.gates.started("b");

    await Promise.all([
      ...live.map(({ kit, run, action }) =>
        first.client.runs.cancelRun({ threadId: kit.threadId, runId: run.runId, action }),
      ),
      ...[INTERRUPT, ROLLBACK].map((action, i) =>
        first.client.runs.cancelRun({ threadId: holder!.kit.threadId, runId: queued[i]!.runId, action }),
      ),
    ]);
    await first.end("SIGKILL");
    const second = await startServer();

    for (const { kit, run, pid, action } of live) {
      const after = moved(kit, second);
      if (action === INTERRUPT) {
        const over = await after.join(run.runId);
        expect(over).toMatchObject({ status: RunStatus.INTERRUPTED, attempt: 1, cancellation: { action } });
        expect([CancelOutcome.STOPPED, CancelOutcome.KILLED]).toContain(over.cancellation!.outcome);
      } else {
        await after.gone(run.runId);
        expect((await after.cancel(run.runId, ROLLBACK)).outcome).toBe(CancelOutcome.KILLED);
      }
      expect(isAlive(pid)).toBe(false);
      expect(kit.gates.steps()).toEqual(["a", "b"]);
    }
    const after = moved(holder!.kit, second);
    expect(await after.join(queued[0]!.runId)).toMatchObject({
      status: RunStatus.INTERRUPTED,
      attempt: 0,
      cancellation: { outcome: CancelOutcome.NEVER_STARTED },
    });
    await after.gone(queued[1]!.runId);

    // A run that nobody cancelled is taken up again by the same sweep, so the others were not merely left alone.
    bystander.gates.open();
    const taken = await moved(bystander, second).join(untouched.runId);
    expect(taken.status).toBe(RunStatus.SUCCESS);
    // Where two busy nodes have kept the processors from it, it may have been taken up once more.
    expect(taken.attempt).toBeGreaterThanOrEqual(2);
    expect(bystander.gates.steps()).toEqual(["a", ...Array(taken.attempt).fill("b"), "c"]);
    await second.end("SIGTERM");
    for (const { kit } of live) kit.gates.remove();
    bystander.gates.remove();
  });

  it("also when its signal was never delivered", { timeout: 180_000 }, async () => {
    const [executing, answering] = await Promise.all([startServer(), startServer()]);
    const live = await Promise.all(
      [INTERRUPT, ROLLBACK].map(async (action) => {
        const kit = await createRunKit(executing);
        const { runId } = await kit.start();
        return { kit, runId, action, pid: await kit.gates.started("a") };
      }),
    );
    process.kill(executing.pid, "SIGSTOP");
    for (const { kit, runId, action } of live) {
      const answer = await answering.client.runs.cancelRun({ threadId: kit.threadId, runId, action });
      expect(answer.outcome).toBe(CancelOutcome.REQUESTED);
    }
    await Promise.all([executing.end("SIGKILL"), answering.end("SIGKILL")]);
    for (const { kit, runId } of live) {
      const entry = await entryInLane(database.db, { threadId: kit.threadId, runId });
      expect(entry).toMatchObject({ phase: "stopping", cancel: { by: "client" } });
      expect(entry!.cancel!.deliveredAt).toBeUndefined();
    }
    const third = await startServer();
    for (const { kit, runId, action, pid } of live) {
      const after = moved(kit, third);
      if (action === INTERRUPT) {
        const over = await after.join(runId);
        expect(over).toMatchObject({ status: RunStatus.INTERRUPTED, attempt: 1 });
        expect(over.cancellation!.outcome).toBe(CancelOutcome.KILLED);
      } else {
        await after.gone(runId);
        expect((await after.cancel(runId, action)).outcome).toBe(CancelOutcome.KILLED);
      }
      expect(isAlive(pid)).toBe(false);
      expect(kit.gates.steps()).toEqual(["a"]);
      kit.gates.remove();
    }
    await third.end("SIGTERM");
  });
});
