import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { PruneStrategy } from "../../gen/reins/v1/thread_service_pb.ts";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { newId } from "../../src/domain/ids.ts";
import type { HolderKind } from "../../src/domain/thread/entry.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { decideAs } from "../support/decide-as.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What holds a thread without being a run, for longer than a lease, or until it crashes. */
let app: TestApp;
let stores: Stores;
let hooks: Partial<Record<"copy" | "keepCopy" | "discardCopy" | "keepLatest" | "deleteRun", () => unknown>>;
/** How often the server has looked for dead ones. */
let rounds = 0;

beforeAll(async () => {
  const hooked = (journal: Journal) =>
    (["copy", "keepCopy", "discardCopy", "keepLatest", "deleteRun"] as const).reduce(
      (one, method) => around(one, method, { before: () => hooks[method]?.() }),
      journal,
    );
  app = await startTestApp({
    config: { leaseMs: 1_500 },
    decorate({ stores, journal, ...parts }) {
      const servers = around(stores.servers, "others", { before: () => (rounds += 1) });
      return { stores: { ...stores, servers }, journal: hooked(journal), ...parts };
    },
  });
  stores = await openStores(app.db);
});
beforeEach(() => {
  hooks = {};
});
afterAll(() => app.close());

async function afterTwoRuns() {
  const kit = await createRunKit(app);
  kit.gates.open();
  const first = await kit.join((await kit.start({ steps: ["a"] })).runId);
  const second = await kit.join((await kit.start({ steps: ["b"] })).runId);
  return { kit, first: first.runId, second: second.runId };
}

/** Holds a thread as a server does that dies with it. */
async function holdAndDie(threadId: string, what: HolderKind, target?: string): Promise<void> {
  const dead = { id: newId(), machine: "elsewhere", pid: 1, started: "", children: [], freeSlots: 0 };
  await stores.servers.join(dead);
  const decide = decideAs(dead.id, stores.lanes);
  await decide({ owner: "", threadId }, { kind: "hold", id: newId(), what, target });
  await app.db.collection("servers").updateOne({ _id: dead.id as never }, { $set: { seen_at: new Date(0) } });
}

const isFree = async (threadId: string) =>
  (await stores.lanes.read({ owner: "", threadId }))!.control.lane.holder === undefined;

describe("a thread that is held by what is no run", () => {
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
    // More than two leases, since it looks three times in each.
    const enough = rounds + 8;
    await until(() => rounds > enough);
    expect((await kit.get(runId)).status).toBe(RunStatus.PENDING);
    expect(kit.gates.hasStarted("c")).toBe(false);
    barrier.open();
    await work;
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it("goes on when its server is not known any more, or was never known", async () => {
    const { kit } = await afterTwoRuns();
    const { threadId } = kit;
    const decide = decideAs(newId(), stores.lanes);
    await decide({ owner: "", threadId }, { kind: "hold", id: newId(), what: "edit" });
    const next = await kit.start({ steps: ["c"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it.each(["copy", "edit"] as const)("is as it was when its server has died (%s)", async (what) => {
    const { kit } = await afterTwoRuns();
    const { threadId } = kit;
    const before = await dump(app.db, { threadId });
    await holdAndDie(threadId, what);
    const next = await kit.start({ steps: ["c"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    await app.client.runs.deleteRun({ threadId, runId: next.runId });
    await until(() => isFree(threadId));
    expect(await dump(app.db, { threadId })).toEqual(before);
    kit.gates.remove();
  });

  it("has lost its old checkpoints when the server has died that was to remove them", async () => {
    const { kit } = await afterTwoRuns();
    const before = await kit.history();
    expect(before.length).toBeGreaterThan(2);
    await holdAndDie(kit.threadId, "prune");
    const next = await kit.start({ steps: ["c"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    const after = await kit.history();
    const ids = after.map(({ checkpoint }) => checkpoint!.checkpointId);
    const kept = before.filter(({ checkpoint }) => ids.includes(checkpoint!.checkpointId));
    expect(kept).toEqual(before.slice(0, 1));
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it("has lost the run when the server has died that was to delete it", async () => {
    const { kit, second } = await afterTwoRuns();
    const { threadId } = kit;
    await holdAndDie(threadId, "delete", second);
    const next = await kit.start({ steps: ["c"] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    await expect(kit.get(second)).rejects.toMatchObject({ code: Code.NotFound });
    expect((await kit.state()).values).toMatchObject({ log: ["a", "c"] });
    await app.client.runs.deleteRun({ threadId, runId: next.runId });
    expect((await kit.state()).values).toMatchObject({ log: ["a"] });
    expect(mentions(await dump(app.db, { threadId }), second)).toEqual([]);
    kit.gates.remove();
  });

  it("keeps its state as a copy whose server has died while it held it", async () => {
    const { kit } = await afterTwoRuns();
    const { thread } = await app.client.threads.copyThread({ threadId: kit.threadId });
    const { threadId } = thread!;
    const before = await dump(app.db, { threadId });
    await holdAndDie(threadId, "edit");
    await until(() => isFree(threadId));
    expect(await dump(app.db, { threadId })).toEqual(before);
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
