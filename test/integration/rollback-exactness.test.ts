import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Checkpoint } from "../../gen/reins/v1/checkpoint_pb.ts";
import { CancelAction, Durability, type Run } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, toPayload } from "../../src/client/index.ts";
import type { Op } from "../agents/planned.ts";
import { dump, ignored, mentions } from "../support/dump.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/**
 * How a run begins: with a plan where the thread stands, or from an earlier checkpoint by its id or its full name; from where a
 * subgraph stands; with an answer to a question; or going on. Where there is no such thing it begins with its plan.
 */
const ways = ["here", "checkpointId", "checkpoint", "subgraph", "answer", "goOn"] as const;

interface Beginning {
  readonly from: (typeof ways)[number];
  readonly plan: readonly Op[];
  /** Which of the checkpoints, counted from the newest; taken modulo their number. */
  readonly checkpoint: number;
  readonly durability: Durability;
}

/** An edit of the state, where the thread stands or at an earlier checkpoint: what is next then follows from its plan. */
interface Edit {
  readonly edit: "here" | "checkpoint";
  readonly plan: readonly Op[];
  readonly checkpoint: number;
  readonly asNode: "step" | "joined" | "sub";
}

interface Case {
  /** The runs and edits before. */
  readonly history: readonly (Beginning | Edit)[];
  readonly last: Beginning;
  /** How long the last run has been under way when it is rolled back; undefined: it stands at its wait. */
  readonly afterMs: number | undefined;
}

const plan = (ops: readonly Op[]) => fc.array(fc.constantFrom(...ops), { minLength: 1, maxLength: 4 });
const endingOps: readonly Op[] = ["step", "fan", "sub", "ask", "subAsk"];
const beginning = (plans: fc.Arbitrary<readonly Op[]>) => ({
  from: fc.constantFrom("here", ...ways),
  plan: plans,
  checkpoint: fc.nat(20),
  durability: fc.constantFrom(Durability.SYNC, Durability.SYNC, Durability.ASYNC, Durability.EXIT),
});
/** Ends at a gate that nobody opens, unless a question comes before it. */
const waiting = fc
  .tuple(plan(endingOps), fc.constantFrom<Op>("wait", "wait", "mixed"))
  .map(([ops, last]): readonly Op[] => [...ops, last]);

const edits: fc.Arbitrary<Edit> = fc.record({
  edit: fc.constantFrom("here", "checkpoint"),
  plan: plan(endingOps),
  checkpoint: fc.nat(20),
  asNode: fc.constantFrom("step", "joined", "sub"),
});

const cases: fc.Arbitrary<Case> = fc.record({
  // Those that wait are interrupted there.
  history: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record(beginning(plan(endingOps))) },
      { weight: 1, arbitrary: fc.record(beginning(waiting)) },
      { weight: 2, arbitrary: edits },
    ),
    { maxLength: 4 },
  ),
  last: fc.record(beginning(waiting)),
  afterMs: fc.option(fc.nat(80), { nil: undefined }),
});

/** One of each way to begin, with and without an edit before, so that none is left out where there is time for a few only. */
const question: Beginning = { from: "here", plan: ["sub", "mixed"], checkpoint: 0, durability: Durability.SYNC };
const inSubgraph: Beginning = { ...question, plan: ["step", "subAsk", "step"] };
const examples: Case[] = ways.map((from, i) => ({
  history: [{ ...question, plan: ["fan", "step"] }, from === "subgraph" ? inSubgraph : question],
  last: { ...question, from, plan: ["fan", "subAsk", "wait"], checkpoint: i + 1 },
  afterMs: undefined,
}));
const edit: Edit = { edit: "here", plan: ["ask", "wait"], checkpoint: 1, asNode: "step" };
for (const where of ["here", "checkpoint"] as const) {
  const last: Beginning = { ...question, from: "goOn", plan: ["wait"] };
  examples.push({ history: [question, { ...edit, plan: ["step", "wait"], edit: where }], last, afterMs: undefined });
}

/**
 * All that may differ after a rollback: a thread counts its runs, also those that are gone, and says when it was last changed,
 * from which follows when it expires. Beside that the places that the run's documents had in the journal stay taken, by
 * documents that hold nothing (see support/dump.ts, which has the notes of large inputs as well), and a tombstone stays for an hour.
 */
const mayDiffer = { threads: ["rev", "marks", "updated_at", "expire_at", "head_since", "owes_server", "owes_since"] };

describe("a rollback restores exactly what was there", () => {
  let app: TestApp;
  beforeAll(async () => {
    const configFile = fileURLToPath(new URL("../agents/only-planned.json", import.meta.url));
    app = await startTestApp({ config: { configFile } });
  });
  afterAll(() => app.close());

  const trace = ({ threadId }: RunKit) => `left behind on ${threadId}`;

  async function begin(
    kit: RunKit,
    { from, plan, checkpoint, durability }: Beginning,
    more: { readonly metadata?: { trace: string } } = {},
  ) {
    const spec = { ...more, durability };
    // Every other one is too large for its run's record.
    const input = { plan, at: 0, note: "x".repeat(durability === Durability.SYNC ? 20_000 : 0) };
    const { interrupts } = await kit.state().catch(() => ({ interrupts: [] }));
    if (from === "answer" && interrupts.length > 0) {
      return kit.start(null, { ...spec, command: { resume: toPayload(trace(kit)) } });
    }
    if (from === "subgraph") {
      const inside = await subgraphOf(kit);
      return inside ? kit.start(null, { ...spec, checkpoint: inside }) : kit.start(input, spec);
    }
    const named = from === "here" || from === "answer" ? undefined : await checkpointOf(kit, checkpoint);
    if (!named) return kit.start(input, spec);
    if (from === "goOn") return kit.start(null, spec);
    return kit.start(input, {
      ...spec,
      ...(from === "checkpoint" ? { checkpoint: named } : { checkpointId: named.checkpointId }),
    });
  }

  async function checkpointOf(kit: RunKit, which: number): Promise<Checkpoint | undefined> {
    const checkpoints = await kit.history();
    return checkpoints[which % checkpoints.length]?.checkpoint;
  }

  /** Where a subgraph stands that the thread's next tasks run. */
  async function subgraphOf({ client, threadId }: RunKit): Promise<Checkpoint | undefined> {
    const { state } = await client.threads.getThreadState({ threadId, subgraphs: true });
    return state?.tasks.map((task) => task.state?.checkpoint).find((one) => one !== undefined);
  }

  async function change(kit: RunKit, { edit, plan, checkpoint, asNode }: Edit): Promise<void> {
    const at = edit === "checkpoint" ? await checkpointOf(kit, checkpoint) : undefined;
    const values = toPayload({ dir: kit.gates.dir, plan, at: 0, log: ["edited"] });
    await kit.client.threads.updateThreadState({
      threadId: kit.threadId,
      values,
      asNode,
      checkpoint: at,
      assistantId: "planned",
      metadata: { by: "hand" },
    });
    count(`edit, ${edit}`);
  }

  const nameOf = ({ threadId }: RunKit, { runId }: Run) => ({ threadId, runId });

  async function happen(kit: RunKit, one: Beginning | Edit): Promise<void> {
    if ("edit" in one) return change(kit, one);
    const run = await begin(kit, one);
    if (await waits(kit, run)) await kit.client.runs.cancelRun({ ...nameOf(kit, run), wait: true });
  }

  /** Resolves when the run stands at its wait (true) or is over. */
  async function waits(kit: RunKit, run: Run): Promise<boolean> {
    let isOver = false;
    const joined = kit.join(run.runId).then(() => (isOver = true));
    joined.catch(() => {});
    while (!kit.gates.hasStarted("wait") && !isOver) await sleep(5);
    rmSync(join(kit.gates.dir, "wait.started"), { force: true });
    return !isOver;
  }

  async function picture(kit: RunKit) {
    const { updatedAt: _, ...thread } = await kit.thread();
    const { runs } = await kit.client.runs.listRuns({ threadId: kit.threadId });
    const stored = await dump(app.db, { threadId: kit.threadId });
    return { thread, state: await kit.state(), history: await kit.history(), runs, stored };
  }

  /** Rolls the run back, or deletes it when it has met a question before its wait and is over. */
  async function undo(kit: RunKit, run: Run): Promise<"rolled back" | "deleted"> {
    const request = { ...nameOf(kit, run), action: CancelAction.ROLLBACK, wait: true };
    const refused = await kit.client.runs.cancelRun(request).then(() => undefined, errorReason);
    if (refused === undefined) return "rolled back";
    expect(refused).toBe("RUN_NOT_CANCELLABLE");
    await kit.client.runs.deleteRun(nameOf(kit, run));
    return "deleted";
  }

  const seen: Record<string, number> = {};
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };

  async function check({ history, last, afterMs }: Case): Promise<void> {
    const kit = await createRunKit(app, "planned");
    for (const one of history) await happen(kit, one);
    const before = await picture(kit);
    const run = await begin(kit, last, { metadata: { trace: trace(kit) } });
    if (afterMs === undefined) await waits(kit, run);
    else await sleep(afterMs);
    const how = await undo(kit, run);
    const after = await picture(kit);
    // A deletion leaves in what the thread remembers which run it was.
    expect(how === "deleted" ? { ...after, stored: before.stored } : after).toEqual(before);
    expect(mentions(after.stored, run.runId)).toEqual([]);
    count(`${how}, ${last.from}`);
    kit.gates.remove();
  }

  it("but for what is named here", () => {
    expect(ignored.fields).toEqual(mayDiffer);
    expect(ignored.collections).toEqual(["servers", "nudges", "audit", "tombstones"]);
    expect(Object.keys(ignored.isOccupiedOnly)).toEqual(["checkpoints", "run_specs", "threads", "run_events"]);
  });

  it("whatever the graph, the runs and edits before, the run and the moment", { timeout: 300_000 }, async () => {
    // Each way to begin, however long it takes on a busy machine; then as many others as there is time for. Four threads at a time.
    for (const four of [examples.slice(0, 4), examples.slice(4)]) await Promise.all(four.map(check));
    const some = fc.array(cases, { minLength: 4, maxLength: 4 });
    const property = fc.asyncProperty(some, async (four) => void (await Promise.all(four.map(check))));
    await fc.assert(property, {
      numRuns: 100,
      interruptAfterTimeLimit: 30_000,
      markInterruptAsFailure: false,
      endOnFailure: true,
    });
    process.stdout.write(`${JSON.stringify(seen)}\n`);
    const rolledBack = Object.keys(seen).filter((what) => what.startsWith("rolled back"));
    // Whoever begins where a subgraph stands asks the subgraph's question again.
    for (const way of ways.filter((one) => one !== "subgraph")) expect(rolledBack).toContain(`rolled back, ${way}`);
    expect(Object.keys(seen).filter((what) => /subgraph|edit/.test(what)).length).toBeGreaterThanOrEqual(3);
  });
});
