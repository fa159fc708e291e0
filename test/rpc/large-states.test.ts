import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Thread } from "../../gen/reins/v1/thread_pb.ts";
import { fromPayload } from "../../src/client/index.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

/** The thread's large field. */
const noteOf = (thread: Thread | undefined) =>
  (fromPayload(thread!.values) as { manners: { note?: string } }).manners.note;

describe("a thread whose state is large", () => {
  it("shows it everywhere, and leaves none of it", async () => {
    const kit = await createRunKit(app);
    const { threads } = app.client;
    const { threadId } = kit;
    kit.gates.open();
    const stored = () => app.db.collection("thread_states").countDocuments({});
    const done = async (note: string) => kit.join((await kit.start({ steps: ["a"], manners: { note } })).runId);
    await done("a".repeat(80_000));
    await done("b".repeat(80_000));
    const note = "b".repeat(80_000);
    expect(noteOf((await threads.getThread({ threadId })).thread)).toBe(note);
    const found = await threads.searchThreads({ filter: { threadIds: [threadId] } });
    expect(found.threads.map(noteOf)).toEqual([note]);
    expect(noteOf((await threads.updateThread({ threadId, metadata: { a: 1 } })).thread)).toBe(note);
    await until(async () => (await stored()) === 1);
    const newThreadId = randomUUID();
    expect(noteOf((await threads.copyThread({ threadId, newThreadId })).thread)).toBe(note);
    await until(async () => (await stored()) === 2);
    await threads.deleteThread({ threadId });
    expect(noteOf((await threads.getThread({ threadId: newThreadId })).thread)).toBe(note);
    await threads.deleteThread({ threadId: newThreadId });
    expect(await stored()).toBe(0);
    kit.gates.remove();
  });
});
