import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

interface Neighbour {
  readonly kit: RunKit;
  readonly runId: string;
}

describe("law 1: the neighbours of a run whose process is killed", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 500 } });
  });
  afterAll(() => app.close());

  /** A run that has completed its step a and waits in its step b, politely. */
  async function startNeighbour(): Promise<Neighbour> {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    kit.gates.open("a");
    await kit.gates.started("b");
    return { kit, runId };
  }

  it.each(["busy", "deaf"] as const)("of a %s node go on in a new process and lose nothing", async (manner) => {
    const { lanes } = await openStores(app.db);
    const neighbours = await Promise.all([startNeighbour(), startNeighbour(), startNeighbour()]);
    const culprit = await createRunKit(app);
    const bad = await culprit.start({ manners: { a: manner } });
    const pid = await culprit.gates.started("a");
    for (const { kit } of neighbours) expect(await kit.gates.started("b")).toBe(pid);

    const answer = await culprit.client.runs.cancelRun({ threadId: culprit.threadId, runId: bad.runId, wait: true });
    expect(answer.outcome).toBe(CancelOutcome.KILLED);
    expect(isAlive(pid)).toBe(false);

    for (const { kit, runId } of neighbours) {
      await until(async () => (await kit.gates.started("b")) !== pid);
      const { control } = (await lanes.read({ owner: "", threadId: kit.threadId }))!;
      expect(entryOf(control, runId)).toMatchObject({ attempt: 2 });
      for (const mark of ["lost", "alone"]) expect(entryOf(control, runId)).not.toHaveProperty(mark);
      const meanwhile = await kit.get(runId);
      expect(meanwhile).toMatchObject({ status: RunStatus.RUNNING, attempt: 2 });
      expect(meanwhile.cancellation).toBeUndefined();
      kit.gates.open();
      expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
      // The step that was under way is executed again, and no other.
      expect(kit.gates.steps()).toEqual(["a", "b", "b", "c"]);
      expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"], done: 3 });
      expect((await kit.get(runId)).attempt).toBe(2);
      kit.gates.remove();
    }
    culprit.gates.remove();
  });
});
