import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus, ThreadStatus } from "../../src/client/index.ts";
import { createRestClient } from "../support/rest-kit.ts";
import { createStateKit, logOf, stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

/** LangGraph itself refuses a question; a Send's input is refused where it is stored. */
describe.each(["bigQuestion", "bigSend"])("a BigInt in what a graph hands on: %s", (graph) => {
  it("ends its run with a sentence, and leaves the thread as the last step left it", async () => {
    const kit = await createStateKit(app, graph);
    const over = await kit.run({}, {}, RunStatus.ERROR);
    expect(over.attempt).toBe(1);
    expect(over.error!.message).toMatch(/BigInt/);

    expect((await kit.thread()).status).toBe(ThreadStatus.ERROR);
    expect(await kit.questions()).toEqual([]);
    expect(logOf(await kit.stateAt())).toEqual(["begun"]);
    expect((await kit.history()).map(logOf)).toContainEqual(["begun"]);
    const rest = createRestClient(app.app.url);
    const thread = `/threads/${kit.threadId}`;
    for (const path of [thread, `${thread}/state`, `${thread}/history`]) {
      const { status, body } = await rest.get(path);
      expect([path, status]).toEqual([path, 200]);
      expect((Array.isArray(body) ? body[0] : body).values).toMatchObject({ log: ["begun"] });
    }
    kit.gates.remove();
  });

  it("hinders no later run of the thread", async () => {
    const kit = await createStateKit(app, graph);
    await kit.run({}, {}, RunStatus.ERROR);
    kit.gates.open();
    await kit.run({}, { assistantId: "gated" });
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });
});
