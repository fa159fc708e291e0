import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createStateKit, logOf, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const holds = createHoldPoints();
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs }, decorate: holds.decorate });
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

describe("UpdateThreadState", () => {
  it("edits the state as if the node had returned the values: its successors run next", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a", "b"] });
    const before = await kit.state();
    const made = await kit.update({ log: ["edited"], done: 1 }, { asNode: "step", metadata: { by: "hand", n: 1 } });
    expect(made).toMatchObject({ checkpointNs: "", checkpointMap: {} });

    const state = await kit.state();
    expect(state.checkpoint).toEqual(made);
    expect(state.parentCheckpoint).toEqual(before.checkpoint);
    expect(state.values).toMatchObject({ log: ["a", "b", "edited"], done: 1 });
    expect(state.next).toEqual(["step"]);
    expect(state.metadata).toMatchObject({ source: "update", by: "hand", n: 1, graph_id: "gated" });
    expect(state.metadata).not.toHaveProperty("run_id");
    const thread = await kit.thread();
    expect([thread.status, fromPayload(thread.values)]).toEqual([ThreadStatus.INTERRUPTED, state.values]);

    await kit.run(null);
    expect(kit.gates.steps()).toEqual(["a", "b", "b"]);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "edited", "b"] });
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("without as_node the values come from the node that ran last", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a", "b"] }, { interruptAfter: ["step"] });
    await kit.update({ log: ["edited"] });
    const state = await kit.state();
    expect([logOf(await kit.stateAt()), state.next]).toEqual([["a", "edited"], ["step"]]);
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["a", "edited", "b"]);
    kit.gates.remove();
  });

  it.each([
    ["absent", undefined],
    ["null", null],
  ])("with %s values the node is taken for done", async (_, values) => {
    const kit = await createStateKit(app, "ask");
    kit.gates.open();
    await kit.run({});
    await kit.update(values, { asNode: "first" });
    const thread = await kit.thread();
    expect([thread.status, thread.interrupts]).toEqual([ThreadStatus.INTERRUPTED, []]);
    expect((await kit.state()).next).toEqual(["work"]);
    await kit.run(null);
    expect(await kit.questions()).toEqual([{ question: "second" }]);
    expect((await kit.state()).values).toMatchObject({ answers: [], log: ["worked on undefined"] });
    kit.gates.remove();
  });

  it("values for the end of the graph leave nothing to do", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    await kit.update(null, { asNode: "__end__" });
    expect(await kit.thread()).toMatchObject({ status: ThreadStatus.IDLE, interrupts: [] });
    const state = await kit.state();
    expect(state.next).toEqual([]);
    expect(state.metadata).toMatchObject({ source: "update" });
    expect(state.metadata).not.toHaveProperty("run_id");
    kit.gates.remove();
  });

  it("values can count as the graph's input, and a checkpoint can be copied", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a", "b"] });
    const afterA = (await kit.history()).find((state) => logOf(state).length === 1)!;
    await kit.update({ steps: ["x"], log: ["input"] }, { asNode: "__input__" });
    expect((await kit.state()).next).toEqual(["__start__"]);
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["a", "b", "input", "x"]);
    const copy = await kit.update(null, { asNode: "__copy__", checkpoint: afterA.checkpoint });
    const state = await kit.stateAt();
    expect([state.checkpoint, state.values, state.next]).toEqual([copy, afterA.values, afterA.next]);
    expect(state.parentCheckpoint).toEqual(afterA.parentCheckpoint);
    kit.gates.remove();
  });

  it("at an older checkpoint it forks, and the fork is where the thread stands", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a", "b", "c"] });
    const ids = await kit.ids();
    const afterA = (await kit.history()).find((state) => logOf(state).length === 1)!;
    const made = await kit.update({ log: ["fork"] }, { checkpoint: afterA.checkpoint, asNode: "step" });
    const state = await kit.state();
    expect([state.checkpoint, state.parentCheckpoint]).toEqual([made, afterA.checkpoint]);
    expect(state.values).toMatchObject({ log: ["a", "fork"] });
    expect(await kit.ids()).toEqual([made.checkpointId, ...ids]);
    expect(await kit.stateAt({ checkpointId: afterA.checkpoint!.checkpointId })).toEqual(afterA);
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["a", "fork", "b", "c"]);
    kit.gates.remove();
  });

  it("on a new thread it needs to know whose state it is", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    const empty = await dump(app.db, { threadId: kit.threadId });
    expect(await failure(kit.update({ log: ["x"] }))).toEqual(["InvalidArgument", "INVALID_FIELD"]);
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual(empty);
    await kit.update({ dir: kit.gates.dir, steps: ["a"], log: ["x"] }, { assistantId: "gated" });
    expect(await kit.thread()).toMatchObject({ graphId: "gated", status: ThreadStatus.INTERRUPTED });
    expect((await kit.state()).next).toEqual(["begin"]);
    // From now on the thread knows.
    await kit.update({ log: ["y"] }, { asNode: "__start__" });
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["x", "y", "a"]);
    kit.gates.remove();
  });

  it("is refused while a run is live, whatever it does, and taken as soon as it is over", async () => {
    const kit = await createStateKit(app);
    const { runId, threadId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const waiting = await kit.start({ steps: ["b"] });
    const stored = () => dump(app.db, { threadId, exceptEventsOf: runId });
    const before = await stored();
    const error = await kit.update({ log: ["x"] }).then(
      () => expect.unreachable(),
      (thrown: ConnectError) => thrown,
    );
    expect([Code[error.code], errorReason(error)]).toEqual(["Aborted", "THREAD_BUSY"]);
    const [detail] = error.findDetails(RunErrorDetailSchema);
    expect([runId, waiting.runId]).toContain(detail!.runId);
    expect(await stored()).toEqual(before);
    await kit.cancel(waiting.runId);
    await kit.cancel(runId);
    await kit.update({ log: ["x"] }, { asNode: "begin" });
    expect(logOf(await kit.stateAt())).toEqual(["x"]);
    // A run that ends without telling its state must not take this for its own.
    const thread = await app.db.collection("threads").findOne({ thread_id: threadId });
    expect(JSON.parse(thread!.state)).toMatchObject({ n: 0 });
    kit.gates.remove();
  });

  it("is refused for the same reason while the thread's first run has yet to start", async () => {
    const kit = await createStateKit(app);
    const runId = randomUUID();
    const held = holds.hold("claim", runId);
    await kit.start({ steps: ["a"] }, {}, runId);
    const refused = await failure(kit.update({ log: ["x"] }));
    held.open();
    kit.gates.open();
    await kit.join(runId);
    expect(refused).toEqual(["Aborted", "THREAD_BUSY"]);
    expect(logOf(await kit.stateAt())).toEqual(["a"]);
    kit.gates.remove();
  });

  it("many at once: each is done or refused, and none is lost", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a"] });
    const edits = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) => kit.update({ log: [`edit ${i}`] }, { asNode: "step" })),
    );
    const done = edits.flatMap((edit, i) => (edit.status === "fulfilled" ? [`edit ${i}`] : []));
    for (const edit of edits) if (edit.status === "rejected") expect(errorReason(edit.reason)).toBe("THREAD_BUSY");
    expect(done.length).toBeGreaterThan(0);
    expect(
      logOf(await kit.stateAt())
        .slice(1)
        .sort(),
    ).toEqual(done);
    expect(valuesOf(await kit.thread()).log).toEqual(logOf(await kit.stateAt()));
    kit.gates.remove();
  });

  it("a run that is created meanwhile starts after it, on what it has written", async () => {
    const kit = await createStateKit(app);
    kit.gates.open();
    await kit.run({ steps: ["a"] });
    const barrier = holds.hold("store", "undefined");
    const edit = kit.update({ log: ["edited"] }, { asNode: "step" });
    await barrier.reached;
    const run = await kit.start({ steps: ["b"] });
    expect(run.status).toBe(RunStatus.PENDING);
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    expect(await failure(kit.update({ log: ["other"] }, { asNode: "step" }))).toEqual(["Aborted", "THREAD_BUSY"]);
    expect(logOf(await kit.stateAt())).toEqual(["a"]);
    barrier.open();
    await edit;
    expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    expect(logOf(await kit.stateAt())).toEqual(["a", "edited", "b"]);
    kit.gates.remove();
  });

  it("stays when a later run is rolled back, and when an earlier one is deleted", async () => {
    const kit = await createStateKit(app);
    const { threadId } = kit;
    kit.gates.open("a");
    const { runId } = await kit.run({ steps: ["a"] });
    await kit.update({ log: ["edited"] }, { asNode: "step" });
    const edited = await dump(app.db, { threadId });
    const state = await kit.stateAt();
    await kit.stopAt("slow", { steps: ["slow"] }, {}, CancelAction.ROLLBACK);
    expect(await dump(app.db, { threadId })).toEqual(edited);
    await kit.client.runs.deleteRun({ threadId, runId });
    expect(await kit.stateAt()).toMatchObject({ values: state.values, next: state.next, checkpoint: state.checkpoint });
    expect(valuesOf(await kit.thread()).log).toEqual(["a", "edited"]);
    // No run has started any more, and yet it is known whose state it is.
    await kit.update({ log: ["again"] }, { asNode: "step" });
    expect(logOf(await kit.stateAt())).toEqual(["a", "edited", "again"]);
    kit.gates.remove();
  });

  it("also inside a subgraph, which goes on from there", async () => {
    const kit = await createStateKit(app, "tree");
    kit.gates.open();
    await kit.run({ asks: true });
    const [task] = (await kit.stateAt({ subgraphs: true })).tasks;
    const inside = task!.state!;
    expect(inside.next).toEqual(["question"]);
    const made = await kit.update(
      { path: ["by hand"] },
      { checkpoint: { checkpointNs: inside.checkpoint!.checkpointNs }, asNode: "question" },
    );
    expect(made.checkpointNs).toBe(inside.checkpoint!.checkpointNs);
    expect(made.checkpointMap).toEqual({
      "": (await kit.state()).checkpoint!.checkpointId,
      [made.checkpointNs]: made.checkpointId,
    });
    const edited = await kit.stateAt({ checkpoint: made });
    expect([edited.checkpoint, edited.next, valuesOf(edited).path]).toEqual([made, ["two"], ["one", "by hand"]]);
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,by hand,two)", "end"]);
    expect(kit.gates.steps()).toEqual(["one", "two", "end"]);
    kit.gates.remove();
  });
});

describe("values that the graph does not take", () => {
  it("its reducer throws: the sentence says so, and nothing is written", async () => {
    const kit = await createStateKit(app, "touchy");
    await kit.run({ value: "fine" });
    const before = await dump(app.db, { threadId: kit.threadId });
    const error = await kit.update({ value: "bad", log: ["x"] }, { asNode: "second" }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ConnectError);
    expect([Code[error.code], errorReason(error)]).toEqual(["InvalidArgument", "INVALID_FIELD"]);
    expect(error.rawMessage).toMatch(/^values: .*RangeError: this value is never taken/);
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual(before);
    kit.gates.remove();
  });

  it("a graph that is made for each run is edited as well", async () => {
    const kit = await createStateKit(app, "made");
    // What its nodes are is not known before: an unknown one is passed over.
    await kit.run({ value: "fine" }, { interruptBefore: ["second", "nothing"] });
    await kit.update({ log: ["edited"] }, { asNode: "first" });
    await kit.run(null);
    expect((await kit.state()).values).toMatchObject({ log: ["first", "edited", "second"] });
    kit.gates.remove();
  });
});
