import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createStateKit, logOf, type StateKit, stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let kit: StateKit;
let first: string;
let second: string;

/** Two runs with metadata of their own, and an edit. */
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
  kit = await createStateKit(app);
  kit.gates.open();
  first = (await kit.run({ steps: ["a", "b"] }, { metadata: { kind: "test", deep: { x: [1, { y: null }] } } })).runId;
  second = (await kit.run({ steps: ["c"] }, { metadata: { kind: "other" } })).runId;
  await kit.update({ log: ["edited"] }, { asNode: "step", metadata: { kind: "test" } });
});
afterAll(async () => {
  kit.gates.remove();
  await app.close();
});

const list = async (more: object) =>
  (await kit.client.threads.listThreadHistory({ threadId: kit.threadId, limit: 1000, ...more })).states;

describe("ListThreadHistory with metadata", () => {
  it("answers the states whose metadata has these fields at the top", async () => {
    const all = await kit.history();
    const by = (field: string, value: unknown) => all.filter(({ metadata }) => metadata?.[field] === value);
    expect(await list({ metadata: { run_id: first } })).toEqual(by("run_id", first));
    expect(await list({ metadata: { run_id: second } })).toEqual(by("run_id", second));
    expect(await list({ metadata: { kind: "test" } })).toEqual(by("kind", "test"));
    expect((await list({ metadata: { kind: "test" } })).map(({ metadata }) => metadata?.source)).toEqual([
      ...["update", "loop", "loop", "loop", "loop", "input"],
    ]);
    expect((await list({ metadata: { source: "update" } })).map(logOf)).toEqual([["a", "b", "c", "edited"]]);
    expect(await list({ metadata: { kind: "test", step: 0 } })).toHaveLength(1);
    expect(await list({ metadata: {} })).toEqual(all);
  });

  it("compares whole values", async () => {
    expect(await list({ metadata: { deep: { x: [1, { y: null }] } } })).toHaveLength(5);
    expect(await list({ metadata: { deep: { x: [1] } } })).toEqual([]);
    expect(await list({ metadata: { deep: {} } })).toEqual([]);
    expect(await list({ metadata: { kind: "TEST" } })).toEqual([]);
    expect(await list({ metadata: { "deep.x": 1 } })).toEqual([]);
    expect(await list({ metadata: { nothing: null } })).toEqual([]);
  });

  it("counts the limit and the place after the filter", async () => {
    const metadata = { kind: "test" };
    const whole = await list({ metadata });
    const paged = [];
    for (let beforeCheckpointId = ""; paged.length < whole.length; ) {
      const page = await list({ metadata, limit: 2, beforeCheckpointId });
      expect(page).toHaveLength(Math.min(2, whole.length - paged.length));
      paged.push(...page);
      beforeCheckpointId = page.at(-1)!.checkpoint!.checkpointId;
    }
    expect(paged).toEqual(whole);
    // A state that does not match is a place all the same.
    const other = (await list({ metadata: { run_id: second } })).at(-1)!;
    expect(await list({ metadata, beforeCheckpointId: other.checkpoint!.checkpointId })).toEqual(whole.slice(1));
  });
});

describe("ListThreadHistory of a subgraph", () => {
  it("lists its states alone, also before a checkpoint and by metadata", async () => {
    const tree = await createStateKit(app, "tree");
    tree.gates.open();
    const { runId } = await tree.run({ asks: true });
    const { threadId, client } = tree;
    const { checkpointNs } = (await tree.stateAt()).tasks[0]!.checkpoint!;
    const inside = async (more: object = {}) =>
      (await client.threads.listThreadHistory({ threadId, checkpointNs, ...more })).states;
    const all = await inside();
    expect(all).toHaveLength(3);
    expect((await tree.history()).map(({ checkpoint }) => checkpoint!.checkpointNs)).toEqual(["", "", ""]);
    const beforeCheckpointId = all[0]!.checkpoint!.checkpointId;
    expect(await inside({ beforeCheckpointId })).toEqual(all.slice(1));
    expect(await inside({ metadata: { source: "input" } })).toEqual(all.slice(2));
    expect(await inside({ metadata: { run_id: runId }, limit: 1 })).toEqual(all.slice(0, 1));
    // The graph itself stood there when the subgraph began.
    const [root] = await tree.history();
    expect(await inside({ beforeCheckpointId: root!.checkpoint!.checkpointId })).toEqual([]);
    tree.gates.remove();
  });
});
