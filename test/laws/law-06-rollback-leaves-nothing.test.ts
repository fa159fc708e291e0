import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, Durability, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, toPayload } from "../../src/client/index.ts";
import { type Barrier, createBarrier } from "../support/barrier.ts";
import { dump, mentions, tombstones } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A text that a run leaves in whatever holds its values, to be searched for in every document. */
const traceOf = (kit: RunKit) => `left behind on ${kit.threadId}`;
const marked = (kit: RunKit) => ({ metadata: { trace: traceOf(kit) } });

let app: TestApp;

interface Case {
  readonly graph?: string;
  /** Brings the thread to where the run begins. */
  readonly prepare?: (kit: RunKit) => Promise<void>;
  /** Starts the run; resolves when it has done something that must go. */
  readonly start: (kit: RunKit) => Promise<Run>;
  readonly outcome?: CancelOutcome;
}

async function finishedRun(kit: RunKit): Promise<void> {
  kit.gates.open();
  const run = await kit.start({ steps: ["x"] });
  expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
  kit.gates.close("all");
}

async function failedRun(kit: RunKit): Promise<void> {
  const run = await kit.start({ fault: "throw" });
  expect((await kit.join(run.runId)).status).toBe(RunStatus.ERROR);
}

async function interruptedRun(kit: RunKit): Promise<void> {
  const { runId } = await stoppedIn(kit, "b", {}, { metadata: {} });
  await kit.client.runs.cancelRun({ threadId: kit.threadId, runId, wait: true });
}

async function question(kit: RunKit): Promise<void> {
  const run = await kit.start({});
  expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
  expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);
}

const answered = (kit: RunKit): Promise<Run> =>
  kit.start(null, { ...marked(kit), command: { resume: toPayload(traceOf(kit)) } });

/** A run that has completed a step and is in the next one. */
async function stoppedIn(kit: RunKit, step: string, input: object, more = {}): Promise<Run> {
  const run = await kit.start({ steps: ["a", "b", "c"], ...input }, { ...marked(kit), ...more });
  kit.gates.open("a");
  await kit.gates.started(step);
  return run;
}

const cases: Record<string, Case> = {
  "the first run of a thread": { start: (kit) => stoppedIn(kit, "b", {}) },
  "a later run": { prepare: finishedRun, start: (kit) => stoppedIn(kit, "b", {}) },
  "a run after one that failed": { graph: "faulty", prepare: failedRun, start: inFaulty },
  "a run with subgraphs and branches": { graph: "nested", start: inSubgraph },
  "a run whose process is killed": {
    prepare: finishedRun,
    start: (kit) => stoppedIn(kit, "b", { manners: { b: "busy" } }),
    outcome: CancelOutcome.KILLED,
  },
  "a run that goes on with input null": {
    prepare: interruptedRun,
    async start(kit) {
      kit.gates.open("b");
      const run = await kit.start(null, marked(kit));
      await kit.gates.started("c");
      kit.gates.close("b");
      return run;
    },
  },
  "a run that answers a question": {
    graph: "ask",
    prepare: question,
    async start(kit) {
      const run = await answered(kit);
      await kit.gates.started("work");
      return run;
    },
  },
  // What it has stored stands on the question's checkpoint: it has none of its own.
  "a run that has its answer, and has not come to the end of its node": {
    graph: "once",
    prepare: question,
    async start(kit) {
      const run = await answered(kit);
      await kit.gates.started("ask");
      await until(async () => (await app.db.collection("checkpoints").countDocuments({ run_id: run.runId })) > 0);
      return run;
    },
  },
  "a run from an earlier checkpoint": {
    prepare: finishedRun,
    async start(kit) {
      const [, earlier] = await kit.history();
      return stoppedIn(kit, "b", {}, { checkpointId: earlier!.checkpoint!.checkpointId });
    },
  },
  "a run with durability async": {
    prepare: finishedRun,
    start: (kit) => stoppedIn(kit, "b", {}, { durability: Durability.ASYNC }),
  },
  "a run with durability exit": {
    prepare: finishedRun,
    start: (kit) => stoppedIn(kit, "b", {}, { durability: Durability.EXIT }),
  },
};

async function inFaulty(kit: RunKit): Promise<Run> {
  const run = await kit.start({ fault: "none" }, marked(kit));
  await kit.gates.started("fail");
  return run;
}

async function inSubgraph(kit: RunKit): Promise<Run> {
  kit.gates.open("left");
  kit.gates.open("one");
  const run = await kit.start({ log: [traceOf(kit)] }, marked(kit));
  await Promise.all([kit.gates.started("two"), kit.gates.started("left")]);
  return run;
}

describe("law 6: rollback leaves nothing", () => {
  /** Stops the journal's writes, before or after they have landed, when set. */
  let atWrite: { when: "before" | "after"; barrier: Barrier } | undefined;

  beforeAll(async () => {
    app = await startTestApp({
      decorate: ({ journal, ...parts }) => ({
        ...parts,
        journal: {
          ...journal,
          async writer(options) {
            const writer = await journal.writer(options);
            const append: typeof writer.append = async (flush) => {
              if (atWrite?.when === "before") await atWrite.barrier.pass();
              await writer.append(flush);
              if (atWrite?.when === "after") await atWrite.barrier.pass();
            };
            return Object.defineProperty(Object.create(writer), "append", { value: append }) as typeof writer;
          },
        },
      }),
    });
  });
  afterAll(() => app.close());

  /** All that can be seen of the thread, and all that is stored. */
  async function picture(kit: RunKit, exceptEventsOf?: string) {
    const { updatedAt: _, ...thread } = await kit.thread();
    const { runs } = await kit.client.runs.listRuns({ threadId: kit.threadId });
    return {
      thread,
      state: await kit.state(),
      history: await kit.history(),
      runs,
      stored: await dump(app.db, { exceptEventsOf }),
    };
  }

  const rollBack = (kit: RunKit, { runId }: Run) =>
    kit.client.runs.cancelRun({ threadId: kit.threadId, runId, action: CancelAction.ROLLBACK, wait: true });

  async function expectGone(kit: RunKit, { runId }: Run): Promise<void> {
    const found = await kit.client.runs.getRun({ threadId: kit.threadId, runId }).catch(errorReason);
    expect(found).toBe("RUN_NOT_FOUND");
    const stored = await dump(app.db);
    expect(mentions(stored, runId)).toEqual([]);
    expect(mentions(stored, traceOf(kit))).toEqual([]);
    expect((await tombstones(app.db)).filter(({ _id }) => _id === runId)).toHaveLength(1);
  }

  it.each(Object.entries(cases))("of %s", async (_, { graph, prepare, start, outcome = CancelOutcome.STOPPED }) => {
    const kit = await createRunKit(app, graph);
    await prepare?.(kit);
    const before = await picture(kit);
    const run = await start(kit);
    expect((await picture(kit)).stored).not.toEqual(before.stored);
    const answer = await rollBack(kit, run);
    expect(answer.outcome).toBe(outcome);
    expect(answer.run!.status).toBe(RunStatus.INTERRUPTED);
    expect(await picture(kit)).toEqual(before);
    await expectGone(kit, run);

    const again = await rollBack(kit, run);
    expect(again.outcome).toBe(outcome);
    expect(await picture(kit)).toEqual(before);
    kit.gates.remove();
  });

  it("restores a question, whose next answer then counts", async () => {
    const kit = await createRunKit(app, "ask");
    await question(kit);
    const asked = (await kit.thread()).interrupts;
    const wrong = await kit.start(null, { command: { resume: toPayload("wrong") } });
    await kit.gates.started("work");
    await rollBack(kit, wrong);
    expect((await kit.thread()).interrupts).toEqual(asked);
    expect((await kit.state()).interrupts).toEqual(asked);

    kit.gates.open();
    const right = await kit.start(null, { command: { resume: toPayload("right") } });
    expect((await kit.join(right.runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ answers: ["first=right"], log: ["worked on first=right"] });
    kit.gates.remove();
  });

  it("of a pending run, while the one before it goes on", async () => {
    const kit = await createRunKit(app);
    const first = await stoppedIn(kit, "b", {}, { metadata: {} });
    const before = await picture(kit, first.runId);
    const waiting = await kit.start({ log: [traceOf(kit)] }, marked(kit));
    const answer = await rollBack(kit, waiting);
    expect(answer.outcome).toBe(CancelOutcome.NEVER_STARTED);
    expect(await picture(kit, first.runId)).toEqual(before);
    await expectGone(kit, waiting);
    kit.gates.open();
    expect((await kit.join(first.runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    kit.gates.remove();
  });

  it.each(["before", "after"] as const)("of a run that is writing a checkpoint, seen %s it lands", async (when) => {
    const kit = await createRunKit(app);
    await finishedRun(kit);
    const before = await picture(kit);
    const run = await kit.start({ steps: ["a", "b"] }, marked(kit));
    await kit.gates.started("a");
    const barrier = createBarrier();
    atWrite = { when, barrier };
    kit.gates.open("a");
    await barrier.reached;
    const request = { threadId: kit.threadId, runId: run.runId, action: CancelAction.ROLLBACK };
    expect((await kit.client.runs.cancelRun(request)).outcome).toBe(CancelOutcome.REQUESTED);
    atWrite = undefined;
    barrier.open();
    await kit.join(run.runId);
    expect(await picture(kit)).toEqual(before);
    await expectGone(kit, run);
    kit.gates.remove();
  });

  it("of a run that was to be interrupted at first, asked for by many at once", async () => {
    const kit = await createRunKit(app);
    await finishedRun(kit);
    const before = await picture(kit);
    const run = await stoppedIn(kit, "b", { manners: { b: "deaf" } });
    const request = { threadId: kit.threadId, runId: run.runId };
    await kit.client.runs.cancelRun(request);
    const upgrades = Promise.all(Array.from({ length: 5 }, () => rollBack(kit, run)));
    await expect.poll(async () => (await kit.get(run.runId)).cancellation?.action).toBe(CancelAction.ROLLBACK);
    kit.gates.open("b");
    for (const answer of await upgrades) expect(answer.outcome).toBe(CancelOutcome.STOPPED);
    expect(kit.gates.hasStarted("c")).toBe(false);
    kit.gates.close("b");
    expect(await picture(kit)).toEqual(before);
    await expectGone(kit, run);
    kit.gates.remove();
  });
});
