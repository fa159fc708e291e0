import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { fromPayload, toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { createStateKit, logOf, type StateKit, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

const resume = (answer: unknown) => ({ command: { resume: toPayload(answer as never) } });
const asked = (interrupts: readonly { value?: Parameters<typeof fromPayload>[0] }[]) =>
  interrupts.map(({ value }) => (fromPayload(value) as { question: string }).question);

/** The questions by their texts: the ids that answers are given by. */
async function questionIds(kit: StateKit): Promise<Record<string, string>> {
  const { interrupts } = await kit.thread();
  return Object.fromEntries(interrupts.map((one) => [asked([one])[0]!, one.id]));
}

describe("questions", () => {
  it("are listed on the thread, in its state, with their tasks, and in the answer to WaitRun", async () => {
    const kit = await createStateKit(app, "pair");
    const { threadId, client } = kit;
    const answer = await client.runs.waitRun({ create: { threadId, spec: kit.spec({}) } });
    const thread = await kit.thread();
    const state = await kit.stateAt();
    expect(answer.run!.status).toBe(RunStatus.SUCCESS);
    expect(thread.status).toBe(ThreadStatus.INTERRUPTED);
    for (const interrupts of [answer.interrupts, thread.interrupts, state.interrupts]) {
      expect(asked(interrupts).toSorted()).toEqual(["left", "right"]);
      expect(new Set(interrupts.map(({ id }) => id)).size).toBe(2);
      expect(interrupts.map(({ id }) => id).toSorted()).toEqual(state.interrupts.map(({ id }) => id).toSorted());
    }
    expect(state.tasks.map(({ name, interrupts }) => [name, asked(interrupts)])).toEqual([
      ["left", ["left"]],
      ["right", ["right"]],
    ]);
    expect(state.next.toSorted()).toEqual(["left", "right"]);
    kit.gates.remove();
  });

  it("two side by side are answered by their ids, at once", async () => {
    const kit = await createStateKit(app, "pair");
    kit.gates.open();
    await kit.run({});
    const { left, right } = await questionIds(kit);
    await kit.run(null, resume({ [right!]: "R", [left!]: "L" }));
    expect(logOf(await kit.stateAt())).toEqual(["L and R"]);
    expect(await kit.thread()).toMatchObject({ status: ThreadStatus.IDLE, interrupts: [] });
    kit.gates.remove();
  });

  it("two side by side are answered by their ids, one after the other", async () => {
    const kit = await createStateKit(app, "pair");
    kit.gates.open();
    await kit.run({});
    const { left, right } = await questionIds(kit);
    await kit.run(null, resume({ [right!]: "R" }));
    expect(asked((await kit.thread()).interrupts)).toEqual(["left"]);
    expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);
    expect(kit.gates.steps()).toEqual([]);
    await kit.run(null, resume({ [left!]: "L" }));
    expect(logOf(await kit.stateAt())).toEqual(["L and R"]);
    kit.gates.remove();
  });
});

describe("a second question of the same step", () => {
  type Asked = readonly { value?: Parameters<typeof fromPayload>[0] }[];
  const texts = (interrupts: Asked) => interrupts.map(({ value }) => fromPayload(value));

  /** The question is told by every way of looking at the thread. */
  async function waitsFor(kit: Pick<StateKit, "client">, threadId: string, question: string) {
    const { threads } = kit.client;
    const thread = (await threads.getThread({ threadId })).thread!;
    expect([thread.status, texts(thread.interrupts)]).toEqual([ThreadStatus.INTERRUPTED, [question]]);
    const state = (await threads.getThreadState({ threadId, subgraphs: true })).state!;
    expect([state.next.length, texts(state.interrupts)]).toEqual([1, [question]]);
    const asking = state.tasks.filter(({ name }) => state.next.includes(name));
    expect(asking.map(({ interrupts }) => texts(interrupts))).toEqual([[question]]);
    for (const inner of asking.flatMap((task) => (task.state ? [task.state] : []))) {
      expect([inner.next, texts(inner.interrupts)]).toEqual([["ask"], [question]]);
    }
    const [newest] = (await threads.listThreadHistory({ threadId, limit: 1 })).states;
    expect(texts(newest!.interrupts)).toEqual([question]);
    const found = await threads.searchThreads({
      filter: { threadIds: [threadId], statuses: [ThreadStatus.INTERRUPTED] },
    });
    expect(found.threads.map((one) => texts(one.interrupts))).toEqual([[question]]);
    const rest = await fetch(new URL(`/threads/${threadId}`, app.app.url));
    const { status, interrupts } = (await rest.json()) as { status: string; interrupts: Record<string, object[]> };
    expect([status, Object.values(interrupts).flat()]).toMatchObject(["interrupted", [{ value: question }]]);
  }

  it.each([
    ["in a node", "twice", "A+B"],
    ["in a loop that asks until the answer is good", "loop", "A+B"],
    ["beside steps that are done", "beside", "A+B"],
    ["in tasks of the functional API", "functional", "A+B"],
    ["in the body of an entrypoint", "body", "A+B"],
    ["in a tool of an agent", "agent", "A+B"],
  ])("%s is open until it is answered, also in a copy", async (_, graph, answers) => {
    const kit = await createStateKit(app, graph);
    const { threadId, client } = kit;
    const ask = async (id: string, spec: object) =>
      client.runs.waitRun({ create: { threadId: id, spec: { ...kit.spec(null), ...spec } } });
    const begun = await ask(threadId, kit.spec({ messages: [{ role: "user", content: "go" }] }));
    expect(texts(begun.interrupts)).toEqual(["first"]);
    await waitsFor(kit, threadId, "first");
    expect(texts((await ask(threadId, resume("A"))).interrupts)).toEqual(["second"]);
    await waitsFor(kit, threadId, "second");
    const copy = (await client.threads.copyThread({ threadId })).thread!.threadId;
    await waitsFor(kit, copy, "second");
    for (const id of [threadId, copy]) {
      const end = await ask(id, resume("B"));
      expect(end.interrupts).toEqual([]);
      expect(JSON.stringify(fromPayload(end.values))).toContain(answers);
      expect((await client.threads.getThread({ threadId: id })).thread).toMatchObject({
        status: ThreadStatus.IDLE,
        interrupts: [],
      });
    }
    kit.gates.remove();
  });

  it("in a subgraph, after two of the graph around it, is open until it is answered", async () => {
    const kit = await createStateKit(app, "inside");
    await kit.run({});
    for (const [question, answer] of [
      ["first", "A"],
      ["second", "B"],
      ["first", "C"],
      ["second", "D"],
    ] as const) {
      await waitsFor(kit, kit.threadId, question);
      await kit.run(null, resume(answer));
    }
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    expect(logOf(await kit.stateAt())).toContain("C+D");
    kit.gates.remove();
  });

  it("an answered step that failed, or was stopped, is next and asks nothing", async () => {
    const failed = await createStateKit(app, "once");
    await failed.run({ after: "throw" });
    await failed.run(null, resume("A"), RunStatus.ERROR);
    const stopped = await createStateKit(app, "once");
    await stopped.run({ after: "wait" });
    await stopped.stopAt("ask", null, resume("A"));
    for (const [kit, status] of [
      [failed, ThreadStatus.ERROR],
      [stopped, ThreadStatus.INTERRUPTED],
    ] as const) {
      expect(await kit.thread()).toMatchObject({ status, interrupts: [] });
      expect(await kit.stateAt()).toMatchObject({ next: ["ask"], interrupts: [] });
    }
    stopped.gates.open();
    await stopped.run(null);
    expect(logOf(await stopped.stateAt())).toEqual(["A"]);
    for (const kit of [failed, stopped]) kit.gates.remove();
  });
});

describe("after a cancel with INTERRUPT", () => {
  it("a question that was asked beside the step that was stopped is still there, and can be answered", async () => {
    const kit = await createStateKit(app, "pair");
    await kit.stopAt("right", { works: true });
    const state = await kit.stateAt();
    expect(state.next.toSorted()).toEqual(["left", "right"]);
    const thread = await kit.thread();
    expect(thread.status).toBe(ThreadStatus.INTERRUPTED);
    expect(thread.interrupts).toEqual(state.interrupts);
    kit.gates.open();
    await kit.run(null);
    expect(asked((await kit.thread()).interrupts)).toEqual(["left"]);
    await kit.run(null, resume("L"));
    expect(logOf(await kit.stateAt())).toEqual(["L and worked"]);
    expect(kit.gates.steps()).toEqual(["right", "right", "work"]);
    kit.gates.remove();
  });

  it("an answer that was given stays given: the run goes on after it", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    await kit.stopAt("work", null, resume("one"));
    expect(await kit.thread()).toMatchObject({ status: ThreadStatus.INTERRUPTED, interrupts: [] });
    expect((await kit.stateAt()).next).toEqual(["work"]);
    kit.gates.open();
    await kit.run(null);
    expect(valuesOf(await kit.stateAt())).toMatchObject({ answers: ["first=one"], log: ["worked on first=one"] });
    expect(asked((await kit.thread()).interrupts)).toEqual(["second"]);
    await kit.run(null, resume("two"));
    expect(valuesOf(await kit.stateAt())).toMatchObject({ answers: ["first=one", "second=two"] });
    kit.gates.remove();
  });

  it("another answer can be given at the checkpoint of the question", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    const { checkpointId } = (await kit.stateAt()).checkpoint!;
    await kit.stopAt("work", null, resume("wrong"));
    kit.gates.open();
    // LangGraph takes an answer that is already there before a new one: the question is asked once more first.
    await kit.run(null, { checkpointId });
    expect(asked((await kit.thread()).interrupts)).toEqual(["first"]);
    await kit.run(null, resume("right"));
    expect(valuesOf(await kit.stateAt())).toMatchObject({ answers: ["first=right"], log: ["worked on first=right"] });
    expect(asked((await kit.thread()).interrupts)).toEqual(["second"]);
    kit.gates.remove();
  });

  it("command.update changes the state that the run goes on with", async () => {
    const kit = await createStateKit(app);
    kit.gates.open("a");
    await kit.stopAt("b", { steps: ["a", "b"] });
    kit.gates.open();
    await kit.run(null, { command: { update: toPayload({ steps: ["a", "x", "y"], log: ["by hand"] }) } });
    expect(logOf(await kit.stateAt())).toEqual(["a", "by hand", "x", "y"]);
    expect(kit.gates.steps()).toEqual(["a", "b", "x", "y"]);
    kit.gates.remove();
  });

  it("command.goto leaves the step that was stopped for another node", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    await kit.stopAt("work", null, resume("one"));
    kit.gates.open();
    await kit.run(null, { command: { goto: ["second"], update: toPayload({ log: ["skipped"] }) } });
    expect(asked((await kit.thread()).interrupts)).toContain("second");
    expect(logOf(await kit.stateAt())).toContain("skipped");
    kit.gates.remove();
  });
});

describe("updating the state with a command", () => {
  it("takes pairs, which may name a channel more than once, each an update of its own", async () => {
    const kit = await createStateKit(app, "ask");
    await kit.run({});
    const update = [
      ["log", ["one"]],
      ["answers", ["early"]],
      ["log", ["two"]],
    ];
    const { runId } = await kit.run(null, { command: { update: toPayload(update), goto: ["second"] } });
    const { log, answers } = valuesOf(await kit.stateAt());
    expect([log, answers]).toEqual([["one", "two"], ["early"]]);
    const { run } = await kit.client.runs.getRun({ threadId: kit.threadId, runId, includeInput: true });
    expect(fromPayload(run!.spec!.command!.update)).toEqual(update);
    kit.gates.remove();
  });
});

describe("rolling back a run that answers", () => {
  it.each([
    ["a question", "ask", {}, "work"],
    ["one of two questions", "pair", { works: false }, "work"],
    ["a question in a subgraph", "tree", { asks: true }, "two"],
  ])("%s restores it and forgets the answer", async (_, graph, input, step) => {
    const kit = await createStateKit(app, graph);
    const { threadId } = kit;
    kit.gates.open("one");
    await kit.run(input);
    if (graph === "pair") await kit.run(null, resume({ [(await questionIds(kit)).left!]: "L" }));
    const before = {
      stored: await dump(app.db),
      state: await kit.stateAt({ subgraphs: true }),
      thread: await kit.thread(),
    };
    const { runId } = await kit.start(null, resume("WRONG"));
    await kit.gates.started(step);
    await kit.client.runs.cancelRun({ threadId, runId, action: CancelAction.ROLLBACK, wait: true });

    expect(await dump(app.db)).toEqual(before.stored);
    expect(await kit.stateAt({ subgraphs: true })).toEqual(before.state);
    const { updatedAt: _now, ...thread } = await kit.thread();
    const { updatedAt: _then, ...former } = before.thread;
    expect(thread).toEqual(former);

    kit.gates.open();
    await kit.run(null, resume("RIGHT"));
    const values = JSON.stringify(valuesOf(await kit.stateAt()));
    expect(values).toContain("RIGHT");
    expect(values).not.toContain("WRONG");
    kit.gates.remove();
  });
});
