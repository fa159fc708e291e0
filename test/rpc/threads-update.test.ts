import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, fromPayload, type ReinsClient } from "../../src/client/index.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let threads: ReinsClient["threads"];
beforeAll(async () => {
  app = await startTestApp();
  threads = app.client.threads;
});
afterAll(() => app.close());

const metadataOf = async (threadId: string) => (await threads.getThread({ threadId })).thread!.metadata;
const found = async (metadata: Record<string, never> | object) =>
  (await threads.searchThreads({ filter: { metadata: metadata as Record<string, never> } })).threads.map(
    ({ threadId }) => threadId,
  );

describe("UpdateThread", () => {
  it("puts fields over the metadata, at the top, and removes others", async () => {
    const metadata = { keep: 1, deep: { a: 1, b: 2 }, "a.b": "old", $where: true, gone: [1] };
    const { threadId } = (await threads.createThread({ metadata })).thread!;
    const change = {
      metadata: { deep: { a: 3 }, "a.b": "new", more: null },
      removeMetadata: ["gone", "$where", "never"],
    };
    const expected = { keep: 1, deep: { a: 3 }, "a.b": "new", more: null };
    for (let repeat = 0; repeat < 2; repeat += 1) {
      expect((await threads.updateThread({ threadId, ...change })).thread!.metadata).toEqual(expected);
    }
    expect(await metadataOf(threadId)).toEqual(expected);
  });

  it("is found by what the metadata has become, and no longer by what it was", async () => {
    const mark = randomUUID();
    const { threadId } = (await threads.createThread({ metadata: { mark, stage: "first" } })).thread!;
    await threads.updateThread({ threadId, metadata: { stage: "second" } });
    expect(await found({ mark, stage: "second" })).toEqual([threadId]);
    expect(await found({ mark, stage: "first" })).toEqual([]);
    await threads.updateThread({ threadId, removeMetadata: ["mark"] });
    expect(await found({ mark })).toEqual([]);
  });

  it("many changes at once of different fields are all kept", async () => {
    const { threadId } = (await threads.createThread({ metadata: { old: 0 } })).thread!;
    const names = Array.from({ length: 12 }, (_, i) => `field.${i}`);
    const gone = threads.updateThread({ threadId, removeMetadata: ["old"] });
    await Promise.all([gone, ...names.map((name) => threads.updateThread({ threadId, metadata: { [name]: name } }))]);
    expect(await metadataOf(threadId)).toEqual(Object.fromEntries(names.map((name) => [name, name])));
  });

  it("changes nothing but the metadata of a thread whose run is live, and loses nothing of its end", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const mark = randomUUID();
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    kit.gates.open();
    const updates = Array.from({ length: 20 }, (_, i) => threads.updateThread({ threadId, metadata: { mark, i } }));
    await Promise.all([...updates, kit.join(runId)]);
    const thread = await kit.thread();
    expect([thread.status, thread.metadata?.mark]).toEqual([ThreadStatus.IDLE, mark]);
    expect(fromPayload(thread.values)).toMatchObject({ log: ["a"], done: 1 });
    const filter = { metadata: { mark }, values: { done: 1, dir: kit.gates.dir } };
    expect((await threads.searchThreads({ filter })).threads.map((one) => one.threadId)).toEqual([threadId]);
    kit.gates.remove();
  });

  it("sets how long the thread is kept, and takes it back", async () => {
    const { threadId } = (await threads.createThread({ ttl: { seconds: 60n } })).thread!;
    const ttl = async (change: object) => (await threads.updateThread({ threadId, ...change })).thread!.ttl?.seconds;
    expect(await ttl({ metadata: { a: 1 } })).toBe(60n);
    expect(await ttl({ ttl: { seconds: 3600n } })).toBe(3600n);
    expect(await ttl({ ttl: { seconds: 0n } })).toBeUndefined();
    expect((await threads.getThread({ threadId })).thread!.ttl).toBeUndefined();
  });

  it("leaves the values out when asked to", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const { threadId } = kit;
    expect((await threads.updateThread({ threadId })).thread!.values).toBeDefined();
    expect((await threads.updateThread({ threadId, omitValues: true })).thread!.values).toBeUndefined();
    kit.gates.remove();
  });

  it("does not find a thread that is being removed", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    await kit.start({ steps: ["a"], manners: { a: "deaf" } });
    await kit.gates.started("a");
    const deleted = threads.deleteThread({ threadId });
    await expect
      .poll(() => app.db.collection("threads").countDocuments({ thread_id: threadId, removing: true }))
      .toBe(1);
    const error = await threads.updateThread({ threadId, metadata: { a: 1 } }).catch((error) => error);
    expect([Code[error.code], errorReason(error)]).toEqual(["NotFound", "THREAD_NOT_FOUND"]);
    expect((await threads.countThreads({ filter: { threadIds: [threadId] } })).count).toBe(0n);
    kit.gates.open();
    await deleted;
    kit.gates.remove();
  });
});
