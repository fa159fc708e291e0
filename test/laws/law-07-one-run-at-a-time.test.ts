import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, MultitaskStrategy, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { errorInfo } from "../../src/client/index.ts";
import { firstInTurn } from "../../src/domain/thread/entry.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { type Barrier, createBarrier } from "../support/barrier.ts";
import { aroundDecisions } from "../support/decisions.ts";
import { dump } from "../support/dump.ts";
import { isAlive } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const count = 12;
const names = Array.from({ length: count }, (_, i) => `r${i}`);
/** What a thread's steps have done when none of them ran beside another. */
const inTurn = (steps: readonly string[]) => steps.flatMap((step) => [`begin ${step}`, `end ${step}`]);

describe("law 7: one run at a time a thread", () => {
  let app: TestApp;
  let stores: Stores;
  /** Stops the decision that lets this run enter its thread's lane, before it is written. */
  let atEnter: { runId: string; barrier: Barrier } | undefined;

  beforeAll(async () => {
    app = await startTestApp({
      // No poll and no sweep helps within a test's time: the next run starts at once or never.
      config: { slotsPerChild: 3, leaseMs: 600_000, pollMs: 600_000 },
      decorate: (parts) => {
        const lanes = aroundDecisions(parts.stores.lanes, {
          before: ({ step, runId }) =>
            step === "enter" && runId === atEnter?.runId ? atEnter.barrier.pass() : undefined,
        });
        return { ...parts, stores: { ...parts.stores, lanes } };
      },
    });
    stores = await openStores(app.db);
  });
  afterAll(() => app.close());

  const joinAll = (kit: RunKit, runs: readonly Run[]) => Promise.all(runs.map(({ runId }) => kit.join(runId)));
  const turnOf = async ({ threadId }: RunKit) =>
    firstInTurn((await stores.lanes.read({ owner: "", threadId }))!.control.lane)?.run;

  it("in the order in which they were created one after the other", async () => {
    const kit = await createRunKit(app);
    const runs: Run[] = [];
    for (const name of names) runs.push(await kit.start({ steps: [name] }));
    await kit.gates.started("r0");
    kit.gates.open();
    for (const run of await joinAll(kit, runs)) expect(run.status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.spans()).toEqual(inTurn(names));
    expect((await kit.state()).values).toMatchObject({ log: names });
    kit.gates.remove();
  });

  it("in the order of their numbers when they were created at the same time", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const runs = await Promise.all(names.map((name) => kit.start({ steps: [name] })));
    for (const run of await joinAll(kit, runs)) expect(run.status).toBe(RunStatus.SUCCESS);
    const stored = await app.db.collection("runs").find({ thread_id: kit.threadId }).sort({ n: 1 }).toArray();
    const order = stored.map(({ spec }) => JSON.parse(spec.input).steps[0] as string);
    expect(stored.map(({ n }) => n)).toEqual(names.map((_, i) => i + 1));
    expect(order.toSorted()).toEqual(names.toSorted());
    expect(kit.gates.spans()).toEqual(inTurn(order));
    expect((await kit.state()).values).toMatchObject({ log: order });
    kit.gates.remove();
  });

  it("the next starts only when a deaf predecessor is really over", async () => {
    const kit = await createRunKit(app);
    const first = await kit.start({ steps: ["a"], manners: { a: "deaf" } });
    await kit.gates.started("a");
    const next = await kit.start({ steps: ["x"], manners: {} });
    await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: first.runId });
    const beats = kit.gates.beats();
    await expect.poll(() => kit.gates.beats(), { timeout: 20_000 }).toBeGreaterThan(beats + 20);
    expect(kit.gates.hasStarted("x")).toBe(false);
    expect(await turnOf(kit)).toBe(first.runId);
    kit.gates.open();
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.spans()).toEqual(inTurn(["a", "x"]));
    kit.gates.remove();
  });

  it.each(["deaf", "busy"] as const)("the next starts when the process of a %s predecessor is dead", async (manner) => {
    const kit = await createRunKit(app);
    const first = await kit.start({ steps: ["a"], manners: { a: manner } });
    const pid = await kit.gates.started("a");
    const next = await kit.start({ steps: ["x"], manners: {} });
    await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: first.runId });
    expect(await kit.gates.started("x")).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
    expect((await kit.get(first.runId)).cancellation!.outcome).toBe(CancelOutcome.KILLED);
    kit.gates.open("x");
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("a busy thread with 30 waiting runs delays no other", async () => {
    const busy = await createRunKit(app);
    const runs = [await busy.start({ steps: ["a"] })];
    await busy.gates.started("a");
    for (let i = 0; i < 30; i += 1) runs.push(await busy.start({ steps: [`w${i}`] }));
    const other = await createRunKit(app);
    other.gates.open();
    for (let i = 0; i < 3; i += 1) {
      const run = await other.start({ steps: ["x"] });
      expect((await other.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    }
    expect(busy.gates.spans()).toEqual(["begin a"]);
    const filter = { threadId: busy.threadId, status: LiveRunStatus.ALL };
    await busy.client.runs.cancelRuns({ target: { case: "filter", value: filter }, wait: true });
    expect(busy.gates.steps()).toEqual(["a"]);
    busy.gates.remove();
    other.gates.remove();
  });

  it("REJECT names the live run and changes nothing", async () => {
    const kit = await createRunKit(app);
    const live = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const stored = () => dump(app.db, { threadId: kit.threadId, exceptEventsOf: live.runId });
    const before = await stored();
    const reject = { multitaskStrategy: MultitaskStrategy.REJECT };
    const refused = await kit.start({}, reject).catch((error: unknown) => error);
    expect((refused as ConnectError).code).toBe(Code.Aborted);
    expect(errorInfo(refused)).toMatchObject({ reason: "THREAD_BUSY", metadata: { run_id: live.runId } });
    expect(await stored()).toEqual(before);
    kit.gates.open();
    await kit.join(live.runId);
    const accepted = await kit.start({ steps: ["x"] }, reject);
    expect((await kit.join(accepted.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("of many that REJECT, created at the same time on a free thread, one is accepted", async () => {
    const kit = await createRunKit(app);
    const spec = { multitaskStrategy: MultitaskStrategy.REJECT };
    const created = await Promise.allSettled(names.map((name) => kit.start({ steps: [name] }, spec)));
    expect(created.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    kit.gates.open();
    const { runs } = await kit.client.runs.listRuns({ threadId: kit.threadId });
    expect(runs).toHaveLength(1);
    await joinAll(kit, runs);
    kit.gates.remove();
  });

  it("passes over runs that are cancelled while they wait", async () => {
    const kit = await createRunKit(app);
    const runs: Run[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) runs.push(await kit.start({ steps: [name] }));
    await kit.gates.started("a");
    const cancel = (run: Run, action: CancelAction) =>
      kit.client.runs.cancelRun({ threadId: kit.threadId, runId: run.runId, action, wait: true });
    expect((await cancel(runs[1]!, CancelAction.INTERRUPT)).outcome).toBe(CancelOutcome.NEVER_STARTED);
    expect((await cancel(runs[3]!, CancelAction.ROLLBACK)).outcome).toBe(CancelOutcome.NEVER_STARTED);
    kit.gates.open();
    await joinAll(kit, [runs[0]!, runs[2]!, runs[4]!]);
    expect(kit.gates.spans()).toEqual(inTurn(["a", "c", "e"]));
    expect((await kit.state()).values).toMatchObject({ log: ["a", "c", "e"] });
    kit.gates.remove();
  });

  it("a run that a worker takes while another is being created elsewhere keeps its turn", async () => {
    const [kit, others, elsewhere] = [await createRunKit(app), await createRunKit(app), await app.start()];
    // No slot is free, so the first run waits although it has the turn.
    const blockers = await Promise.all(
      names.slice(0, 3).map(async (name) => {
        const { threadId } = (await app.client.threads.createThread({})).thread!;
        return (await app.client.runs.createRun({ threadId, spec: others.spec({ steps: [name] }) })).run!;
      }),
    );
    await Promise.all(names.slice(0, 3).map((name) => others.gates.started(name)));
    const first = await kit.start({ steps: ["a"] });
    expect(first.status).toBe(RunStatus.PENDING);

    // The decision that brings the next run would have claimed the first one for the other server.
    const [runId, barrier] = [randomUUID(), createBarrier()];
    atEnter = { runId, barrier };
    const { threadId } = kit;
    const creating = elsewhere.client.runs.createRun({ threadId, runId, spec: kit.spec({ steps: ["x"] }) });
    await barrier.reached;
    others.gates.open("r0");
    await kit.gates.started("a");
    barrier.open();
    const second = (await creating).run!;
    expect(await turnOf(kit)).toBe(first.runId);
    expect(second.status).toBe(RunStatus.PENDING);
    others.gates.open();
    await Promise.all(blockers.map(({ threadId, runId }) => app.client.runs.joinRun({ threadId, runId })));
    expect(kit.gates.hasStarted("x")).toBe(false);
    kit.gates.open();
    await joinAll(kit, [first, second]);
    expect(kit.gates.spans()).toEqual(inTurn(["a", "x"]));
    for (const each of [kit, others]) each.gates.remove();
    await elsewhere.app.stop();
  });

  it("however servers and creations interleave, nobody is forgotten", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const runs: Run[] = [];
    // Creations that meet the end of the run before them, at many offsets.
    for (let i = 0; i < 25; i += 1) {
      runs.push(await kit.start({ steps: [`s${i}`] }));
      await sleep((i * 7) % 40);
    }
    for (const run of await joinAll(kit, runs)) expect(run.status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.spans()).toEqual(inTurn(runs.map((_, i) => `s${i}`)));
    kit.gates.remove();
  });
});
