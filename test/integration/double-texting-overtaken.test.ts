import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, MultitaskStrategy, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { Run as DomainRun } from "../../src/domain/run.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump, mentions } from "../support/dump.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A creation that has its number, and is not stored yet, when a later one looks for the live runs before it. */
describe("double-texting: a creation that is overtaken", () => {
  let app: TestApp;
  /** Where the insert of a run stops, by the run's id. */
  const stops = new Map<string, Barrier>();
  beforeAll(async () => {
    app = await startTestApp({
      config: { leaseMs: 200_000, pollMs: 60_000 },
      decorate: ({ stores, ...parts }) => {
        const runs = around(stores.runs, "insert", { before: (run) => stops.get((run as DomainRun).runId)?.pass() });
        return { ...parts, stores: { ...stores, runs } };
      },
    });
  });
  afterAll(() => app.close());

  async function held(kit: RunKit): Promise<{ runId: string; barrier: Barrier; created: Promise<Run> }> {
    const runId = randomUUID();
    const barrier = createBarrier();
    stops.set(runId, barrier);
    const created = kit.start({ steps: ["overtaken"] }, {}, runId);
    await barrier.reached;
    return { runId, barrier, created };
  }

  const strategies = ["INTERRUPT", "ROLLBACK"] as const;
  const cases = strategies.flatMap((strategy) => [true, false].map((hasTurn) => [strategy, hasTurn] as const));

  it.each(cases)("%s cancels it all the same; it has the turn: %s", async (strategy, hasTurn) => {
    const kit = await createRunKit(app);
    kit.gates.open("before");
    let before: Run | undefined;
    if (!hasTurn) {
      kit.gates.close("before");
      before = await kit.start({ steps: ["before"] });
      await kit.gates.started("before");
    }
    const { runId, barrier, created } = await held(kit);
    // Now the turn is free again, and the later one gets it at once.
    kit.gates.open("before");
    if (before) expect((await kit.join(before.runId)).status).toBe(RunStatus.SUCCESS);
    const later = await kit.start({ steps: ["later"] }, { multitaskStrategy: MultitaskStrategy[strategy] });
    expect(later.status).toBe(hasTurn ? RunStatus.PENDING : RunStatus.RUNNING);
    barrier.open();
    const answer = await created;
    const cause = { requestedBy: "multitask", causeRunId: later.runId, reason: `superseded by run ${later.runId}` };
    expect(answer.cancellation).toMatchObject(cause);

    kit.gates.open("later");
    expect((await kit.join(later.runId)).status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.hasStarted("overtaken")).toBe(false);
    if (strategy === "INTERRUPT") {
      const outcome = hasTurn ? CancelOutcome.STOPPED : CancelOutcome.NEVER_STARTED;
      expect(await kit.get(runId)).toMatchObject({
        status: RunStatus.INTERRUPTED,
        cancellation: { ...cause, outcome },
      });
    } else {
      expect(mentions(await dump(app.db, { threadId: kit.threadId }), runId)).toEqual([]);
    }
    expect((await kit.state()).values).toMatchObject({ log: [...(before ? ["before"] : []), "later"] });
    kit.gates.remove();
  });
});
