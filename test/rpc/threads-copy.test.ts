import { randomUUID } from "node:crypto";
import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import { CancelAction } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
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

/** The same kit, with another thread. */
const on = (kit: RunKit, threadId: string) => ({
  async start(input: object | null, more: Parameters<RunKit["spec"]>[1] = {}) {
    return (await app.client.runs.createRun({ threadId, spec: kit.spec(input, more) })).run!;
  },
  join: async (runId: string) => (await app.client.runs.joinRun({ threadId, runId })).run!,
  state: async () => (await threads.getThreadState({ threadId })).state!,
  history: async () => (await threads.listThreadHistory({ threadId, limit: 1000 })).states,
  thread: async () => (await threads.getThread({ threadId })).thread!,
});

const copy = async (threadId: string, newThreadId = "") =>
  (await threads.copyThread({ threadId, newThreadId })).thread!.threadId;

/** What is stored of a thread, but for what a copy takes and gives back. */
async function stored(threadId: string) {
  const { threads: [thread] = [], ...rest } = await dump(app.db, { threadId });
  return { ...rest, thread };
}

describe("CopyThread", () => {
  it("makes a thread with the same metadata, state and history, and without runs", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    await threads.updateThread({ threadId, metadata: { user: "u", "a.b": { $x: [1] } }, ttl: { seconds: 3600n } });
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    await kit.join((await kit.start({ steps: Array.from({ length: 8 }, (_, i) => `${i}${"x".repeat(200)}`) })).runId);
    const before = await stored(threadId);

    const { thread } = await threads.copyThread({ threadId });
    const twin = on(kit, thread!.threadId);
    const source = await kit.thread();
    expect(thread).toMatchObject({ status: ThreadStatus.IDLE, metadata: source.metadata, graphId: "gated" });
    expect(thread!.threadId).not.toBe(threadId);
    expect([thread!.values, thread!.ttl]).toEqual([source.values, undefined]);
    expect(await twin.thread()).toEqual(thread);
    expect(await twin.state()).toEqual((await threads.getThreadState({ threadId })).state);
    expect(await twin.history()).toEqual(await kit.history());
    expect((await app.client.runs.listRuns({ threadId: thread!.threadId })).runs).toEqual([]);
    for (const [i, state] of (await kit.history()).entries()) {
      const { checkpointId } = state.checkpoint!;
      const read = (await threads.getThreadState({ threadId: thread!.threadId, checkpointId })).state;
      expect([i, read?.values, read?.next]).toEqual([i, state.values, state.next]);
    }
    expect(await stored(threadId)).toEqual(before);
    expect(await app.db.collection("checkpoints").countDocuments({ expire_at: { $exists: true } })).toBe(0);
    kit.gates.remove();
  });

  it("is found by its metadata and values", async () => {
    const kit = await createRunKit(app);
    await threads.updateThread({ threadId: kit.threadId, metadata: { mark: kit.threadId } });
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const twin = await copy(kit.threadId);
    const filter = { metadata: { mark: kit.threadId }, values: { dir: kit.gates.dir } };
    const { threads: found } = await threads.searchThreads({ filter });
    expect(found.map(({ threadId }) => threadId)).toEqual([twin, kit.threadId]);
    kit.gates.remove();
  });

  it("goes on by itself: neither thread sees the other's runs, rollbacks and removals", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    kit.gates.open();
    const first = await kit.start({ steps: ["a"] });
    await kit.join(first.runId);
    const twinId = await copy(threadId);
    const twin = on(kit, twinId);
    const log = (state: { values?: Parameters<typeof fromPayload>[0] }) =>
      (fromPayload(state.values) as { log: [] }).log;

    const source = await stored(threadId);
    await twin.join((await twin.start({ steps: ["b"] })).runId);
    expect(log(await twin.state())).toEqual(["a", "b"]);
    expect(await stored(threadId)).toEqual(source);

    const copied = await stored(twinId);
    await app.client.runs.deleteRun({ threadId, runId: first.runId });
    expect(fromPayload((await kit.state()).values as never)).toBeUndefined();
    expect(await stored(twinId)).toEqual(copied);

    kit.gates.close("all");
    const last = await twin.start({ steps: ["c"] });
    await kit.gates.started("c");
    await app.client.runs.cancelRun({ threadId: twinId, runId: last.runId, action: CancelAction.ROLLBACK, wait: true });
    expect(log(await twin.state())).toEqual(["a", "b"]);
    await threads.deleteThread({ threadId });
    expect(log(await twin.state())).toEqual(["a", "b"]);
    kit.gates.remove();
  });

  it("of a copy whose first run is rolled back or cancelled before its start: as it was copied", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start({ steps: ["a"] })).runId);
    const twinId = await copy(kit.threadId);
    const twin = on(kit, twinId);
    const [before, history] = [await stored(twinId), await twin.history()];
    kit.gates.close("all");
    const first = await twin.start({ steps: ["b"] });
    const next = await twin.start({ steps: ["c"] });
    await kit.gates.started("b");
    for (const { runId } of [next, first]) {
      await app.client.runs.cancelRun({ threadId: twinId, runId, action: CancelAction.ROLLBACK, wait: true });
    }
    expect(await stored(twinId)).toEqual(before);
    expect(await twin.history()).toEqual(history);
    kit.gates.remove();
  });

  it("of a thread that waits for a human: the answer may be given to each of them", async () => {
    const kit = await createRunKit(app, "ask");
    await kit.join((await kit.start()).runId);
    const twinId = await copy(kit.threadId);
    const twin = on(kit, twinId);
    const { status, interrupts } = await twin.thread();
    expect([status, interrupts]).toEqual([ThreadStatus.INTERRUPTED, (await kit.thread()).interrupts]);
    const source = await stored(kit.threadId);
    kit.gates.open();
    await twin.join((await twin.start(null, { command: { resume: toPayload("twin") } })).runId);
    expect(fromPayload((await twin.state()).values!)).toMatchObject({
      answers: ["first=twin"],
      log: [/twin/] as never,
    });
    expect(await stored(kit.threadId)).toEqual(source);
    await kit.join((await kit.start(null, { command: { resume: toPayload("source") } })).runId);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=source"] });
    kit.gates.remove();
  });

  it("of a thread that was stopped within a subgraph: the copy goes on from the step that was done", async () => {
    const kit = await createRunKit(app, "nested");
    const { threadId } = kit;
    const { runId } = await kit.start();
    kit.gates.open("left");
    kit.gates.open("one");
    await kit.gates.started("two");
    await app.client.runs.cancelRun({ threadId, runId, wait: true });
    const twin = on(kit, await copy(threadId));
    expect((await twin.thread()).status).toBe(ThreadStatus.INTERRUPTED);
    kit.gates.open();
    await twin.join((await twin.start(null)).runId);
    expect(fromPayload((await twin.state()).values!)).toMatchObject({ log: ["left", "one", "two", "join"] });
    expect(kit.gates.steps().filter((step) => step === "one" || step === "left")).toHaveLength(2);
    kit.gates.remove();
  });

  it("of a thread without a checkpoint", async () => {
    const { threadId } = (await threads.createThread({ metadata: { a: 1 } })).thread!;
    const thread = (await threads.getThread({ threadId: await copy(threadId) })).thread!;
    expect(thread).toMatchObject({ status: ThreadStatus.IDLE, metadata: { a: 1 }, graphId: "" });
    expect((await threads.getThreadState({ threadId: thread.threadId })).state!.checkpoint).toBeUndefined();
  });

  it("has the id that was asked for, unless it is taken", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const newThreadId = randomUUID();
    expect(await copy(kit.threadId, newThreadId.toUpperCase())).toBe(newThreadId);
    const before = await dump(app.db);
    for (const taken of [newThreadId, kit.threadId]) {
      const error = await copy(kit.threadId, taken).catch((error) => error);
      expect([Code[error.code], errorReason(error)]).toEqual(["AlreadyExists", "THREAD_EXISTS"]);
      expect(error.rawMessage).toContain(`new_thread_id: there is already a thread ${taken}`);
    }
    expect(await dump(app.db)).toEqual(before);
    kit.gates.remove();
  });

  it("many copies at once with one id have one winner, and the losers leave nothing", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const newThreadId = randomUUID();
    const tries = await Promise.allSettled(Array.from({ length: 6 }, () => copy(kit.threadId, newThreadId)));
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of tries) {
      if (one.status === "rejected") expect(["THREAD_EXISTS", "THREAD_BUSY"]).toContain(errorReason(one.reason));
    }
    const journals = await app.db.collection("checkpoints").distinct("journal", { thread_id: newThreadId });
    expect(journals).toHaveLength(1);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("is refused while a run is live: the error names it", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const before = await dump(app.db, { exceptEventsOf: runId });
    const error = (await copy(threadId).catch((error) => error)) as ConnectError;
    expect([Code[error.code], errorReason(error)]).toEqual(["Aborted", "THREAD_BUSY"]);
    expect(error.findDetails(RunErrorDetailSchema)).toMatchObject([{ runId, threadId }]);
    expect(await dump(app.db, { exceptEventsOf: runId })).toEqual(before);
    kit.gates.open();
    await kit.join(runId);
    expect(await copy(threadId)).not.toBe("");
    kit.gates.remove();
  });
});
