import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import type { Lanes, RunStore } from "../../src/domain/ports.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import type { ThreadName } from "../../src/domain/thread.ts";
import { expiry } from "../../src/storage/run-expiry.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { createEventHub } from "../../src/stream/event-hub.ts";
import { createEventLog } from "../../src/stream/event-log.ts";
import { tail } from "../../src/stream/tail.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { dump } from "../support/dump.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { projected } from "../support/run-records.ts";
import { syntheticRecord } from "../support/synthetic-load.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

let app: TestApp;
let stores: Stores;
/** How far the clock that decides what is due is ahead. */
let turnedMs = 0;
let rounds = 0;
/** Where the removal of one thread waits: before it is marked, or with nothing removed yet. */
let held: { readonly threadId: string; readonly when: "before" | "after"; readonly barrier: Barrier } | undefined;

beforeAll(async () => {
  const turned = (before: Date) => new Date(before.getTime() + turnedMs);
  app = await startTestApp({
    config: { leaseMs: 3_000 },
    decorate(parts) {
      stores = parts.stores;
      const late: RunStore = {
        ...stores.runs,
        eventsDue: (by, page) => stores.runs.eventsDue(turned(by), page),
        recordsDue: (by, page) => stores.runs.recordsDue(turned(by), page),
        removeRecord: (name, before) => stores.runs.removeRecord(name, turned(before)),
      };
      const runs = around(late, "outliving", { before: (thread) => passes(thread as ThreadName, "after") });
      return { ...parts, stores: { ...stores, runs, lanes: lateLanes(stores.lanes) } };
    },
  });
});
afterAll(() => app.close());

/** Decides about what has expired with the clock as it is turned. */
function lateLanes(lanes: Lanes): Lanes {
  return {
    ...lanes,
    async expired(by, page) {
      const found = await lanes.expired(by + turnedMs, page);
      // The last look of a round.
      rounds += 1;
      for (const thread of found) await passes(thread, "before");
      return found;
    },
    async read(name) {
      const stored = await lanes.read(name);
      const expireAt = stored?.control.expireAt;
      return expireAt === undefined
        ? stored
        : { ...stored!, control: { ...stored!.control, expireAt: expireAt - turnedMs } };
    },
  };
}

const passes = ({ threadId }: ThreadName, when: string) =>
  held?.threadId === threadId && held.when === when ? held.barrier.pass() : undefined;

function holdRemoval(when: "before" | "after", threadId: string): Barrier {
  const barrier = createBarrier();
  held = { threadId, when, barrier };
  onTestFinished(() => {
    held = undefined;
    barrier.open();
  });
  return barrier;
}

/** Resolves when a round that has begun since is over. */
async function aRound(): Promise<void> {
  const from = rounds;
  await until(() => rounds >= from + 2);
}

/** Turns the clock that decides what is due, for this test. */
function turn(ms: number): void {
  turnedMs = ms;
  onTestFinished(() => {
    turnedMs = 0;
  });
}

async function done(kit: RunKit, step: string): Promise<string> {
  kit.gates.open(step);
  const { runId } = await kit.start({ steps: [step] });
  expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
  return runId;
}

const stored = (collection: string, filter: object) => app.db.collection(collection).countDocuments(filter);
const read = (kit: RunKit, runId: string, afterSequence = 0n) =>
  readEvents((signal) => kit.client.runs.joinRunStream({ threadId: kit.threadId, runId, afterSequence }, { signal }));

describe("a run's events", () => {
  it("go an hour after its end; its terminal event can be had all the same", async () => {
    const kit = await createRunKit(app);
    const runId = await done(kit, "a");
    const before = read(kit, runId);
    expect(await before.ended).toBeUndefined();
    const last = before.events.at(-1)!.sequence - 1n;

    turn(hour - 30 * second);
    await aRound();
    expect(await stored("run_events", { run_id: runId, gate: false })).toBeGreaterThan(0);

    turn(hour + second);
    await until(async () => (await stored("run_events", { run_id: runId, gate: false })) === 0);
    expect(errorReason(await read(kit, runId).ended)).toBe("SEQUENCE_OUT_OF_RANGE");
    const rest = read(kit, runId, last);
    expect(await rest.ended).toBeUndefined();
    expect(rest.events).toEqual([before.events.at(-1)]);
    expect(endOf(rest.events)).toMatchObject({ status: RunStatus.SUCCESS });
    // Nothing is due any more, and the run is as it was.
    await until(
      async () => (await stored("runs", { events_expire_at: { $exists: true }, thread_id: kit.threadId })) === 0,
    );
    expect((await kit.get(runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("that go while somebody reads them end the reading with an error, never with a gap", async () => {
    const run = await storedRun(100);
    const sources = {
      events: stores.events,
      openLog: createEventLog(stores.events),
      hub: createEventHub(),
      ended: async (name: RunName) => (await stores.runs.find(name))!,
      isRemoved: async () => false,
      whileAway: <T>(what: () => Promise<T>) => what(),
    };
    const { signal } = new AbortController();
    const reading = tail(sources, { run, afterSequence: 0, modes: [], signal });
    const sequences: number[] = [];
    const readOn = async (atMost: number) => {
      while (sequences.length < atMost) {
        const { value, done } = await reading.next();
        if (done) return;
        sequences.push(...value.map((event) => event.sequence));
      }
    };
    await readOn(2);
    turn(hour + second);
    await until(async () => (await stored("run_events", { run_id: run.runId })) === 0);
    expect(await readOn(Number.POSITIVE_INFINITY).catch((error) => error.reason)).toBe("SEQUENCE_OUT_OF_RANGE");
    expect(sequences.length).toBeGreaterThan(1);
    expect(sequences.length).toBeLessThan(100);
    expect(sequences).toEqual(sequences.map((_, i) => i + 1));
  });

  /** A run that is over, with so many chunks of one event each. */
  async function storedRun(chunks: number): Promise<Run> {
    const { threadId } = (await app.client.threads.createThread({})).thread!;
    const run = syntheticRecord(0, { threadId, runId: randomUUID() });
    await stores.runs.insert(run);
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      await stores.events.insert({
        run,
        journal: "journal",
        chunk,
        token: "t",
        isFence: false,
        first: chunk + 2,
        last: chunk + 2,
        events: [{ kind: "output", mode: "custom", name: "", namespace: [], json: "1" }],
      });
    }
    const end = { status: "success", phase: "over", endedAt: new Date(), lastSequence: chunks + 1 } as const;
    const life = { changes: 1, n: 1, attempt: 1, startedAt: new Date(), journal: "journal" };
    return (await projected(stores.runs, run, { ...life, ...end }))!;
  }
});

describe("a finished run's record", () => {
  it("goes after 30 days, and its thread stays what it is", async () => {
    const kit = await createRunKit(app);
    const runId = await done(kit, "a");
    const before = { thread: await kit.thread(), state: await kit.state(), history: await kit.history() };
    expect(before.thread.status).toBe(ThreadStatus.IDLE);

    turn(30 * day - 30 * second);
    await aRound();
    expect((await kit.get(runId)).runId).toBe(runId);

    turn(30 * day + second);
    await until(async () => (await stored("runs", { thread_id: kit.threadId })) === 0);
    turn(0);
    expect(await kit.get(runId).catch(errorReason)).toBe("RUN_NOT_FOUND");
    expect(errorReason(await read(kit, runId).ended)).toBe("RUN_NOT_FOUND");
    expect((await kit.client.runs.listRuns({ threadId: kit.threadId })).runs).toEqual([]);
    expect(await stored("run_events", { run_id: runId, gate: false })).toBe(0);
    expect({ thread: await kit.thread(), state: await kit.state(), history: await kit.history() }).toEqual(before);

    await done(kit, "b");
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b"] });
    kit.gates.remove();
  });

  it("that failed still counts for its thread when a later run never starts", async () => {
    const kit = await createRunKit(app, "faulty");
    kit.gates.open();
    await kit.join((await kit.start({ fault: "throw" })).runId);
    const failed = await kit.thread();
    expect(failed.status).toBe(ThreadStatus.ERROR);
    turn(30 * day + second);
    await until(async () => (await stored("runs", { thread_id: kit.threadId })) === 0);
    turn(0);

    const { runId } = await kit.start({}, { after: { seconds: 3_600n } });
    await app.client.runs.cancelRun({ threadId: kit.threadId, runId, wait: true });
    const cancelled = await kit.get(runId);
    expect([cancelled.status, cancelled.startedAt]).toEqual([RunStatus.INTERRUPTED, undefined]);
    const { updatedAt: _, ...after } = await kit.thread();
    const { updatedAt: __, ...was } = failed;
    expect(after).toEqual(was);
    kit.gates.remove();
  });

  it("stays until the run is over and its events are gone", async () => {
    const kit = await createRunKit(app);
    const runId = await done(kit, "a");
    const run = (await stores.runs.find({ owner: "", threadId: kit.threadId, runId }))!;
    const later = new Date(Date.now() + 31 * day);
    const inPhase = (phase: string) =>
      app.db.collection("runs").updateOne({ thread_id: kit.threadId }, { $set: { phase } });
    expect(await stores.runs.removeRecord(run, later)).toBe(false);
    await inPhase("stopping");
    await stores.runs.eventsGone(run);
    await inPhase("over");
    expect(await stores.runs.removeRecord(run, later)).toBe(false);
    await stores.runs.eventsGone(run);
    await inPhase("stopping");
    expect(await stores.runs.removeRecord(run, later)).toBe(false);
    await inPhase("over");
    expect(await stores.runs.removeRecord(run, new Date())).toBe(false);
    expect(await stores.runs.removeRecord(run, later)).toBe(true);
    kit.gates.remove();
  });

  it("and its events are kept for ever where that is asked for, and never longer than the record", () => {
    const end = new Date(0);
    expect(expiry({ eventsTtlMs: 0, runTtlMs: 0 }, end)).toEqual({});
    expect(expiry({ eventsTtlMs: 5, runTtlMs: 0 }, end)).toEqual({ events_expire_at: new Date(5) });
    expect(expiry({ eventsTtlMs: 0, runTtlMs: 7 }, end)).toEqual({
      events_expire_at: new Date(7),
      expire_at: new Date(7),
    });
    expect(expiry({ eventsTtlMs: 9, runTtlMs: 7 }, end)).toMatchObject({ events_expire_at: new Date(7) });
  });
});

describe("a thread with a time to live", () => {
  const minute = 60 * second;
  async function mortal(graph = "gated"): Promise<RunKit> {
    const kit = await createRunKit(app, graph);
    const { threadId } = (await app.client.threads.createThread({ ttl: { seconds: 60n } })).thread!;
    const start = async (input: object | null = {}, more = {}) =>
      (await app.client.runs.createRun({ threadId, spec: kit.spec(input, more) })).run!;
    return {
      ...kit,
      threadId,
      start,
      join: async (runId) => (await app.client.runs.joinRun({ threadId, runId, omitValues: true })).run!,
      thread: async () => (await app.client.threads.getThread({ threadId })).thread!,
    };
  }

  it("goes with all that is of it when nothing has changed it for so long", async () => {
    const [kit, unused, immortal] = [await mortal(), await mortal(), await createRunKit(app)];
    await done(kit, "a");
    turn(minute - 30 * second);
    await aRound();
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    turn(minute + second);
    await until(async () => (await stored("threads", { thread_id: { $in: [kit.threadId, unused.threadId] } })) === 0);
    expect(await kit.thread().catch(errorReason)).toBe("THREAD_NOT_FOUND");
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual({});
    expect((await immortal.thread()).threadId).toBe(immortal.threadId);
    kit.gates.remove();
  });

  it("stays while a run is live, and its time begins anew at the run's end", async () => {
    const kit = await mortal();
    const { runId } = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    turn(10 * minute);
    await aRound();
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    turn(0);
    kit.gates.open("a");
    const { endedAt } = await kit.join(runId);
    const { expire_at } = (await app.db.collection("threads").findOne({ thread_id: kit.threadId }))!;
    expect(expire_at.getTime()).toBeGreaterThanOrEqual(timestampMs(endedAt!) + minute);
    turn(minute + second);
    await until(async () => (await stored("threads", { thread_id: kit.threadId })) === 0);
    kit.gates.remove();
  });

  it("stays when a run is created in the moment before it goes", async () => {
    const kit = await mortal();
    const mark = holdRemoval("before", kit.threadId);
    turn(minute + second);
    await mark.reached;
    const { runId } = await kit.start({ steps: ["a"] });
    mark.open();
    await aRound();
    turn(0);
    kit.gates.open("a");
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("takes no run any more from the moment on in which it goes", async () => {
    const kit = await mortal();
    const mark = holdRemoval("after", kit.threadId);
    turn(minute + second);
    await mark.reached;
    expect(await kit.start({ steps: ["a"] }).catch(errorReason)).toBe("THREAD_NOT_FOUND");
    mark.open();
    await until(async () => (await stored("threads", { thread_id: kit.threadId })) === 0);
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual({});
    expect(kit.gates.hasStarted("a")).toBe(false);
    kit.gates.remove();
  });
});
