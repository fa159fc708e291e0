import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { createStateKit, stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

describe("a thread whose state its graph cannot read", () => {
  const stands = async (threadId: string) => {
    const { thread } = await app.client.threads.getThread({ threadId });
    const { threads } = await app.client.threads.searchThreads({ filter: { threadIds: [threadId] } });
    expect(threads.map(({ status }) => status)).toEqual([thread!.status]);
    return thread!.status;
  };

  it.each([
    ["first", ["second"]],
    ["second", []],
  ])("is interrupted where its run was stopped before a node, and idle at its end: %s", async (node, later) => {
    const kit = await createStateKit(app, "unreadable");
    await kit.run({}, { interruptBefore: [node], streamModes: [StreamMode.UPDATES] });
    expect(await stands(kit.threadId)).toBe(ThreadStatus.INTERRUPTED);
    for (const next of later) {
      await kit.run(null, { interruptBefore: [next] });
      expect(await stands(kit.threadId)).toBe(ThreadStatus.INTERRUPTED);
    }
    await kit.run(null);
    expect(await stands(kit.threadId)).toBe(ThreadStatus.IDLE);
  });
});
