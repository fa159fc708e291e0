import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { assistantGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

describe("an agent made by LangChain's createAgent", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: assistantGraphs } });
  });
  afterAll(() => app.close());

  const ask = (kit: RunKit) =>
    kit.start(null, { input: toPayload({ messages: [{ role: "user", content: kit.gates.dir }] }) });

  it("runs to its end with its tool", async () => {
    const kit = await createRunKit(app, "created");
    kit.gates.open();
    const run = await kit.join((await ask(kit)).runId);
    expect(run.error?.message).toBeUndefined();
    expect(run.status).toBe(RunStatus.SUCCESS);
    const { messages } = (await kit.state()).values as { messages: { type: string; content: string }[] };
    expect(messages.map((message) => message.type)).toEqual(["human", "ai", "tool", "ai"]);
    expect(messages.at(-1)!.content).toBe("done");
    kit.gates.remove();
  });

  it("is over only when a deaf tool has ended", async () => {
    const kit = await createRunKit(app, "created");
    const { runId } = await ask(kit);
    await kit.gates.started("tool");
    const { threadId } = kit;
    const answer = await kit.client.runs.cancelRun({ threadId, runId });
    expect(answer.outcome).toBe(CancelOutcome.REQUESTED);
    expect((await kit.get(runId)).status).toBe(RunStatus.RUNNING);
    kit.gates.open("tool");
    const over = await kit.join(runId);
    expect(kit.gates.isDone("tool")).toBe(true);
    expect(over.status).toBe(RunStatus.INTERRUPTED);
    expect(over.cancellation!.outcome).toBe(CancelOutcome.STOPPED);
    expect((await kit.state()).next).toEqual(["tools"]);
    kit.gates.remove();
  });
});
