import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunSpec } from "../../gen/reins/v1/run_pb.ts";
import { createRestKit } from "../support/rest-kit.ts";
import { createStateKit, logOf, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

/** Where a run of the graph "tree" pauses: what its subgraph has done by then, and what comes next. */
const pauses: [Partial<Pick<RunSpec, "interruptBefore" | "interruptAfter">>, string[], string[]][] = [
  [{ interruptBefore: ["two"] }, ["one"], ["two"]],
  [{ interruptAfter: ["one"] }, ["one"], ["question"]],
  [{ interruptBefore: ["end", "question"] }, ["one"], ["question"]],
];

describe.each(pauses)("a run that pauses at a subgraph's node, %j", (where, path, next) => {
  it("is taken over gRPC, pauses there and goes on from there", async () => {
    const kit = await createStateKit(app, "tree");
    kit.gates.open();
    await kit.run({}, where);
    const [task] = (await kit.stateAt({ subgraphs: true })).tasks;
    expect([task!.name, valuesOf(task!.state).path, task!.state!.next]).toEqual(["sub", path, next]);
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,two)", "end"]);
    kit.gates.remove();
  });

  it("is taken over HTTP, pauses there and goes on from there", async () => {
    const kit = await createRestKit(app.app.url, "tree");
    kit.gates.open();
    const spec = { interrupt_before: where.interruptBefore, interrupt_after: where.interruptAfter };
    const paused = await kit.rest.post(`${kit.thread}/runs/wait`, kit.body({}, spec));
    expect(paused.status).toBe(200);
    expect(await kit.current()).toMatchObject({ status: "interrupted" });
    const { body: state } = await kit.rest.get(`${kit.thread}/state?subgraphs=true`);
    expect(state.tasks).toMatchObject([{ name: "sub", state: { values: { path }, next } }]);
    const done = await kit.rest.post(`${kit.thread}/runs/wait`, kit.body(null));
    expect(done.body.log).toEqual(["sub(one,two)", "end"]);
    kit.gates.remove();
  });
});
