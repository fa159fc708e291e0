import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { createStateKit, logOf, type StateKit, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

const steps = ["a", "b", "c"];

/** A thread whose run was cancelled in its last step, and whose gates are open from now on. */
async function stopped(): Promise<StateKit> {
  const kit = await createStateKit(app);
  kit.gates.open("a");
  kit.gates.open("b");
  await kit.stopAt("c", { steps });
  expect(logOf(await kit.stateAt())).toEqual(["a", "b"]);
  kit.gates.open();
  return kit;
}

/** What is done after the first `count` steps that were started. */
const since = (kit: StateKit, count: number) => kit.gates.steps().slice(count);

describe("after a cancel with INTERRUPT, from any checkpoint that was kept", () => {
  it("a replay takes the steps that come after it, and reaches the same end", async () => {
    const kit = await stopped();
    const kept = await kit.history();
    expect(kept.map(logOf)).toEqual([["a", "b"], ["a"], [], [], []].slice(0, kept.length));
    for (const state of kept) {
      const begun = kit.gates.steps().length;
      const { checkpointId } = state.checkpoint!;
      await kit.run(null, { checkpointId });
      expect(since(kit, begun)).toEqual(steps.slice(logOf(state).length));
      expect(logOf(await kit.stateAt())).toEqual(steps);
      expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
      // Where it started stays as it was.
      const again = await kit.stateAt({ checkpointId });
      expect([again.values, again.next, again.parentCheckpoint]).toEqual([
        ...[state.values, state.next, state.parentCheckpoint],
      ]);
    }
    kit.gates.remove();
  });

  it("a run with new input begins a branch of its own on the values there", async () => {
    const kit = await stopped();
    for (const state of await kit.history()) {
      const { checkpointId } = state.checkpoint!;
      await kit.run({ steps: ["x"] }, { checkpointId });
      expect(logOf(await kit.stateAt())).toEqual([...logOf(state), "x"]);
    }
    kit.gates.remove();
  });

  it("an edit forks there, and the run that follows goes on from it", async () => {
    const kit = await stopped();
    for (const state of await kit.history()) {
      const begun = kit.gates.steps().length;
      const { done = 0 } = valuesOf(state) as { done?: number };
      const values = { dir: kit.gates.dir, steps, done, log: ["edit"] };
      const made = await kit.update(values, { checkpoint: state.checkpoint, asNode: "step" });
      const forked = await kit.stateAt();
      expect([forked.checkpoint, forked.parentCheckpoint]).toEqual([made, state.checkpoint]);
      expect([logOf(forked), forked.next]).toEqual([[...logOf(state), "edit"], ["step"]]);
      await kit.run(null);
      expect(since(kit, begun)).toEqual(steps.slice(done));
      expect(logOf(await kit.stateAt())).toEqual([...logOf(state), "edit", ...steps.slice(done)]);
    }
    kit.gates.remove();
  });

  it("a resume goes on from where it was stopped", async () => {
    const kit = await stopped();
    const begun = kit.gates.steps().length;
    await kit.run(null);
    expect([since(kit, begun), logOf(await kit.stateAt())]).toEqual([["c"], steps]);
    kit.gates.remove();
  });

  it("a replay that is cancelled as well can itself be resumed", async () => {
    const kit = await createStateKit(app);
    kit.gates.open("a");
    await kit.stopAt("b", { steps });
    const [, begin] = await kit.history();
    expect(logOf(begin)).toEqual([]);
    await kit.stopAt("b", null, { checkpointId: begin!.checkpoint!.checkpointId });
    expect(kit.gates.steps()).toEqual(["a", "b", "a", "b"]);
    kit.gates.open();
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(steps);
    expect(kit.gates.steps()).toEqual(["a", "b", "a", "b", "b", "c"]);
    kit.gates.remove();
  });
});

describe("a graph with a subgraph, stopped inside it", () => {
  it.each(["tree", "nested"])("%s: a replay from any checkpoint of the graph reaches the whole end", async (graph) => {
    const whole = await createStateKit(app, graph);
    whole.gates.open();
    await whole.run({});
    const end = logOf(await whole.stateAt());

    const kit = await createStateKit(app, graph);
    for (const step of ["one", "left"]) kit.gates.open(step);
    await kit.stopAt("two", {});
    kit.gates.open();
    for (const { checkpoint } of await kit.history()) {
      await kit.run(null, { checkpointId: checkpoint!.checkpointId });
      expect(logOf(await kit.stateAt()).toSorted()).toEqual(end.toSorted());
      expect((await kit.stateAt()).next).toEqual([]);
    }
    for (const each of [whole, kit]) each.gates.remove();
  });

  it("a resume goes on inside: what was done there is not done again", async () => {
    const kit = await createStateKit(app, "tree");
    kit.gates.open("one");
    await kit.stopAt("two", {});
    const inside = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!;
    expect([inside.next, valuesOf(inside).path]).toEqual([["two"], ["one"]]);
    kit.gates.open();
    await kit.run(null);
    expect(kit.gates.steps()).toEqual(["one", "two", "two", "end"]);
    kit.gates.remove();
  });

  it.each([
    ["the step that was hit", "two", ["two", "end"]],
    ["a step that was done", "one", ["one", "two", "end"]],
  ])("a run from the subgraph's checkpoint before %s", async (_, next, expected) => {
    const kit = await createStateKit(app, "tree");
    const { threadId, client } = kit;
    kit.gates.open("one");
    await kit.stopAt("two", {});
    const { checkpointNs } = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!.checkpoint!;
    const { states } = await client.threads.listThreadHistory({ threadId, checkpointNs });
    const begun = kit.gates.steps().length;
    kit.gates.open();
    await kit.run(null, { checkpoint: states.find((state) => state.next[0] === next)!.checkpoint });
    expect(since(kit, begun)).toEqual(expected);
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,two)", "end"]);
    kit.gates.remove();
  });
});

describe("a start that is gone when its run begins", () => {
  it("fails by name, and never starts from an empty state", async () => {
    const kit = await createStateKit(app);
    kit.gates.open("a");
    const first = await kit.start({ steps: ["a", "slow"] });
    await kit.gates.started("slow");
    const { checkpointId } = (await kit.stateAt()).checkpoint!;
    const next = await kit.start(null, { checkpointId });
    await kit.cancel(first.runId, 2);
    const over = await kit.join(next.runId);
    expect([over.status, over.error?.name]).toEqual([RunStatus.ERROR, "CheckpointNotFound"]);
    expect(await kit.history()).toEqual([]);
    kit.gates.remove();
  });
});
