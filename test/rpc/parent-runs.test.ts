import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { errorInfo } from "../../src/client/index.ts";
import { decidedByTheDead } from "../support/decisions.ts";
import { dump } from "../support/dump.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const configFile = fileURLToPath(new URL("../agents/with-parent.json", import.meta.url));

describe("parent runs", () => {
  let app: TestApp;
  let kit: RunKit;
  const points = createHoldPoints();
  beforeAll(async () => {
    // One slot: a child that waited for it would wait for ever.
    const config = { configFile, children: 1, slotsPerChild: 1, leaseMs: 6_000 };
    app = await startTestApp({ config, decorate: points.decorate });
  });
  beforeEach(async () => {
    kit = await createRunKit(app, "parent");
  });
  const cancelAll = () =>
    app.client.runs.cancelRuns({
      target: { case: "filter", value: { status: LiveRunStatus.ALL } },
      wait: true,
    });
  afterEach(async () => {
    await cancelAll();
    kit.gates.remove();
  });
  afterAll(() => app.close());

  const family = (more: object) => kit.start({ url: app.app.url, ...more });
  /** A run beside the others, as if a node of the parent had asked for it. */
  async function childOf(parent: Run, more: { independent?: boolean; name?: string } = {}): Promise<Run> {
    const { threadId } = (await app.client.threads.createThread({})).thread!;
    const { independent, name = "late" } = more;
    const link = { threadId: parent.threadId, runId: parent.runId, independent };
    const spec = { ...kit.spec({ url: app.app.url, depth: 0, name }), assistantId: "parent" };
    return (await app.client.runs.createRun({ threadId, spec, parent: link })).run!;
  }
  const get = async ({ threadId, runId }: Run) => (await app.client.runs.getRun({ threadId, runId })).run!;
  const join = async ({ threadId, runId }: Run) => (await app.client.runs.joinRun({ threadId, runId })).run!;
  const childrenOf = async ({ runId }: Run) =>
    (await app.client.runs.listRuns({ pageSize: 1000 })).runs.filter((run) => run.parent?.runId === runId);
  const cancel = (run: Run, action: CancelAction = CancelAction.INTERRUPT) =>
    app.client.runs.cancelRun({ threadId: run.threadId, runId: run.runId, action, wait: true });

  describe("a child does not wait for a slot that its parent holds", () => {
    it("with one slot, over three generations", async () => {
      kit.gates.open();
      const run = await family({ depth: 3 });
      expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
      expect((await kit.state()).values).toMatchObject({ statuses: [RunStatus.SUCCESS] });
      const [child] = await childrenOf(run);
      expect(child!.parent).toMatchObject({ threadId: run.threadId, runId: run.runId, independent: false });
      expect(run.parent).toBeUndefined();
    });

    it("several children have it one after the other", async () => {
      kit.gates.open();
      const run = await family({ depth: 1, width: 4 });
      expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
      const { statuses } = (await kit.state()).values as { statuses: number[] };
      expect(statuses).toEqual([1, 2, 3, 4].map(() => RunStatus.SUCCESS));
      const spans = kit.gates.spans();
      expect(spans.map((span) => span.split(" ")[0])).toEqual([1, 2, 3, 4].flatMap(() => ["begin", "end"]));
    });

    it("also behind many runs that wait for a free one, which wait on", async () => {
      const others = await createRunKit(app, "parent");
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      const first = await childOf(run, { name: "first" });
      await kit.gates.started("first");
      for (let i = 0; i < 40; i += 1) {
        const { threadId } = (await app.client.threads.createThread({})).thread!;
        await app.client.runs.createRun({ threadId, spec: others.spec({ depth: 0, name: "other" }) });
      }
      // The first child has the place; this one gets it when it is free, although it is the last that was created.
      const late = await childOf(run);
      expect(late.status).toBe(RunStatus.PENDING);
      await cancel(first);
      await kit.gates.started("late");
      expect(others.gates.hasStarted("other")).toBe(false);
      await cancelAll();
      others.gates.remove();
    });
  });

  describe("a child is cancelled with its parent", () => {
    it.each([
      ["INTERRUPT", CancelAction.INTERRUPT],
      ["ROLLBACK", CancelAction.ROLLBACK],
    ])("with %s, and so are its own children", async (_, action) => {
      const run = await family({ depth: 2 });
      await kit.gates.started("run.0.0");
      const [child] = await childrenOf(run);
      const [grandchild] = await childrenOf(child!);
      const delayed = (
        await app.client.runs.createRun({
          threadId: kit.threadId,
          spec: { ...kit.spec({ depth: 0 }), after: { seconds: 3600n } } as never,
          parent: { threadId: run.threadId, runId: run.runId },
        })
      ).run!;
      const ends = Promise.all([child!, grandchild!, delayed].map(join));
      await cancel(run, action);
      const causes = [run, child!, run].map(({ runId }) => runId);
      for (const [index, end] of (await ends).entries()) {
        expect(end.status).toBe(RunStatus.INTERRUPTED);
        expect(end.cancellation).toMatchObject({
          action,
          requestedBy: "parent",
          reason: "parent run cancelled",
          causeRunId: causes[index],
        });
      }
      expect(await childrenOf(run)).toHaveLength(action === CancelAction.ROLLBACK ? 0 : 2);
    });

    it("unless it is independent", async () => {
      const run = await family({ depth: 1, independent: true });
      await kit.gates.started("run.0");
      const [child] = await childrenOf(run);
      await cancel(run);
      expect((await get(child!)).cancellation).toBeUndefined();
      kit.gates.open();
      expect((await join(child!)).status).toBe(RunStatus.SUCCESS);
    });

    it("but not when its parent ends by itself", async () => {
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      const child = await childOf(run);
      await kit.gates.started("late");
      kit.gates.open("run");
      await kit.join(run.runId);
      kit.gates.open("late");
      expect((await join(child)).status).toBe(RunStatus.SUCCESS);
    });

    it("when a rollback takes the place of an interrupt", async () => {
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      const child = await childOf(run);
      await kit.gates.started("late");
      for (const { runId } of [run, child]) points.hold("stop", runId);
      const name = { threadId: run.threadId, runId: run.runId };
      await app.client.runs.cancelRun(name);
      expect((await get(child)).cancellation).toMatchObject({ action: CancelAction.INTERRUPT });
      const over = join(child);
      await app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK });
      for (const { runId } of [run, child]) points.release(runId);
      expect((await over).cancellation).toMatchObject({ action: CancelAction.ROLLBACK, requestedBy: "parent" });
    });

    it("when it is created after its parent's cancel was stored: it never starts", async () => {
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      points.hold("stop", run.runId);
      await app.client.runs.cancelRun({ threadId: run.threadId, runId: run.runId });
      const child = await childOf(run);
      expect(child).toMatchObject({ status: RunStatus.INTERRUPTED });
      expect(child.cancellation).toMatchObject({
        outcome: CancelOutcome.NEVER_STARTED,
        requestedBy: "parent",
        causeRunId: run.runId,
      });
      const independent = await childOf(run, { independent: true });
      expect(independent.cancellation).toBeUndefined();
      points.release(run.runId);
      kit.gates.open("late");
      expect((await join(independent)).status).toBe(RunStatus.SUCCESS);
      expect(kit.gates.steps()).toEqual(["run", "late"]);
    });

    it("also where it waits on its parent's own thread, and is found by its parent's end", async () => {
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      const { threadId, runId } = run;
      const spec = { ...kit.spec({ depth: 0 }), after: { seconds: 3600n } };
      const child = (await app.client.runs.createRun({ threadId, spec, parent: { threadId, runId } } as never)).run!;
      const wish = { action: "rollback", reason: "", by: "client" } as const;
      await decidedByTheDead(app.db, { owner: "", threadId }, { kind: "requestCancel", runs: [runId], wish });
      await cancel(run, CancelAction.ROLLBACK);
      expect((await join(child)).cancellation).toMatchObject({ requestedBy: "parent", causeRunId: runId });
    });

    it("when only the parent's own cancel was stored before a crash", async () => {
      const run = await family({ depth: 0 });
      await kit.gates.started("run");
      const child = await childOf(run);
      await kit.gates.started("late");
      const wish = { action: "interrupt", reason: "", by: "client" } as const;
      const name = { owner: "", threadId: run.threadId };
      await decidedByTheDead(app.db, name, { kind: "requestCancel", runs: [run.runId], wish });
      expect((await join(run)).status).toBe(RunStatus.INTERRUPTED);
      expect((await join(child)).cancellation).toMatchObject({ requestedBy: "parent", causeRunId: run.runId });
    });

    it("when its parent is deleted, or the parent's thread", async () => {
      for (const [name, remove] of [
        ["one", (run: Run) => app.client.runs.deleteRun({ threadId: run.threadId, runId: run.runId })],
        ["two", (run: Run) => app.client.threads.deleteThread({ threadId: run.threadId })],
      ] as const) {
        const run = await family({ depth: 1, name });
        await kit.gates.started(`${name}.0`);
        const [child] = await childrenOf(run);
        const over = join(child!);
        await remove(run);
        expect((await over).cancellation).toMatchObject({ requestedBy: "parent", causeRunId: run.runId });
      }
    });
  });

  it("a parent that there is not, that is another thread's, or that is over is refused", async () => {
    kit.gates.open();
    const over = await join(await family({ depth: 0 }));
    const other = await createRunKit(app, "parent");
    const before = await dump(app.db);
    const refused = async (parent: { threadId: string; runId: string }) => {
      const spec = kit.spec({ depth: 0 });
      const call = app.client.runs.createRun({ threadId: kit.threadId, spec, parent });
      return (await call.catch((error: unknown) => error)) as ConnectError;
    };
    for (const parent of [
      { threadId: kit.threadId, runId: randomUUID() },
      { threadId: other.threadId, runId: over.runId },
      { threadId: randomUUID(), runId: over.runId },
    ]) {
      const error = await refused(parent);
      expect([Code[error.code], errorInfo(error)?.reason]).toEqual(["NotFound", "RUN_NOT_FOUND"]);
      expect(error.rawMessage).toBe(`parent: thread ${parent.threadId} has no run ${parent.runId}`);
      expect(errorInfo(error)?.metadata).toMatchObject({ field: "parent", run_id: parent.runId });
    }
    const error = await refused({ threadId: over.threadId, runId: over.runId });
    expect([Code[error.code], errorInfo(error)?.reason]).toEqual(["InvalidArgument", "INVALID_FIELD"]);
    expect(error.rawMessage).toMatch(`parent: run ${over.runId} is over; only a run that is live creates runs`);
    expect(await dump(app.db)).toEqual(before);
    other.gates.remove();
  });
});
