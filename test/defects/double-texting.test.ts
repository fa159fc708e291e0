import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, MultitaskStrategy, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, startRun } from "../../src/client/index.ts";
import type { Run as DomainRun } from "../../src/domain/run/run.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Defects of other servers when a run comes while another is live, or a stop before its run; see docs/defects.md. */
let app: TestApp;
/** Where the insert of a run stops, by the run's id. */
const inserts = new Map<string, Barrier>();

beforeAll(async () => {
  app = await startTestApp({
    config: { graceMs: 600_000 },
    decorate: ({ stores, ...parts }) => {
      const runs = around(stores.runs, "insert", { before: (run) => inserts.get((run as DomainRun).runId)?.pass() });
      return { ...parts, stores: { ...stores, runs } };
    },
  });
});
afterAll(() => app.close());

describe("S7: a run that is slow to stop", () => {
  it.each(["INTERRUPT", "ROLLBACK"] as const)(
    "is over before the next starts, and says the last word on nothing: %s",
    async (strategy) => {
      const kit = await createRunKit(app);
      for (const step of ["a", "n"]) kit.gates.open(step);
      const old = await kit.start({ steps: ["a", "b"], manners: { b: "deaf" } });
      await kit.gates.started("b");
      const next = await kit.start({ steps: ["n"] }, { multitaskStrategy: MultitaskStrategy[strategy] });
      // The old node goes on living, and until it has ended nothing is called over.
      const beats = kit.gates.beats();
      await until(() => kit.gates.beats() > beats + 10);
      expect([(await kit.get(old.runId)).status, (await kit.get(next.runId)).status]).toEqual([
        RunStatus.RUNNING,
        RunStatus.PENDING,
      ]);
      expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
      kit.gates.open("b");
      expect(await kit.join(next.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
      expect(kit.gates.spans()).toEqual(["begin a", "end a", "begin b", "end b", "begin n", "end n"]);
      expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
      expect((await kit.thread()).error).toBeUndefined();
      const { log } = (await kit.state()).values as { log: string[] };
      expect(log).toEqual(strategy === "INTERRUPT" ? ["a", "n"] : ["n"]);
      kit.gates.remove();
    },
  );
});

describe("J2: double-texting", () => {
  it("waits its turn unless it is told otherwise", async () => {
    const kit = await createRunKit(app);
    const old = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const next = await kit.start({ steps: ["n"] });
    expect(next.status).toBe(RunStatus.PENDING);
    kit.gates.open();
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.get(old.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("with INTERRUPT ends the old run as interrupted", async () => {
    const kit = await createRunKit(app);
    const old = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    kit.gates.open("n");
    const next = await kit.start({ steps: ["n"] }, { multitaskStrategy: MultitaskStrategy.INTERRUPT });
    await kit.join(next.runId);
    const over = await kit.get(old.runId);
    expect(over.error).toBeUndefined();
    expect(over).toMatchObject({
      status: RunStatus.INTERRUPTED,
      cancellation: { requestedBy: "multitask", causeRunId: next.runId, outcome: CancelOutcome.STOPPED },
    });
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("with ROLLBACK leaves nothing of the old run", async () => {
    const kit = await createRunKit(app);
    const old = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    kit.gates.open("n");
    await kit.join((await kit.start({ steps: ["n"] }, { multitaskStrategy: MultitaskStrategy.ROLLBACK })).runId);
    expect(errorReason(await kit.get(old.runId).catch((error) => error))).toBe("RUN_NOT_FOUND");
    expect(mentions(await dump(app.db, { threadId: kit.threadId }), old.runId)).toEqual([]);
    kit.gates.remove();
  });
});

it("B2: a stop that is pressed before the create has answered stops the run", async () => {
  const kit = await createRunKit(app);
  const runId = crypto.randomUUID();
  const barrier = createBarrier();
  inserts.set(runId, barrier);
  const run = startRun(app.client, { threadId: kit.threadId, runId, spec: kit.spec({ steps: ["a"] }) });
  await barrier.reached;
  const cancelled = run.cancel({ reason: "enough", wait: true });
  barrier.open();
  expect((await run.created).runId).toBe(runId);
  expect((await cancelled)!.run!.status).toBe(RunStatus.INTERRUPTED);
  expect((await kit.get(runId)).cancellation!.reason).toBe("enough");
  kit.gates.remove();
});
