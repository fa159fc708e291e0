import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import type { Cancellation, Run } from "../../src/domain/run.ts";
import { openStores, type Stores } from "../../src/storage/stores.ts";
import { around } from "../support/barrier.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const points = createHoldPoints();
let app: TestApp;
let stores: Stores;
let sweeps = 0;
beforeAll(async () => {
  app = await startTestApp({
    config: { leaseMs: 1_000 },
    decorate(own) {
      const parts = points.decorate(own);
      const runs = around(parts.stores.runs, "waiting", { after: () => (sweeps += 1) });
      return { ...parts, stores: { ...parts.stores, runs } };
    },
  });
  stores = await openStores(app.db);
});
afterAll(() => app.close());

/** A run that is over, and what a worker knew of it while it lived. */
interface EndedRun {
  readonly kit: RunKit;
  readonly stale: Run;
}

const owner = "";
const read = async (threadId: string, runId: string) => (await stores.runs.find({ owner, threadId, runId }))!;

/** Starts a run, looks at it while its first step is under way, and lets `end` end it. */
async function run(
  end: (kit: RunKit, runId: string) => Promise<unknown>,
  { graph = "gated", input = {}, timeoutMs = 0 } = {},
): Promise<EndedRun> {
  const kit = await createRunKit(app, graph);
  const runId = randomUUID();
  const started = points.hold("read", runId);
  await kit.start(input, timeoutMs > 0 ? { timeout: { nanos: timeoutMs * 1e6 } } : {}, runId);
  await started.reached;
  const stale = await read(kit.threadId, runId);
  started.open();
  await end(kit, runId);
  await kit.join(runId);
  return { kit, stale };
}

const open = async (kit: RunKit) => kit.gates.open();

/** Every way to come to a terminal status. */
const ends: readonly (readonly [string, RunStatus, () => Promise<EndedRun>])[] = [
  ["SUCCESS", RunStatus.SUCCESS, () => run(open)],
  ["ERROR", RunStatus.ERROR, () => run(open, { graph: "faulty", input: { fault: "throw" } })],
  ["TIMEOUT", RunStatus.TIMEOUT, () => run(async () => {}, { timeoutMs: 300 })],
  [
    "INTERRUPTED",
    RunStatus.INTERRUPTED,
    () => run((kit, runId) => kit.client.runs.cancelRun({ threadId: kit.threadId, runId })),
  ],
  [
    "INTERRUPTED before it started",
    RunStatus.INTERRUPTED,
    async () => {
      const kit = await createRunKit(app);
      const first = await kit.start();
      const second = await kit.start();
      const stale = await read(kit.threadId, second.runId);
      await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: second.runId });
      kit.gates.open();
      await kit.join(first.runId);
      return { kit, stale };
    },
  ],
];

describe.each(ends)("law 3: %s is terminal", (_, status, reach) => {
  let ended: EndedRun;
  let record: unknown;
  const document = () => app.db.collection("runs").findOne({ _id: ended.stale.runId as never });
  beforeAll(async () => {
    ended = await reach();
    record = await document();
    expect((await ended.kit.get(ended.stale.runId)).status).toBe(status);
  });
  afterAll(() => ended.kit.gates.remove());

  it("for cancels of every kind", async () => {
    const { kit, stale } = ended;
    const { threadId } = kit;
    const { runs } = kit.client;
    for (const action of [CancelAction.INTERRUPT, CancelAction.ROLLBACK]) {
      await runs.cancelRun({ threadId, runId: stale.runId, action, reason: "late" }).catch(() => {});
      const named = { case: "runs" as const, value: { threadId, runIds: [stale.runId] } };
      const all = { case: "filter", value: { threadId, status: LiveRunStatus.ALL } } as const;
      await runs.cancelRuns({ target: named, action, wait: true, reason: "late" });
      await runs.cancelRuns({ target: all, action, wait: true, reason: "late" });
      expect(await document()).toEqual(record);
    }
  });

  it("for workers that come late, whatever they believe", async () => {
    const { stale } = ended;
    const over = await read(stale.threadId, stale.runId);
    const token = stale.lease?.token ?? "none";
    const lease = stale.lease ?? { token, server: "late", until: new Date(), unfenced: [] };
    const end = { lastSequence: 99, endCheckpointId: randomUUID() };
    for (const believed of [stale, over, { ...over, phase: "running", lease } as Run]) {
      expect(await stores.runs.claim(believed, { ...lease, token: "late" })).toBeUndefined();
      for (const late of ["success", "error", "timeout", "interrupted"] as const) {
        expect(await stores.runs.finish(believed, token, { ...end, status: late })).toBeUndefined();
      }
      for (const lost of [true, false]) {
        expect(await stores.runs.handBack(believed, token, { lost, suspect: true, lastSequence: 99 })).toBeUndefined();
      }
      for (const action of ["interrupt", "rollback"] as const) {
        const request = { action, reason: "late", requestedBy: "client" } as const;
        for (const seen of [0, 1, 2]) {
          expect(await stores.runs.requestCancel(believed, seen, request)).toBeUndefined();
        }
        expect(await stores.runs.cancelWaiting(believed, request)).toBeUndefined();
        const cancellation: Cancellation = {
          ...{ revision: over.cancellation?.revision ?? 1, ...request },
          ...{ requestedAt: new Date(), outcome: "requested" as const },
        };
        const cancelled: Run = { ...believed, cancellation };
        expect(await stores.runs.settleCancelled(cancelled, token, { ...end, outcome: "killed" })).toBeUndefined();
      }
      expect(await stores.runs.markReady(believed)).toBe(false);
      await stores.runs.markDelivered(believed, token);
      expect(await stores.leases.takeOver({ ...believed, lease }, { ...lease, token: "late" })).toBeUndefined();
      await stores.leases.renew(lease.server, new Date(Date.now() + 3_600_000));
    }
    expect(await document()).toEqual(record);
  });

  it("for what its thread does afterwards", async () => {
    const { kit } = ended;
    kit.gates.open();
    await kit.join((await kit.start()).runId);
    const { runId } = await kit.start();
    await kit.client.runs
      .cancelRun({ threadId: kit.threadId, runId, action: CancelAction.ROLLBACK, wait: true })
      .catch(() => {});
    expect(await document()).toEqual(record);
  });

  it("for sweeps", async () => {
    const wanted = sweeps + 2;
    await until(() => sweeps >= wanted);
    expect(await document()).toEqual(record);
  });
});

describe("law 3: after another start", () => {
  it("every record is what it was", async () => {
    const records = () =>
      app.db
        .collection("runs")
        .find({ phase: "over" }, { sort: { _id: 1 } })
        .toArray();
    const before = await records();
    expect(new Set(before.map((run) => run.status))).toEqual(new Set(["success", "error", "timeout", "interrupted"]));
    app = await app.restart();
    expect(await records()).toEqual(before);
  });
});
