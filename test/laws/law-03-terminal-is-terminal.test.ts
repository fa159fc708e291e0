import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import type { Wish } from "../../src/domain/thread/act.ts";
import { type Entry, entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { around } from "../support/barrier.ts";
import { decideAs } from "../support/decide-as.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
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
      const runs = around(parts.stores.runs, "unentered", { after: () => (sweeps += 1) });
      return { ...parts, stores: { ...parts.stores, runs } };
    },
  });
  stores = await openStores(app.db);
});
afterAll(() => app.close());

/** A run whose end stands in its thread's lane, and what that said of it while it lived. */
interface EndedRun {
  readonly kit: RunKit;
  readonly stale: Entry;
  /** Lets everybody be told of the end, and waits until they are. */
  tell(): Promise<void>;
}

const owner = "";

async function read(threadId: string, runId: string): Promise<Entry | undefined> {
  const stored = await stores.lanes.read({ owner, threadId });
  return stored && entryOf(stored.control, runId);
}

/** Lets `end` end a run, and nobody be told of it. */
async function endUntold(kit: RunKit, stale: Entry, end: () => Promise<unknown>): Promise<EndedRun> {
  const told = [points.hold("finished", stale.run), points.hold("settled", stale.run)];
  const ending = end();
  await Promise.race(told.map(({ reached }) => reached));
  return {
    kit,
    stale,
    async tell() {
      points.release(stale.run);
      await ending;
      await kit.join(stale.run);
    },
  };
}

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
  const stale = (await read(kit.threadId, runId))!;
  started.open();
  return endUntold(kit, stale, () => end(kit, runId));
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
      const stale = (await read(kit.threadId, second.runId))!;
      const { threadId } = kit;
      return endUntold(kit, stale, async () => {
        await kit.client.runs.cancelRun({ threadId, runId: second.runId });
        kit.gates.open();
        await kit.join(first.runId);
      });
    },
  ],
];

/** Everything that a server may decide on about a run that it believes to be as it was. */
function lateWishes({ run, lease = { token: "none", server: "late" } }: Entry): Wish[] {
  const left = { run, token: lease.token, sequence: 99, checkpoint: randomUUID() };
  const wish = { reason: "late", by: "client" } as const;
  return [
    ...(["success", "error", "timeout", "stopped"] as const).map(
      (result): Wish => ({ kind: "settle", ...left, result }),
    ),
    ...[true, false].map((lost): Wish => ({ kind: "handBack", ...left, lost, alone: true })),
    ...(["interrupt", "rollback"] as const).map(
      (action): Wish => ({ kind: "requestCancel", runs: [run], wish: { ...wish, action } }),
    ),
    { kind: "claim", run, token: "late" },
    { kind: "delivered", run, token: lease.token, deliveredAt: 1 },
    { kind: "finishRollback", run },
    { kind: "confirm", run },
    { kind: "forget", run, lacks: "record" },
    { kind: "takeOver", dead: lease.server, token: "late", reachable: false },
  ];
}

describe.each(ends)("law 3: %s is terminal", (_, status, reach) => {
  let ended: EndedRun;
  beforeAll(async () => {
    ended = await reach();
  });
  afterAll(() => ended.kit.gates.remove());

  it("before anybody has been told, for servers that come late", async () => {
    const { kit, stale } = ended;
    const { threadId } = kit;
    const decide = decideAs("late", stores.lanes);
    // That its record was seen, and who is to tell the end, may still change.
    async function fate() {
      const { phase, first, attempt, cancel, end } = (await read(threadId, stale.run))!;
      return { phase, first, attempt, cancel, end };
    }
    const end = await fate();
    expect(end.phase).toBe("over");
    for (const late of lateWishes(stale)) {
      await expect(decide({ owner, threadId }, late)).resolves.toBeDefined();
      expect(await fate()).toEqual(end);
    }
  });

  describe("once everybody has been told", () => toldOf(status, () => ended));
});

function toldOf(status: RunStatus, endedRun: () => EndedRun): void {
  let ended: EndedRun;
  let record: unknown;
  const document = async () => {
    const { changes: _, ...told } = (await app.db.collection("runs").findOne({ _id: ended.stale.run as never }))!;
    return told;
  };
  beforeAll(async () => {
    ended = endedRun();
    await ended.tell();
    record = await document();
    expect((await ended.kit.get(ended.stale.run)).status).toBe(status);
  });

  it("for cancels of every kind", async () => {
    const { kit, stale } = ended;
    const { threadId } = kit;
    const { runs } = kit.client;
    for (const action of [CancelAction.INTERRUPT, CancelAction.ROLLBACK]) {
      await runs.cancelRun({ threadId, runId: stale.run, action, reason: "late" }).catch(() => {});
      const named = { case: "runs" as const, value: { threadId, runIds: [stale.run] } };
      const all = { case: "filter", value: { threadId, status: LiveRunStatus.ALL } } as const;
      await runs.cancelRuns({ target: named, action, wait: true, reason: "late" });
      await runs.cancelRuns({ target: all, action, wait: true, reason: "late" });
      expect(await document()).toEqual(record);
    }
  });

  it("for servers that come late, whatever they believe", async () => {
    const { kit, stale } = ended;
    const { run: runId, lease = { token: "none", server: "late" } } = stale;
    const name = { owner, threadId: kit.threadId, runId };
    const decide = decideAs("late", stores.lanes);

    async function comeLate(): Promise<void> {
      for (const late of lateWishes(stale)) {
        await decide(name, late);
        expect([undefined, "over"]).toContain((await read(kit.threadId, runId))?.phase);
      }
      const over = (await stores.runs.find(name))!;
      expect(await stores.runs.project(name, projectionOf(stale, "journal"))).toBe(false);
      await stores.runs.keepError(name, lease.token, { name: "Late", message: "late" });
      expect(await stores.runs.insert(over)).toBe(false);
      expect(await stores.runs.putAgain({ ...over, phase: "waiting" }, over.made)).toBe(false);
      expect(await stores.runs.deleteUnentered(over)).toBe(false);
      expect(await document()).toEqual(record);
    }

    await comeLate();
    // An end that has been told leaves its thread's lane, and then nobody there knows of the run.
    await until(async () => (await read(kit.threadId, runId)) === undefined);
    await comeLate();
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
}

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
