import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, Durability, type Run } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, toPayload } from "../../src/client/index.ts";
import type { Op } from "../agents/planned.ts";
import { dump, mentions } from "../support/dump.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** How a run begins: with a plan where the thread stands or from an earlier checkpoint, with an answer, or going on. */
interface Beginning {
  readonly from: "here" | "checkpoint" | "answer" | "goOn";
  readonly plan: readonly Op[];
  /** Which of the checkpoints, counted from the newest; taken modulo their number. */
  readonly checkpoint: number;
  readonly durability: Durability;
}

/** Somebody edits the state, where the thread stands or as a fork: in the name of a step, with what is to come after it. */
interface Edit {
  readonly from: "edit";
  readonly plan: readonly Op[];
  readonly checkpoint: number | undefined;
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
  from: fc.constantFrom<Beginning["from"]>("here", "here", "checkpoint", "answer", "goOn"),
  plan: plans,
  checkpoint: fc.nat(20),
  durability: fc.constantFrom(Durability.SYNC, Durability.SYNC, Durability.ASYNC, Durability.EXIT),
});
/** Ends at a gate that nobody opens, unless a question comes before it. */
const waiting = fc
  .tuple(plan(endingOps), fc.constantFrom<Op>("wait", "wait", "mixed"))
  .map(([ops, last]): readonly Op[] => [...ops, last]);

const edit = {
  from: fc.constant("edit" as const),
  plan: plan(endingOps),
  checkpoint: fc.option(fc.nat(20), { nil: undefined }),
};

const cases: fc.Arbitrary<Case> = fc.record({
  // Those that wait are interrupted there.
  history: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record(beginning(plan(endingOps))) },
      { weight: 1, arbitrary: fc.record(beginning(waiting)) },
      { weight: 1, arbitrary: fc.record(edit) },
    ),
    { maxLength: 4 },
  ),
  last: fc.record(beginning(waiting)),
  afterMs: fc.option(fc.nat(80), { nil: undefined }),
});

/** One of each way to begin, so that none is left out where there is time for a few cases only. */
const question: Beginning = { from: "here", plan: ["sub", "mixed"], checkpoint: 0, durability: Durability.SYNC };
const edits = [
  { from: "edit", plan: ["sub"], checkpoint: undefined } as const,
  { from: "edit", plan: ["ask"], checkpoint: 3 } as const,
];
const examples: Case[] = (["here", "checkpoint", "answer", "goOn"] as const).map((from, i) => ({
  history: [...edits.slice(0, i % 3), { ...question, plan: ["fan", "step"] }, ...edits.slice(i % 2), question],
  last: { ...question, from, plan: ["fan", "subAsk", "wait"], checkpoint: i + 1 },
  afterMs: undefined,
}));

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
    const input = { plan, at: 0 };
    const { interrupts } = await kit.state().catch(() => ({ interrupts: [] }));
    if (from === "answer" && interrupts.length > 0) {
      return kit.start(null, { ...spec, command: { resume: toPayload(trace(kit)) } });
    }
    const checkpoints = from === "checkpoint" || from === "goOn" ? await kit.history() : [];
    if (checkpoints.length === 0) return kit.start(input, spec);
    if (from === "goOn") return kit.start(null, spec);
    const { checkpointId } = checkpoints[checkpoint % checkpoints.length]!.checkpoint!;
    return kit.start(input, { ...spec, checkpointId });
  }

  const nameOf = ({ threadId }: RunKit, { runId }: Run) => ({ threadId, runId });

  async function edited(kit: RunKit, { plan, checkpoint }: Edit): Promise<void> {
    const history = checkpoint === undefined ? [] : await kit.history();
    await kit.client.threads.updateThreadState({
      ...{ threadId: kit.threadId, assistantId: "planned", asNode: "step" },
      values: toPayload({ dir: kit.gates.dir, plan, at: 0, log: ["edited"] }),
      checkpoint: history.length > 0 ? history[checkpoint! % history.length]!.checkpoint : undefined,
    });
  }

  async function happen(kit: RunKit, one: Beginning | Edit): Promise<void> {
    if (one.from === "edit") return edited(kit, one);
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
  let editsSeen = 0;

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
    const key = `${how}, ${last.from}`;
    seen[key] = (seen[key] ?? 0) + 1;
    editsSeen += history.filter((one) => one.from === "edit").length;
    kit.gates.remove();
  }

  it("whatever the graph, the runs before, the run and the moment", { timeout: 180_000 }, async () => {
    // Four threads at a time.
    const some = fc.array(cases, { minLength: 4, maxLength: 4 });
    const property = fc.asyncProperty(some, async (four) => void (await Promise.all(four.map(check))));
    await fc.assert(property, {
      ...{ numRuns: 100, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false, endOnFailure: true },
      examples: [[examples]],
    });
    console.log(seen, `${editsSeen} edits of the state`);
    expect(editsSeen).toBeGreaterThan(0);
    expect(Object.keys(seen).length).toBeGreaterThanOrEqual(examples.length);
  });
});
