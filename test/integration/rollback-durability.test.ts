import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, Durability } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import type { SpecInit } from "../support/run-kit.ts";
import { createStateKit, logOf, type StateKit, stateGraphs, valuesOf } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
});
afterAll(() => app.close());

/** Everything that can be seen of the thread, and everything that is stored. */
async function picture(kit: StateKit) {
  const { updatedAt: _, ...thread } = await kit.thread();
  return {
    thread,
    state: await kit.stateAt({ subgraphs: true }),
    history: await kit.history(),
    stored: await dump(app.db, { threadId: kit.threadId }),
  };
}

interface Start {
  readonly graph: string;
  /** The input of the run before. */
  readonly first: object;
  /** What the run that is rolled back is given. */
  readonly input: object | null;
  readonly more: (kit: StateKit) => Promise<SpecInit>;
  readonly step: string;
}

const checkpointAt = async (kit: StateKit, log: string) =>
  (await kit.history()).find((state) => logOf(state).join("") === log)!.checkpoint!;

const starts: Record<string, Start> = {
  "new input at an older checkpoint": {
    graph: "gated",
    first: { steps: ["a", "b"] },
    input: { steps: ["x", "slow"] },
    step: "slow",
    more: async (kit) => ({ checkpoint: await checkpointAt(kit, "a") }),
  },
  "a replay from an older checkpoint": {
    graph: "gated",
    first: { steps: ["a", "b"] },
    input: null,
    step: "slow",
    // The step that it replays is another one by now.
    async more(kit) {
      const { checkpointId } = await checkpointAt(kit, "a");
      const made = await kit.update({ steps: ["a", "slow"] }, { checkpoint: { checkpointId }, asNode: "step" });
      await kit.update({ log: ["newer"] }, { asNode: "step" });
      return { checkpointId: made.checkpointId };
    },
  },
  "new input on a graph with a subgraph": {
    graph: "tree",
    first: {},
    input: {},
    step: "two",
    async more(kit) {
      kit.gates.close("two");
      return {};
    },
  },
  "a start inside a subgraph": {
    graph: "tree",
    first: { asks: true },
    input: null,
    step: "two",
    async more(kit) {
      const { checkpointNs } = (await kit.stateAt({ subgraphs: true })).tasks[0]!.state!.checkpoint!;
      kit.gates.close("two");
      return {
        checkpoint: await kit.update({ path: ["by hand"] }, { checkpoint: { checkpointNs }, asNode: "question" }),
      };
    },
  },
  "an answer to a question": {
    graph: "ask",
    first: {},
    input: null,
    step: "work",
    async more(kit) {
      kit.gates.close("work");
      return { command: { resume: toPayload("answer") } };
    },
  },
};

const durabilities = { sync: Durability.SYNC, async: Durability.ASYNC, exit: Durability.EXIT };
const cases = Object.keys(starts).flatMap((name) =>
  Object.entries(durabilities).map(([durability, value]) => [name, durability, value] as const),
);

describe("a rollback returns to where the thread stood", () => {
  it.each(cases)("%s, durability %s", async (name, _, durability) => {
    const { graph, first, input, more, step } = starts[name]!;
    const kit = await createStateKit(app, graph);
    for (const open of ["a", "b", "x", "one", "two", "end", "work"]) kit.gates.open(open);
    await kit.run(first);
    const spec = await more(kit);
    const begun = kit.gates.steps().length;
    const before = await picture(kit);
    const { runId } = await kit.start(input, { ...spec, durability });
    await kit.reached(step, begun);
    await kit.cancel(runId, CancelAction.ROLLBACK);
    expect(await picture(kit)).toEqual(before);

    // And the thread goes on from there as if the run had never been.
    kit.gates.open();
    const newest = await kit.stateAt();
    await kit.run({ steps: ["z"] });
    const [oldest] = (await kit.history()).slice(0, -before.history.length).reverse();
    expect(oldest!.parentCheckpoint).toEqual(newest.checkpoint);
    kit.gates.remove();
  });
});

describe("a cancel with INTERRUPT and durability exit", () => {
  it("keeps the last completed step, as one checkpoint, and can be resumed", async () => {
    const kit = await createStateKit(app);
    for (const open of ["a", "b"]) kit.gates.open(open);
    const { runId } = await kit.start({ steps: ["a", "b", "c"] }, { durability: Durability.EXIT });
    await kit.gates.started("c");
    expect(await kit.history()).toEqual([]);
    expect((await kit.cancel(runId)).outcome).toBe(CancelOutcome.STOPPED);
    const state = await kit.stateAt();
    expect([logOf(state), valuesOf(state).done, state.next]).toEqual([["a", "b"], 2, ["step"]]);
    expect(await kit.history()).toHaveLength(1);
    expect((await kit.thread()).status).toBe(ThreadStatus.INTERRUPTED);
    kit.gates.open();
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["a", "b", "c"]);
    expect(kit.gates.steps()).toEqual(["a", "b", "c", "c"]);
    kit.gates.remove();
  });

  it("keeps it inside a subgraph as well", async () => {
    const kit = await createStateKit(app, "tree");
    kit.gates.open("one");
    await kit.stopAt("two", {}, { durability: Durability.EXIT });
    const state = await kit.stateAt({ subgraphs: true });
    expect(state.next).toEqual(["sub"]);
    kit.gates.open();
    await kit.run(null);
    expect(logOf(await kit.stateAt())).toEqual(["sub(one,two)", "end"]);
    kit.gates.remove();
  });
});
