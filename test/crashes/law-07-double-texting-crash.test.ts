import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MultitaskStrategy, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { RunName } from "../../src/domain/run.ts";
import { around } from "../support/barrier.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** The writes of a create with INTERRUPT or ROLLBACK after the run itself is stored; newest first, so the waiting run is first. */
const writes = ["cancelWaiting", "requestCancel", "cleared", "markReady"] as const;
type Write = (typeof writes)[number];

/**
 * The runs before it do not end by themselves here, so that what is cut off is seen to be done again; every single write of a
 * server that dies is in test/integration/lifecycle-crash.test.ts.
 */
describe("law 7: a create that was cut off is carried out all the same", () => {
  let app: TestApp;
  /** What fails from now on, by thread. */
  const failing = new Map<string, Write>();

  beforeAll(async () => {
    const fail = (write: Write) => (run: unknown) => {
      if (failing.get((run as RunName).threadId) === write) throw new Error(`cut off before ${write}`);
    };
    app = await startTestApp({
      config: { leaseMs: 3_000, pollMs: 60_000 },
      decorate: ({ stores, ...parts }) => {
        const runs = writes.reduce((all, write) => around(all, write, { before: fail(write) }), stores.runs);
        return { ...parts, stores: { ...stores, runs } };
      },
    });
  });
  afterAll(() => app.close());

  it.each(["INTERRUPT", "ROLLBACK"] as const)("%s", { timeout: 60_000 }, async (strategy) => {
    await Promise.all(
      writes.map(async (write) => {
        const kit = await createRunKit(app);
        const { gates, threadId } = kit;
        gates.open("a");
        const running = await kit.start({ steps: ["a", "b"] });
        await gates.started("b");
        const waiting = await kit.start({ steps: ["c"] });
        failing.set(threadId, write);
        const spec = { multitaskStrategy: MultitaskStrategy[strategy] };
        const creating = kit.start({ steps: ["n"] }, spec);
        const answer = await creating.then(
          () => "answered",
          () => "cut off",
        );
        // The turn may also come to it after the answer, when the running one is over.
        if (write !== "markReady") expect(answer).toBe("cut off");
        const stored = { thread_id: threadId, "spec.multitaskStrategy": strategy.toLowerCase() };
        const created = (await app.db.collection("runs").findOne(stored))!;
        const newId = String(created._id);
        expect(created.status).toBe("pending");
        expect(gates.hasStarted("n")).toBe(false);
        failing.delete(threadId);

        await gates.started("n");
        for (const { runId } of [running, waiting]) {
          if (strategy === "ROLLBACK") {
            // Its record goes last, after the turn that it had.
            await until(async () => (await app.db.collection("runs").countDocuments({ _id: runId as never })) === 0);
            await expect(kit.get(runId)).rejects.toThrow(/no run/);
            expect(mentions(await dump(app.db, { threadId }), runId)).toEqual([]);
            continue;
          }
          const cancellation = { requestedBy: "multitask", causeRunId: newId };
          expect(await kit.get(runId)).toMatchObject({ status: RunStatus.INTERRUPTED, cancellation });
        }
        gates.open("n");
        expect((await kit.join(newId)).status).toBe(RunStatus.SUCCESS);
        expect((await kit.state()).values).toMatchObject({ log: strategy === "ROLLBACK" ? ["n"] : ["a", "n"] });
        expect(gates.steps()).toEqual(["a", "b", "n"]);
        await until(async () => (await app.db.collection("runs").countDocuments({ clearing: true })) === 0);
        gates.remove();
      }),
    );
  });
});
