import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("deletion", () => {
  let app: TestApp;
  /** Stops a run's insert, before it is made, when set. */
  let atInsert: Barrier | undefined;

  beforeAll(async () => {
    app = await startTestApp({
      decorate: ({ stores, ...parts }) => ({
        ...parts,
        stores: { ...stores, runs: around(stores.runs, "insert", { before: () => atInsert?.pass() }) },
      }),
    });
  });
  afterAll(() => app.close());

  async function done(kit: RunKit, steps: string[]): Promise<Run> {
    for (const step of steps) kit.gates.open(step);
    const run = await kit.join((await kit.start({ steps })).runId);
    expect(run.status).toBe(RunStatus.SUCCESS);
    return run;
  }

  async function picture(kit: RunKit) {
    const { updatedAt: _, ...thread } = await kit.thread();
    const { runs } = await kit.client.runs.listRuns({ threadId: kit.threadId });
    return { thread, runs, state: await kit.state(), history: await kit.history() };
  }

  const deleteRun = (kit: RunKit, { runId }: Run) => kit.client.runs.deleteRun({ threadId: kit.threadId, runId });
  const deleteThread = ({ client, threadId }: RunKit) => client.threads.deleteThread({ threadId });

  async function expectGone(kit: RunKit, run: Run): Promise<void> {
    expect(await kit.get(run.runId).catch(errorReason)).toBe("RUN_NOT_FOUND");
    expect(mentions(await dump(app.db, { threadId: kit.threadId }), run.runId)).toEqual([]);
    expect(await deleteRun(kit, run).catch(errorReason)).toBe("RUN_NOT_FOUND");
  }

  describe("of a run", () => {
    it("that is over and was the last one: the thread is where it was before it", async () => {
      const kit = await createRunKit(app);
      await done(kit, ["a"]);
      const before = await picture(kit);
      const run = await done(kit, ["b"]);
      await deleteRun(kit, run);
      expect(await picture(kit)).toEqual(before);
      await expectGone(kit, run);
      kit.gates.remove();
    });

    it("that was the only one", async () => {
      const kit = await createRunKit(app);
      const before = await picture(kit);
      const run = await done(kit, ["a"]);
      await deleteRun(kit, run);
      expect(await picture(kit)).toEqual(before);
      await expectGone(kit, run);
      kit.gates.remove();
    });

    it("that failed: the thread's status is that of what is left", async () => {
      const kit = await createRunKit(app, "faulty");
      kit.gates.open();
      await kit.join((await kit.start({ fault: "none" })).runId);
      const before = await picture(kit);
      const run = await kit.join((await kit.start({ fault: "throw" })).runId);
      expect((await kit.thread()).status).toBe(ThreadStatus.ERROR);
      await deleteRun(kit, run);
      expect(await picture(kit)).toEqual(before);
      await expectGone(kit, run);
      kit.gates.remove();
    });

    it("in the middle: what came after it stays whole", async () => {
      const kit = await createRunKit(app);
      await done(kit, ["a"]);
      const middle = await done(kit, ["b"]);
      const last = await done(kit, ["c"]);
      const before = await picture(kit);
      await deleteRun(kit, middle);
      const after = await picture(kit);
      expect(after.thread).toEqual(before.thread);
      expect(after.state).toEqual(before.state);
      expect(after.runs).toEqual(before.runs.filter(({ runId }) => runId !== middle.runId));
      expect(after.history).toEqual(before.history.filter(({ metadata }) => metadata?.run_id !== middle.runId));
      expect(after.history.length).toBeLessThan(before.history.length);
      await expectGone(kit, middle);

      await done(kit, ["d"]);
      expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c", "d"] });
      const first = after.history.filter(({ metadata }) => metadata?.run_id === last.runId).at(-1)!;
      const checkpointId = first.checkpoint!.checkpointId;
      const fork = await kit.start({ steps: ["a"] }, { checkpointId });
      expect((await kit.join(fork.runId)).status).toBe(RunStatus.SUCCESS);
      expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "a"] });
      kit.gates.remove();
    });

    it.each(["polite", "deaf", "busy"])("that executes a %s step stops it for real first", async (manner) => {
      const kit = await createRunKit(app);
      await done(kit, ["a"]);
      const before = await picture(kit);
      const run = await kit.start({ steps: ["b", "c"], manners: { c: manner } });
      kit.gates.open("b");
      await kit.gates.started("c");
      await deleteRun(kit, run);
      const beats = kit.gates.beats();
      expect(await picture(kit)).toEqual(before);
      await expectGone(kit, run);
      expect(kit.gates.beats()).toBe(beats);
      kit.gates.remove();
    });

    it("that waits, while another executes", async () => {
      const kit = await createRunKit(app);
      const first = await kit.start({ steps: ["a"] });
      await kit.gates.started("a");
      const stored = () => dump(app.db, { threadId: kit.threadId, exceptEventsOf: first.runId });
      const before = await stored();
      const waiting = await kit.start({ steps: ["b"] });
      await deleteRun(kit, waiting);
      expect(await stored()).toEqual(before);
      await expectGone(kit, waiting);
      kit.gates.open();
      expect((await kit.join(first.runId)).status).toBe(RunStatus.SUCCESS);
      expect(kit.gates.steps()).toEqual(["a"]);
      kit.gates.remove();
    });

    it("that is over is refused while another is live, and changes nothing", async () => {
      const kit = await createRunKit(app);
      const over = await done(kit, ["a"]);
      const live = await kit.start({ steps: ["b"] });
      await kit.gates.started("b");
      const stored = () => dump(app.db, { threadId: kit.threadId, exceptEventsOf: live.runId });
      const before = await stored();
      expect(await deleteRun(kit, over).catch(errorReason)).toBe("THREAD_BUSY");
      expect(await stored()).toEqual(before);
      kit.gates.open();
      await kit.join(live.runId);
      await deleteRun(kit, over);
      expect((await kit.state()).values).toMatchObject({ log: ["a", "b"] });
      kit.gates.remove();
    });
  });

  describe("of a thread", () => {
    async function expectThreadGone(kit: RunKit): Promise<void> {
      expect(await kit.thread().catch(errorReason)).toBe("THREAD_NOT_FOUND");
      expect(await kit.start({}).catch(errorReason)).toBe("THREAD_NOT_FOUND");
      expect(await deleteThread(kit).catch(errorReason)).toBe("THREAD_NOT_FOUND");
      expect(await dump(app.db, { threadId: kit.threadId })).toEqual({});
    }

    it.each(["polite", "deaf", "busy"])(
      "with a %s run and others that wait stops it for real first",
      async (manner) => {
        const kit = await createRunKit(app);
        await done(kit, ["a"]);
        const live = await kit.start({ steps: ["b"], manners: { b: manner } });
        const waiting = await kit.start({ steps: ["c"], manners: {} });
        await kit.gates.started("b");
        const joined = Promise.all([live, waiting].map(({ runId }) => kit.join(runId).catch(errorReason)));
        await deleteThread(kit);
        const beats = kit.gates.beats();
        await expectThreadGone(kit);
        for (const outcome of await joined) {
          if (typeof outcome === "object") expect(outcome.status).toBe(RunStatus.INTERRUPTED);
          else expect(outcome).toBe("RUN_NOT_FOUND");
        }
        expect(kit.gates.beats()).toBe(beats);
        expect(kit.gates.steps()).toEqual(["a", "b"]);
        kit.gates.remove();
      },
    );

    it("that is created again under its id starts afresh", async () => {
      const kit = await createRunKit(app);
      await done(kit, ["a"]);
      const rolledBack = await kit.start({ steps: ["x"] });
      await kit.gates.started("x");
      const { threadId } = kit;
      await kit.client.runs.cancelRun({ threadId, runId: rolledBack.runId, action: CancelAction.ROLLBACK, wait: true });
      await deleteThread(kit);
      await kit.client.threads.createThread({ threadId });
      const { thread, runs, state, history } = await picture(kit);
      expect(thread).toMatchObject({ status: ThreadStatus.IDLE, interrupts: [] });
      expect([thread.values, state.values, runs, history]).toEqual([undefined, undefined, [], []]);
      const run = await done(kit, ["b"]);
      expect((await kit.state()).values).toMatchObject({ log: ["b"] });
      expect((await picture(kit)).runs.map(({ runId }) => runId)).toEqual([run.runId]);
      kit.gates.remove();
    });

    // The first enters its thread while it is being stored, so that it is stopped; the other finds its thread gone.
    it.each([
      ["the first", "created"],
      ["a waiting", "THREAD_NOT_FOUND"],
    ])("while %s run is being created leaves nothing of it", async (which, answer) => {
      const kit = await createRunKit(app);
      if (which === "a waiting") {
        await kit.start({ steps: ["a"] });
        await kit.gates.started("a");
      }
      atInsert = createBarrier();
      const creating = kit.start({ steps: ["late"] }).then(() => "created", errorReason);
      const { open, reached } = atInsert;
      await reached;
      atInsert = undefined;
      const deleting = deleteThread(kit);
      const threads = app.db.collection("threads");
      await until(async () => (await threads.findOne({ thread_id: kit.threadId }))?.removing !== false);
      open();
      await deleting;
      expect(await creating).toBe(answer);
      await expectThreadGone(kit);
      expect(kit.gates.hasStarted("late")).toBe(false);
      kit.gates.remove();
    });
  });
});
