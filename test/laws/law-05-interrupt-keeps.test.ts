import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, Durability, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

interface Case {
  readonly graph: string;
  readonly input: object;
  /** The steps that are completed before the stop, and the one that it hits. */
  readonly done: readonly string[];
  readonly hit: string;
  readonly outcome?: CancelOutcome;
  readonly spec?: SpecInit;
}

const flat = { graph: "gated", done: ["a"], hit: "b", input: { steps: ["a", "b", "c"] } };
const nested = { graph: "nested", done: ["left", "one"], hit: "two", input: { log: [] } };
const inParallel = { graph: "nested", done: ["one", "two"], hit: "left", input: { log: [] } };
const killed = (one: Case, manner: string): Case => ({
  ...one,
  input: { ...one.input, manners: { [one.hit]: manner } },
  outcome: CancelOutcome.KILLED,
});

const cases: Record<string, Case> = {
  "a flat graph": flat,
  "a flat graph, killed while busy": killed(flat, "busy"),
  "a flat graph, killed while deaf": killed(flat, "deaf"),
  "a subgraph beside a finished branch": nested,
  "a subgraph beside a finished branch, killed while busy": killed(nested, "busy"),
  "a branch beside a finished subgraph": inParallel,
  "a branch beside a finished subgraph, killed while deaf": killed(inParallel, "deaf"),
  "a process of its own": { ...flat, graph: "dedicated" },
  "a process of its own, killed while busy": killed({ ...flat, graph: "dedicated" }, "busy"),
  "durability async": { ...flat, spec: { durability: Durability.ASYNC } },
  "durability exit": { ...flat, spec: { durability: Durability.EXIT } },
};

describe("law 5: interrupt keeps", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp();
  });
  afterAll(() => app.close());

  /** Starts a run and brings it to the step that is to be hit, everything before it stored. */
  async function reach(kit: RunKit, { input, done, hit, spec }: Case): Promise<Run> {
    const run = await kit.start(input, spec);
    for (const step of done) {
      await kit.gates.started(step);
      kit.gates.open(step);
    }
    await kit.gates.started(hit);
    if (spec?.durability === undefined) await until(async () => (await finishedTasks(kit)) === branches(done));
    return run;
  }

  const finishedTasks = async (kit: RunKit) => (await kit.state()).tasks.filter(({ result }) => result).length;
  /** How many branches of the first superstep have come to their end with these steps. */
  const branches = (done: readonly string[]) => Number(done.includes("left")) + Number(done.includes("two"));

  const interrupt = (kit: RunKit, { runId }: Run) =>
    kit.client.runs.cancelRun({ threadId: kit.threadId, runId, action: CancelAction.INTERRUPT, wait: true });

  /** The values without the name of the test's own directory. */
  async function values(kit: RunKit) {
    const { dir, ...rest } = (await kit.state()).values!;
    expect(dir).toBe(kit.gates.dir);
    return rest;
  }

  async function undisturbed({ graph, input, spec }: Case) {
    const kit = await createRunKit(app, graph);
    kit.gates.open();
    const run = await kit.start(input, spec);
    expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    const result = { values: await values(kit), steps: kit.gates.steps().toSorted() };
    kit.gates.remove();
    return result;
  }

  it.each(Object.entries(cases))("of %s", async (_, one) => {
    const kit = await createRunKit(app, one.graph);
    const run = await reach(kit, one);
    const stored = await kit.history();
    const answer = await interrupt(kit, run);
    expect(answer.outcome).toBe(one.outcome ?? CancelOutcome.STOPPED);
    expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);

    const kept = await kit.history();
    const ids = kept.map(({ checkpoint }) => checkpoint!.checkpointId);
    for (const { checkpoint } of stored) expect(ids).toContain(checkpoint!.checkpointId);
    expect((await kit.state()).next).not.toEqual([]);
    if (one.input && "steps" in one.input) expect(await values(kit)).toMatchObject({ log: one.done });

    kit.gates.open();
    const resumed = await kit.start(null);
    expect((await kit.join(resumed.runId)).status).toBe(RunStatus.SUCCESS);
    const whole = await undisturbed(one);
    expect(await values(kit)).toEqual(whole.values);
    // Nothing that was completed is executed again; what was hit is.
    expect(kit.gates.steps().toSorted()).toEqual([...whole.steps, one.hit].toSorted());
    expect((await kit.history()).slice(-kept.length).map(({ checkpoint }) => checkpoint!.checkpointId)).toEqual(ids);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("over many stops, a step each", async () => {
    const kit = await createRunKit(app);
    const steps = ["a", "b", "c", "d"];
    let run = await kit.start({ steps });
    for (const [i, step] of steps.entries()) {
      await kit.gates.started(step);
      expect((await interrupt(kit, run)).outcome).toBe(CancelOutcome.STOPPED);
      expect(await values(kit)).toMatchObject({ log: steps.slice(0, i) });
      kit.gates.open(step);
      run = await kit.start(null);
    }
    expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    expect(await values(kit)).toEqual((await undisturbed({ ...flat, input: { steps } })).values);
    kit.gates.remove();
  });

  it("a step that completes while the stop is under way", async () => {
    const kit = await createRunKit(app);
    const run = await kit.start({ steps: ["a", "b"], manners: { a: "deaf" } });
    await kit.gates.started("a");
    await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: run.runId });
    kit.gates.open("a");
    expect((await kit.join(run.runId)).cancellation!.outcome).toBe(CancelOutcome.STOPPED);
    kit.gates.open();
    const resumed = await kit.start(null);
    expect((await kit.join(resumed.runId)).status).toBe(RunStatus.SUCCESS);
    // Whether the completed step counts or is executed again, it is in the state once.
    expect(await values(kit)).toMatchObject({ log: ["a", "b"] });
    kit.gates.remove();
  });
});
