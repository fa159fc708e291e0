import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorReason, fromPayload, toPayload } from "../../src/client/index.ts";
import { createStateKit, logOf, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

/** A thread whose subgraph waits for an answer. */
async function asking() {
  const kit = await createStateKit(app, "tree");
  kit.gates.open();
  await kit.run({ asks: true });
  return kit;
}

describe("GetThreadState with subgraphs", () => {
  it("shows the state of the subgraph that a task runs, with its question", async () => {
    const kit = await asking();
    const state = await kit.stateAt({ subgraphs: true });
    expect([state.next, state.tasks.map(({ name }) => name)]).toEqual([["sub"], ["sub"]]);
    const inside = state.tasks[0]!.state!;
    expect([inside.next, valuesOf(inside).path]).toEqual([["question"], ["one"]]);
    expect(inside.interrupts.map(({ value }) => fromPayload(value))).toEqual([{ question: "inside" }]);
    expect(state.interrupts).toEqual(inside.interrupts.map((one) => ({ ...one, taskId: state.tasks[0]!.id })));
    expect(inside.interrupts.map(({ taskId }) => taskId)).toEqual([inside.tasks[0]!.id]);
    expect((await kit.thread()).interrupts).toEqual(state.interrupts);
    const { checkpointId, checkpointNs } = inside.checkpoint!;
    expect(checkpointNs).toMatch(/^sub:/);
    expect(inside.checkpoint!.checkpointMap).toEqual({
      "": state.checkpoint!.checkpointId,
      [checkpointNs]: checkpointId,
    });
    expect(state.checkpoint!.checkpointMap).toEqual({});
    expect(inside.metadata).not.toHaveProperty("thread_id");
    kit.gates.remove();
  });

  it("without it only says where the subgraph keeps its state", async () => {
    const kit = await asking();
    const [task] = (await kit.stateAt()).tasks;
    expect(task!.state).toBeUndefined();
    expect(task!.checkpoint).toMatchObject({ checkpointId: "", checkpointNs: expect.stringMatching(/^sub:/) });
    const inside = await kit.stateAt({ checkpoint: task!.checkpoint });
    const [nested] = (await kit.stateAt({ subgraphs: true })).tasks;
    expect(inside).toEqual(nested!.state);
    kit.gates.remove();
  });

  it("leaves all values out where that is asked for", async () => {
    const kit = await asking();
    const state = await kit.stateAt({ subgraphs: true, omitValues: true });
    expect([state.values, state.tasks[0]!.state!.values]).toEqual([undefined, undefined]);
    expect(state.tasks[0]!.state!.next).toEqual(["question"]);
    kit.gates.remove();
  });

  it("a subgraph that has not begun has an empty state", async () => {
    const kit = await createStateKit(app, "tree");
    await kit.run({}, { interruptBefore: ["sub"] });
    const [task] = (await kit.stateAt({ subgraphs: true })).tasks;
    expect(task!.state).toMatchObject({ next: [], tasks: [] });
    expect(task!.state!.checkpoint).toBeUndefined();
    expect(await failure(kit.stateAt({ checkpoint: { checkpointNs: "sub:none" } }))).toEqual([
      ...["NotFound", "CHECKPOINT_NOT_FOUND"],
    ]);
    kit.gates.remove();
  });

  it("shows the subgraph of a live run as it is after its last stored step", async () => {
    const kit = await createStateKit(app, "tree");
    const { runId } = await kit.start({});
    kit.gates.open("one");
    await kit.gates.started("two");
    const inside = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!;
    expect([inside.next, valuesOf(inside).path]).toEqual([["two"], ["one"]]);
    expect(inside.metadata).toMatchObject({ run_id: runId });
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  });

  it("a subgraph that a node calls in its own code cannot be read: that is said", async () => {
    const kit = await createStateKit(app, "nested");
    const { runId } = await kit.start({});
    kit.gates.open("one");
    await kit.gates.started("two");
    await kit.cancel(runId);
    const checkpoint = (await app.db.collection("checkpoints").find({ thread_id: kit.threadId }).toArray())
      .flatMap(({ checkpoints }) => (checkpoints ?? []) as { ns: string; id: string }[])
      .find(({ ns }) => ns !== "")!;
    const read = kit.stateAt({ checkpoint: { checkpointNs: checkpoint.ns, checkpointId: checkpoint.id } });
    const error = await read.catch((thrown) => thrown);
    expect([Code[error.code], errorReason(error)]).toEqual(["FailedPrecondition", "GRAPH_UNAVAILABLE"]);
    expect(error.rawMessage).toMatch(/subgraph "sub".*addNode/);
    kit.gates.remove();
  });
});

describe("GetThreadState and ListThreadHistory of a subgraph", () => {
  it("each checkpoint of the subgraph can be read by its name", async () => {
    const kit = await asking();
    const { threadId, client } = kit;
    const { checkpointNs } = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!.checkpoint!;
    const { states } = await client.threads.listThreadHistory({ threadId, checkpointNs, limit: 100 });
    expect(states.map(({ next }) => next)).toEqual([["question"], ["one"], ["__start__"]]);
    for (const state of states) {
      expect(state.checkpoint!.checkpointNs).toBe(checkpointNs);
      const { checkpointId } = state.checkpoint!;
      const read = await kit.stateAt({ checkpoint: { checkpointNs, checkpointId } });
      expect([read.checkpoint, read.next, read.values]).toEqual([state.checkpoint, state.next, state.values]);
    }
    // The same id is none of the graph itself.
    const { checkpointId } = states[0]!.checkpoint!;
    expect(await failure(kit.stateAt({ checkpointId }))).toEqual(["NotFound", "CHECKPOINT_NOT_FOUND"]);
    kit.gates.remove();
  });

  it("checkpoint names one of the graph itself like checkpoint_id, and the newest when it is empty", async () => {
    const kit = await asking();
    const [newest, older] = await kit.history();
    expect(await kit.stateAt({ checkpoint: {} })).toEqual(await kit.stateAt());
    const { checkpointId } = older!.checkpoint!;
    expect(await kit.stateAt({ checkpoint: { checkpointId } })).toEqual(await kit.stateAt({ checkpointId }));
    expect(newest!.checkpoint!.checkpointId).not.toBe(checkpointId);
    kit.gates.remove();
  });
});

describe("a run that starts at a subgraph's checkpoint", () => {
  it("goes on inside: what the subgraph had done before stays done", async () => {
    const kit = await asking();
    const inside = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!;
    const { checkpointNs } = inside.checkpoint!;
    const { states } = await kit.client.threads.listThreadHistory({ threadId: kit.threadId, checkpointNs });
    const beforeOne = states.find(({ next }) => next[0] === "one")!;
    expect(kit.gates.steps()).toEqual(["one"]);

    // From before its first step, which is taken once more; then it asks again.
    await kit.run(null, { checkpoint: beforeOne.checkpoint });
    expect(kit.gates.steps()).toEqual(["one", "one"]);
    expect(await kit.questions()).toEqual([{ question: "inside" }]);
    await kit.run(null, { command: { resume: toPayload("yes") } });
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,answer=yes,two)", "end"]);
    expect(kit.gates.steps()).toEqual(["one", "one", "two", "end"]);
    kit.gates.remove();
  });

  it("goes on from the one that is named, not from the newest", async () => {
    const kit = await createStateKit(app, "tree");
    kit.gates.open("one");
    await kit.run({ asks: true });
    const asked = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!;
    await kit.stopAt("two", null, { command: { resume: toPayload("first") } });
    const stopped = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!;
    expect([stopped.next, valuesOf(stopped).path]).toEqual([["two"], ["one", "answer=first"]]);
    // Another answer, by an edit at the question; the subgraph now stands there.
    const edit = { checkpoint: asked.checkpoint, asNode: "question" };
    const edited = await kit.update({ path: ["answer=second"] }, edit);
    expect((await kit.stateAt({ subgraphs: true })).tasks[0]!.state!.checkpoint).toEqual(edited);

    kit.gates.open();
    await kit.run(null, { checkpoint: stopped.checkpoint });
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,answer=first,two)", "end"]);
    // Neither what came before was done again.
    expect(kit.gates.steps()).toEqual(["one", "two", "two", "end"]);
    kit.gates.remove();
  });

  it("forks from an edit inside, without its map too", async () => {
    const kit = await asking();
    const { checkpointNs } = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!.checkpoint!;
    const made = await kit.update({ path: ["by hand"] }, { checkpoint: { checkpointNs }, asNode: "question" });
    const { checkpointId } = made;
    const run = await kit.run(null, { checkpoint: { checkpointNs, checkpointId } });
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,by hand,two)", "end"]);
    expect(run.spec!.checkpoint).toMatchObject({ checkpointNs, checkpointId, checkpointMap: {} });
    kit.gates.remove();
  });
});
