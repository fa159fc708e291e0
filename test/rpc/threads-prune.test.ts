import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { PruneStrategy } from "../../gen/reins/v1/thread_service_pb.ts";
import { errorReason, fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let threads: ReinsClient["threads"];
beforeAll(async () => {
  app = await startTestApp();
  threads = app.client.threads;
});
afterAll(() => app.close());

const prune = (strategy: PruneStrategy) => async (threadIds: string[]) => {
  const { prunedThreadIds, busyThreadIds } = await threads.pruneThreads({ threadIds, strategy });
  return { pruned: prunedThreadIds, busy: busyThreadIds };
};
const remove = prune(PruneStrategy.DELETE);
const keepLatest = prune(PruneStrategy.KEEP_LATEST);

/** A thread with the runs that have these steps. */
async function threadAfter(...runs: string[][]): Promise<{ kit: RunKit; runIds: string[] }> {
  const kit = await createRunKit(app);
  kit.gates.open();
  const runIds: string[] = [];
  for (const steps of runs) runIds.push((await kit.join((await kit.start({ steps })).runId)).runId);
  return { kit, runIds };
}

/** A thread whose run goes on until it is let go. */
async function busy(): Promise<RunKit & { runId: string; letGo(): Promise<void> }> {
  const kit = await createRunKit(app);
  const { runId } = await kit.start({ steps: ["a"] });
  await kit.gates.started("a");
  const letGo = async () => {
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  };
  return { ...kit, runId, letGo };
}

const checkpoints = async (threadId: string) =>
  (await app.db.collection("checkpoints").find({ thread_id: threadId }).toArray()).flatMap(
    (slot) => (slot.checkpoints as { id: string }[] | undefined) ?? [],
  );

describe("PruneThreads DELETE", () => {
  it("removes threads with all that belongs to them, and passes over what is busy or unknown", async () => {
    const [{ kit: one }, { kit: two }, live] = [await threadAfter(["a"]), await threadAfter(["b"]), await busy()];
    const empty = (await threads.createThread({})).thread!.threadId;
    const stored = () => dump(app.db, { threadId: live.threadId, exceptEventsOf: live.runId });
    const before = await stored();
    const ids = [one.threadId, randomUUID(), live.threadId, empty.toUpperCase(), two.threadId];
    expect(await remove(ids)).toEqual({ pruned: [one.threadId, empty, two.threadId], busy: [live.threadId] });
    for (const threadId of [one.threadId, two.threadId, empty]) {
      expect(await dump(app.db, { threadId })).toEqual({});
      expect(errorReason(await threads.getThread({ threadId }).catch((error) => error))).toBe("THREAD_NOT_FOUND");
    }
    expect(await stored()).toEqual(before);
    expect(await remove(ids)).toEqual({ pruned: [], busy: [live.threadId] });
    await live.letGo();
    for (const each of [one, two]) each.gates.remove();
  });

  it("names a thread once, however often it was named", async () => {
    const { threadId } = (await threads.createThread({})).thread!;
    expect(await remove([threadId, threadId.toUpperCase()])).toEqual({ pruned: [threadId], busy: [] });
  });
});

describe("PruneThreads KEEP_LATEST", () => {
  it("leaves the thread and its state as they are, and one entry of history; the runs stay", async () => {
    const { kit, runIds } = await threadAfter(["a", "b"], ["c"], ["d", "e"]);
    const { threadId } = kit;
    const [thread, state, history] = [await kit.thread(), await kit.state(), await kit.history()];
    for (let repeat = 0; repeat < 2; repeat += 1) {
      expect(await keepLatest([threadId])).toEqual({ pruned: [threadId], busy: [] });
      expect(await kit.state()).toEqual(state);
      expect(await kit.history()).toEqual(history.slice(0, 1));
    }
    expect(await kit.thread()).toEqual({ ...thread, updatedAt: expect.anything() });
    expect(await checkpoints(threadId)).toHaveLength(1);
    const { runs } = await app.client.runs.listRuns({ threadId });
    expect(runs.map(({ runId }) => runId)).toEqual(runIds.toReversed());
    const gone = history[1]!.checkpoint!.checkpointId;
    const error = await threads.getThreadState({ threadId, checkpointId: gone }).catch((error) => error);
    expect(errorReason(error)).toBe("CHECKPOINT_NOT_FOUND");
    kit.gates.remove();
  });

  it("an old run that is waited for answers without the values that are gone; the newest with its own", async () => {
    const { kit, runIds } = await threadAfter(["a"], ["b"]);
    const { threadId } = kit;
    await keepLatest([threadId]);
    const [old, newest] = await Promise.all(runIds.map((runId) => app.client.runs.joinRun({ threadId, runId })));
    expect([old!.run!.status, old!.values, old!.interrupts]).toEqual([RunStatus.SUCCESS, undefined, []]);
    expect(fromPayload(newest!.values!)).toMatchObject({ log: ["a", "b"] });
    // Also when a later run has taken the newest state's place.
    await kit.join((await kit.start({ steps: ["c"] })).runId);
    const again = await Promise.all(runIds.map((runId) => app.client.runs.joinRun({ threadId, runId })));
    expect(again[0]!.values).toBeUndefined();
    expect(fromPayload(again[1]!.values!)).toMatchObject({ log: ["a", "b"] });
    kit.gates.remove();
  });

  it("runs go on from what is kept, and their rollback and removal come back to it", async () => {
    const { kit, runIds } = await threadAfter(["a"], ["b"]);
    const { threadId } = kit;
    await keepLatest([threadId]);
    const [state, history] = [await kit.state(), await kit.history()];
    const next = await kit.join((await kit.start({ steps: ["c"] })).runId);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    await app.client.runs.deleteRun({ threadId, runId: next.runId });
    kit.gates.close("all");
    const live = await kit.start({ steps: ["d"] });
    await kit.gates.started("d");
    await app.client.runs.cancelRun({ threadId, runId: live.runId, action: CancelAction.ROLLBACK, wait: true });
    await app.client.runs.deleteRun({ threadId, runId: runIds[0]! });
    expect([await kit.state(), await kit.history()]).toEqual([state, history]);
    kit.gates.remove();
  });

  it("a thread that waits for a human still takes the answer", async () => {
    const kit = await createRunKit(app, "ask");
    await kit.join((await kit.start()).runId);
    const [thread, state] = [await kit.thread(), await kit.state()];
    await keepLatest([kit.threadId]);
    expect(await kit.thread()).toEqual({ ...thread, updatedAt: expect.anything() });
    expect(await kit.state()).toEqual(state);
    kit.gates.open();
    await kit.join((await kit.start(null, { command: { resume: toPayload("yes") } })).runId);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=yes"] });
    kit.gates.remove();
  });

  it("a thread that was stopped within a subgraph goes on from the step that was done", async () => {
    const kit = await createRunKit(app, "nested");
    const { threadId } = kit;
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    for (const step of ["all", "two"]) kit.gates.close(step);
    const begun = kit.gates.steps().length;
    const { runId } = await kit.start();
    for (const step of ["left", "one"]) kit.gates.open(step);
    await expect.poll(() => kit.gates.steps().slice(begun)).toContain("two");
    await app.client.runs.cancelRun({ threadId, runId, wait: true });
    const state = await kit.state();
    expect(state.next).toEqual(["sub"]);
    await keepLatest([threadId]);
    expect(await kit.state()).toEqual(state);
    expect(await kit.history()).toHaveLength(1);
    kit.gates.open();
    const stopped = kit.gates.steps().length;
    await kit.join((await kit.start(null)).runId);
    expect(kit.gates.steps().slice(stopped)).toEqual(["two", "join"]);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("passes over what is busy, unknown, or has no checkpoint to remove", async () => {
    const live = await busy();
    const empty = (await threads.createThread({})).thread!.threadId;
    const stored = () => dump(app.db, { exceptEventsOf: live.runId });
    const before = await stored();
    expect(await keepLatest([live.threadId, randomUUID(), empty])).toEqual({ pruned: [empty], busy: [live.threadId] });
    expect(await stored()).toEqual(before);
    await live.letGo();
  });
});
