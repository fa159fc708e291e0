import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { IfExists } from "../../gen/reins/v1/thread_service_pb.ts";
import { errorReason, fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let threads: ReinsClient["threads"];
beforeAll(async () => {
  app = await startTestApp();
  threads = app.client.threads;
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

/** A thread on which two runs have ended. */
async function afterTwoRuns(): Promise<RunKit> {
  const kit = await createRunKit(app);
  kit.gates.open();
  await kit.join((await kit.start()).runId);
  await kit.join((await kit.start({ steps: ["d"] })).runId);
  return kit;
}

describe("CreateThread", () => {
  it("creates a thread with an id of the server's, or of the client's", async () => {
    const metadata = { user: "u1", deep: { "a.b": [1, null, { $set: true }] } };
    const own = (await threads.createThread({ metadata })).thread!;
    expect(own).toMatchObject({ status: ThreadStatus.IDLE, metadata, interrupts: [] });
    expect(own.values).toBeUndefined();
    const threadId = randomUUID();
    const chosen = (await threads.createThread({ threadId: threadId.toUpperCase() })).thread!;
    expect(chosen.threadId).toBe(threadId);
    for (const thread of [own, chosen]) {
      expect((await threads.getThread({ threadId: thread.threadId })).thread).toEqual(thread);
    }
  });

  it("refuses an id that is taken, unless the one that is there will do", async () => {
    const threadId = randomUUID();
    const first = (await threads.createThread({ threadId, metadata: { n: 1 } })).thread;
    const again = (ifExists: IfExists) => threads.createThread({ threadId, metadata: { n: 2 }, ifExists });
    for (const ifExists of [IfExists.UNSPECIFIED, IfExists.RAISE]) {
      expect(await failure(again(ifExists))).toEqual(["AlreadyExists", "THREAD_EXISTS"]);
    }
    expect((await again(IfExists.DO_NOTHING)).thread).toEqual(first);
  });

  it("has one winner among many at once", async () => {
    const threadId = randomUUID();
    const calls = Array.from({ length: 8 }, (_, n) => threads.createThread({ threadId, metadata: { n } }));
    const created = (await Promise.allSettled(calls)).filter(({ status }) => status === "fulfilled");
    expect(created).toHaveLength(1);
  });
});

describe("GetThread", () => {
  it("says what the thread is at, run by run", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start();
    expect(await kit.thread()).toMatchObject({ status: ThreadStatus.BUSY });
    kit.gates.open();
    await kit.join(run.runId);
    const idle = await kit.thread();
    expect(idle.status).toBe(ThreadStatus.IDLE);
    expect(fromPayload(idle.values)).toMatchObject({ log: ["a", "b", "c"] });

    await kit.join((await kit.start({ fault: "throw" }, { assistantId: "faulty" })).runId);
    const failed = await kit.thread();
    expect(failed).toMatchObject({ status: ThreadStatus.ERROR, error: { name: "RangeError" } });
    kit.gates.remove();
  });

  it("lists the questions of a thread that waits for a human", async () => {
    const kit = await createRunKit(app, "ask");
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const waiting = await kit.thread();
    expect(waiting.status).toBe(ThreadStatus.INTERRUPTED);
    expect(waiting.interrupts.map(({ value }) => fromPayload(value))).toEqual([{ question: "first" }]);
    await kit.join((await kit.start(null, { command: { resume: toPayload("yes") } })).runId);
    expect((await kit.thread()).interrupts.map(({ value }) => fromPayload(value))).toEqual([{ question: "second" }]);
    kit.gates.remove();
  });
});

describe("GetThreadState and ListThreadHistory", () => {
  it("a thread without a run has an empty state and no history", async () => {
    const kit = await createRunKit(app);
    const state = await kit.state();
    expect([state.values, state.checkpoint, state.next]).toEqual([undefined, undefined, []]);
    expect(await kit.history()).toEqual([]);
    kit.gates.remove();
  });

  it("history is the chain of checkpoints, newest first, and each can be read", async () => {
    const kit = await afterTwoRuns();
    const { threadId } = kit;
    const history = await kit.history();
    expect(history[0]).toMatchObject({ checkpoint: (await kit.state()).checkpoint, next: [] });
    for (const [i, state] of history.entries()) {
      expect(state.parentCheckpoint).toEqual(history[i + 1]?.checkpoint);
      const { checkpointId } = state.checkpoint!;
      const read = (await threads.getThreadState({ threadId, checkpointId })).state!;
      expect([read.checkpoint, read.next, fromPayload(read.values)]).toEqual([
        ...[state.checkpoint, state.next, fromPayload(state.values)],
      ]);
    }
    const logs = history.map(({ values }) => ((fromPayload(values) as { log?: string[] }).log ?? []).join(""));
    expect(logs).toEqual(["abcd", "abc", "abc", "abc", "abc", "ab", "a", "", "", ""]);
    kit.gates.remove();
  });

  it("history comes in pages", async () => {
    const kit = await afterTwoRuns();
    const { threadId } = kit;
    const all = (await kit.history()).map(({ checkpoint }) => checkpoint!.checkpointId);
    const paged: string[] = [];
    for (let beforeCheckpointId = ""; paged.length < all.length; beforeCheckpointId = paged.at(-1)!) {
      const { states } = await threads.listThreadHistory({ threadId, limit: 3, beforeCheckpointId, omitValues: true });
      expect(states.length).toBe(Math.min(3, all.length - paged.length));
      paged.push(...states.map(({ checkpoint }) => checkpoint!.checkpointId));
    }
    expect(paged).toEqual(all);
    expect((await threads.listThreadHistory({ threadId })).states).toHaveLength(Math.min(10, all.length));
    expect((await threads.listThreadHistory({ threadId, beforeCheckpointId: all.at(-1)! })).states).toEqual([]);
    kit.gates.remove();
  });

  it("the state of a live run is that after its last stored step", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    kit.gates.open("a");
    await kit.gates.started("b");
    const state = await kit.state();
    expect(state.values).toMatchObject({ log: ["a"] });
    expect([state.next, state.tasks.map(({ name }) => name)]).toEqual([["step"], ["step"]]);
    expect(state.metadata).toMatchObject({ source: "loop", run_id: runId });
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  });
});

describe("DeleteThread", () => {
  it("removes the thread with everything that belongs to it", async () => {
    const kit = await afterTwoRuns();
    const { threadId } = kit;
    const live = await kit.start({ steps: ["z"] });
    await threads.deleteThread({ threadId });
    const gone = ["NotFound", "THREAD_NOT_FOUND"];
    expect(await failure(threads.getThread({ threadId }))).toEqual(gone);
    expect(await failure(threads.deleteThread({ threadId }))).toEqual(gone);
    expect(await failure(app.client.runs.getRun({ threadId, runId: live.runId }))).toEqual([
      ...["NotFound", "RUN_NOT_FOUND"],
    ]);
    for (const name of ["runs", "run_events", "threads"]) {
      expect([name, await app.db.collection(name).countDocuments({ thread_id: threadId })]).toEqual([name, 0]);
    }
    const afresh = (await threads.createThread({ threadId })).thread!;
    expect(afresh.values).toBeUndefined();
    expect((await threads.listThreadHistory({ threadId })).states).toEqual([]);
    kit.gates.remove();
  });
});
