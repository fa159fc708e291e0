import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { PruneStrategy } from "../../gen/reins/v1/thread_service_pb.ts";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump } from "../support/dump.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What holds a thread's turn without being a run, for longer than a lease, or until it crashes. */
let app: TestApp;
let hooks: Partial<Record<"copy" | "keepCopy" | "discardCopy" | "keepLatest" | "deleteRun", () => unknown>>;
/** How often the sweep has looked for lost turns. */
let sweeps = 0;

beforeAll(async () => {
  const hooked = (journal: Journal) =>
    (["copy", "keepCopy", "discardCopy", "keepLatest", "deleteRun"] as const).reduce(
      (one, method) => around(one, method, { before: () => hooks[method]?.() }),
      journal,
    );
  app = await startTestApp({
    config: { leaseMs: 1_500 },
    decorate({ stores, journal, host }) {
      const threads = around(stores.threads, "heldTurns", { before: () => (sweeps += 1) });
      return { stores: { ...stores, threads }, journal: hooked(journal), host };
    },
  });
});
beforeEach(() => {
  hooks = {};
});
afterAll(() => app.close());

async function afterTwoRuns() {
  const kit = await createRunKit(app);
  kit.gates.open();
  const first = await kit.join((await kit.start({ steps: ["a"] })).runId);
  await kit.join((await kit.start({ steps: ["b"] })).runId);
  return { kit, first: first.runId };
}

describe("a turn that is held by what is no run", () => {
  const slow = ["copy", "keepLatest", "deleteRun"] as const;
  it.each(slow)("stays with it as long as its server lives (%s)", async (method) => {
    const { kit, first } = await afterTwoRuns();
    const { threadId } = kit;
    const barrier: Barrier = createBarrier();
    hooks[method] = () => barrier.pass();
    const { threads, runs } = app.client;
    const work = {
      copy: () => threads.copyThread({ threadId }),
      keepLatest: () => threads.pruneThreads({ threadIds: [threadId], strategy: PruneStrategy.KEEP_LATEST }),
      deleteRun: () => runs.deleteRun({ threadId, runId: first }),
    }[method]();
    await barrier.reached;
    const { runId } = await kit.start({ steps: ["c"] });
    // More than two leases, since the sweep looks three times in each.
    const until = sweeps + 8;
    await expect.poll(() => sweeps, { timeout: 30_000 }).toBeGreaterThan(until);
    expect((await kit.get(runId)).status).toBe(RunStatus.PENDING);
    expect(kit.gates.hasStarted("c")).toBe(false);
    barrier.open();
    await work;
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it.each(["copy", "prune", "delete"])("is taken from it after a crash (%s)", async (purpose) => {
    const { kit } = await afterTwoRuns();
    const { threadId } = kit;
    const before = await dump(app.db, { threadId });
    const left = { turn: `${purpose} 0`, status: "busy", updated_at: new Date() };
    await app.db.collection("threads").updateOne({ thread_id: threadId }, { $set: left });
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    const next = await kit.start({ steps: ["c"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    await app.client.runs.deleteRun({ threadId, runId: next.runId });
    await expect.poll(() => dump(app.db, { threadId }), { timeout: 10_000 }).toEqual(before);
    expect(await app.db.collection("runs").countDocuments({ thread_id: threadId, status: { $exists: false } })).toBe(0);
    kit.gates.remove();
  });

  it("is taken after a crash from a thread that is a copy, which keeps its state", async () => {
    const { kit } = await afterTwoRuns();
    const { thread } = await app.client.threads.copyThread({ threadId: kit.threadId });
    const { threadId } = thread!;
    const before = await dump(app.db, { threadId });
    const left = { turn: "prune 0", status: "busy", updated_at: new Date() };
    await app.db.collection("threads").updateOne({ thread_id: threadId }, { $set: left });
    await expect.poll(() => dump(app.db, { threadId }), { timeout: 10_000 }).toEqual(before);
    expect(fromPayload((await app.client.threads.getThread({ threadId })).thread!.values!)).toMatchObject({
      log: ["a", "b"],
    });
    kit.gates.remove();
  });
});

describe("a copy that crashes", () => {
  const crash = () => {
    throw new Error("crashed");
  };

  it("before its journal is whole leaves no thread, and what it stored expires", async () => {
    const { kit } = await afterTwoRuns();
    const { threadId } = kit;
    const before = await dump(app.db);
    hooks = { keepCopy: crash, discardCopy: crash };
    await expect(app.client.threads.copyThread({ threadId })).rejects.toThrow();
    const ofCopies = { thread_id: { $nin: before.threads!.map((thread) => thread.thread_id) } };
    const left = await app.db.collection("checkpoints").find(ofCopies).toArray();
    expect(left.length).toBeGreaterThan(3);
    for (const { expire_at } of left) expect(expire_at.getTime()).toBeGreaterThan(Date.now() + 3_600_000);
    await app.db.collection("checkpoints").deleteMany(ofCopies);
    expect(await dump(app.db)).toEqual(before);
    kit.gates.remove();
  });

  it("or fails, leaves nothing", async () => {
    const { kit } = await afterTwoRuns();
    const before = await dump(app.db);
    hooks = { keepCopy: crash };
    await expect(app.client.threads.copyThread({ threadId: kit.threadId })).rejects.toThrow();
    expect(await dump(app.db)).toEqual(before);
    kit.gates.remove();
  });

  it("whose source is deleted meanwhile fails, and leaves nothing", async () => {
    const { kit } = await afterTwoRuns();
    const { threadId } = kit;
    const before = (await dump(app.db)).threads!.filter((thread) => thread.thread_id !== threadId);
    const barrier = createBarrier();
    hooks = { copy: () => barrier.pass() };
    const copy = app.client.threads.copyThread({ threadId }).catch((error) => error);
    await barrier.reached;
    await app.client.threads.deleteThread({ threadId });
    barrier.open();
    expect(errorReason(await copy)).toBe("THREAD_BUSY");
    expect((await dump(app.db)).threads ?? []).toEqual(before);
    expect(await app.db.collection("checkpoints").countDocuments({ expire_at: null, thread_id: threadId })).toBe(0);
    kit.gates.remove();
  });
});
