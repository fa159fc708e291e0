import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MultitaskStrategy, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { RunName } from "../../src/domain/run/run.ts";
import { around } from "../support/barrier.ts";
import { aroundDecisions, type RunStep } from "../support/decisions.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What follows from a create with INTERRUPT or ROLLBACK, whose one decision has cancelled the runs before it. */
const writes = {
  INTERRUPT: ["project", "end"],
  ROLLBACK: ["rollBack", "removeCheckpoints", "rolledBack", "insertTombstone", "remove"],
} as const;
type Write = (typeof writes)["INTERRUPT" | "ROLLBACK"][number];

/**
 * The runs before it do not end by themselves here, so that what is cut off is seen to be done again; every single write of a
 * server that dies is in test/integration/lifecycle-crash.test.ts.
 */
describe("law 7: a create that was cut off is carried out all the same", () => {
  let app: TestApp;
  /** What fails from now on, by thread or by journal. */
  const failing = new Map<string, Write>();
  const cutOff = new Set<string>();

  function failAt(write: Write, key: string): void {
    if (failing.get(key) !== write) return;
    cutOff.add(key);
    throw new Error(`cut off before ${write}`);
  }

  /** What a decision does beside the create's own. */
  function writeOf({ step, entry }: RunStep): Write | undefined {
    if (step === "rolledBack") return step;
    return (step === "end" || step === "rollBack") && entry.end?.token !== undefined ? step : undefined;
  }

  beforeAll(async () => {
    const ofRun = (write: Write) => (run: unknown) => failAt(write, (run as RunName).threadId);
    app = await startTestApp({
      config: { leaseMs: 6_000, pollMs: 60_000 },
      decorate: ({ stores, journal, ...parts }) => {
        const runs = (["project", "insertTombstone", "remove"] as const).reduce(
          (all, write) => around(all, write, { before: ofRun(write) }),
          stores.runs,
        );
        const lanes = aroundDecisions(stores.lanes, {
          before: (step, { name }) => {
            const write = writeOf(step);
            if (write) failAt(write, name.threadId);
          },
        });
        const removing = around(journal, "deleteRun", {
          before: (name) => failAt("removeCheckpoints", name as string),
        });
        return { stores: { ...stores, runs, lanes }, journal: removing, ...parts };
      },
    });
  });
  afterAll(() => app.close());

  async function keysOf({ threadId }: RunKit): Promise<string[]> {
    const thread = await app.db.collection("threads").findOne({ _id: threadId as never });
    return [threadId, thread!.journal as string];
  }

  async function cutAndGoOn(strategy: "INTERRUPT" | "ROLLBACK", write: Write): Promise<void> {
    const kit = await createRunKit(app);
    const { gates, threadId } = kit;
    gates.open("a");
    const running = await kit.start({ steps: ["a", "b"] });
    await gates.started("b");
    const waiting = await kit.start({ steps: ["c"] });
    const keys = await keysOf(kit);
    for (const key of keys) failing.set(key, write);
    // Some of it is done before it is answered.
    await kit.start({ steps: ["n"] }, { multitaskStrategy: MultitaskStrategy[strategy] }).catch(() => undefined);
    await until(() => keys.some((key) => cutOff.has(key)));
    const stored = { thread_id: threadId, "spec.multitaskStrategy": strategy.toLowerCase() };
    const newId = String((await app.db.collection("runs").findOne(stored))!._id);
    // Of those before it nothing may be left when it begins; what is only to be told it need not wait for.
    if (["end", "rollBack", "removeCheckpoints", "rolledBack"].includes(write)) {
      expect(await kit.get(newId)).toMatchObject({ status: RunStatus.PENDING });
      expect(gates.hasStarted("n")).toBe(false);
    }
    for (const key of keys) failing.delete(key);

    await gates.started("n");
    for (const { runId } of [running, waiting]) {
      if (strategy === "ROLLBACK") {
        await until(async () => (await app.db.collection("runs").countDocuments({ _id: runId as never })) === 0);
        await until(async () => mentions(await dump(app.db, { threadId }), runId).length === 0);
        await expect(kit.get(runId)).rejects.toThrow(/no run/);
        continue;
      }
      await until(async () => (await kit.get(runId)).status === RunStatus.INTERRUPTED);
      const cancellation = { requestedBy: "multitask", causeRunId: newId };
      expect((await kit.get(runId)).cancellation).toMatchObject(cancellation);
    }
    gates.open("n");
    expect((await kit.join(newId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: strategy === "ROLLBACK" ? ["n"] : ["a", "n"] });
    expect(gates.steps()).toEqual(["a", "b", "n"]);
    const owing = { thread_id: threadId, owes_since: { $type: "date" } };
    await until(async () => (await app.db.collection("threads").countDocuments(owing)) === 0);
    gates.remove();
  }

  it.each(["INTERRUPT", "ROLLBACK"] as const)("%s", { timeout: 120_000 }, async (strategy) => {
    await Promise.all(writes[strategy].map((write) => cutAndGoOn(strategy, write)));
  });
});
