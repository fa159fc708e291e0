import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Runs } from "../../src/create-runs.ts";
import { newId } from "../../src/domain/ids.ts";
import type { Run } from "../../src/domain/run/run.ts";
import type { Server } from "../../src/domain/server.ts";
import type { ThreadName } from "../../src/domain/thread.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { createHeartbeat } from "../../src/worker/heartbeat.ts";
import { createLeaseClock } from "../../src/worker/lease-clock.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { hourMs, setWallClockRight, setWallClockWrong, trueNow } from "../support/clocks.ts";
import { createGates, type Gates, until } from "../support/gates.ts";
import { openStores } from "../support/stores.ts";
import { gatedSpec, openTurnServers, type TurnServers } from "../support/turn-servers.ts";

/** What is stored has its times from the database's clock, whatever the wall clock of the server that stores it says. */
describe("a server whose wall clock is wrong", () => {
  let servers: TurnServers;
  let stores: Stores;
  let gates: Gates;
  let runs: Runs;
  /** Stops the next insert of a thread. */
  let atInsert: Barrier | undefined;

  beforeAll(async () => {
    servers = await openTurnServers();
    stores = await openStores(servers.db);
    gates = createGates();
    gates.open();
    runs = await wrongBy(-2 * hourMs, () =>
      servers.start((own) => ({
        ...own,
        lanes: around(own.lanes, "insert", { before: () => atInsert?.pass() }),
      })),
    );
    await playTimes();
    await playLists();
    await playExpiry();
    await playLivingHolder();
  });
  afterAll(async () => {
    setWallClockRight();
    gates.remove();
    await servers.close();
  });

  async function wrongBy<T>(byMs: number, what: () => Promise<T>): Promise<T> {
    setWallClockWrong(byMs);
    try {
      return await what();
    } finally {
      setWallClockRight();
    }
  }

  async function newThread(more: { ttlMs?: number; metadata?: Record<string, unknown> } = {}): Promise<ThreadName> {
    const name = { owner: "", threadId: randomUUID() };
    await runs.createThread({ ...name, metadata: {}, ifExists: "raise", ...more });
    return name;
  }

  /** Live for the whole test, without executing. */
  const delayed = { afterMs: 24 * hourMs };
  function createRun(thread: ThreadName, more: Parameters<typeof gatedSpec>[2] = {}): Promise<Run> {
    const spec = gatedSpec(gates.dir, ["a"], more);
    return runs.createRun({ ...thread, runId: newId(), isChosenId: false, spec, createThread: false });
  }

  /** What clients are told, by what it is; in ms before or after the truth. */
  const told = new Map<string, number>();

  async function playTimes(): Promise<void> {
    const tell = (what: string, times: Record<string, Date | undefined>) => {
      for (const [field, time] of Object.entries(times)) told.set(`${what}'s ${field}`, time!.getTime() - trueNow());
    };
    await wrongBy(2 * hourMs, async () => {
      const thread = await newThread();
      const run = (await runs.outcomes.wait(await createRun(thread), AbortSignal.timeout(30_000)))!;
      const { createdAt, startedAt, endedAt } = await runs.readRuns.get(run);
      tell("a run", { createdAt, startedAt, endedAt });
      const waiting = await createRun(thread, delayed);
      await runs.cancels.cancel(waiting, { action: "interrupt", reason: "test", requestedBy: "client" });
      const { requestedAt, settledAt } = (await runs.readRuns.get(waiting)).cancellation!;
      tell("a cancellation", { requestedAt, settledAt });
      const { createdAt: threadCreated, updatedAt } = await runs.readThreads.get(thread);
      tell("a thread", { createdAt: threadCreated, updatedAt });
      const copy = await runs.copyThread(thread, randomUUID());
      tell("a copied thread", { createdAt: copy.createdAt, updatedAt: copy.updatedAt });
      const [server] = await stores.servers.others("");
      tell("a server", { seenAt: server!.seenAt });
    });
  }

  /** Newest first, as they were created. */
  const listed = new Map<string, { expected: string[]; found: string[] }>();

  async function playLists(): Promise<void> {
    const metadata = { lists: "all" };
    const first = await newThread({ metadata });
    const earlier = await createRun(first, delayed);
    const [second, later] = await wrongBy(
      -2 * hourMs,
      async () => [await newThread({ metadata }), await createRun(first, delayed)] as const,
    );
    const page = { size: 10, token: "" };
    const inList = (await runs.readRuns.list(first, page)).runs.map(({ runId }) => runId);
    listed.set("the runs of a thread", { expected: [later.runId, earlier.runId], found: inList });
    const order = { by: "created_at" as const, descending: true };
    const { threads } = await runs.searchThreads.search({ owner: "", metadata }, order, page);
    listed.set("threads", {
      expected: [second.threadId, first.threadId],
      found: threads.map(({ threadId }) => threadId),
    });
  }

  let keptThread: ThreadName;
  let isKept = false;

  /** Another server removes what has expired: first what has, then what has not. */
  async function playExpiry(): Promise<void> {
    keptThread = await wrongBy(-2 * hourMs, () => newThread({ ttlMs: hourMs }));
    // By its own short lease it would take the others, which beat seldom, for dead.
    const alone = (own: Stores): Stores => ({ ...own, servers: { ...own.servers, others: async () => [] } });
    const remover = await servers.start(alone, { leaseMs: 900 });
    // The second one is looked at after the first was gone, and with it all that had expired before.
    for (let round = 0; round < 2; round++) {
      const expired = await newThread({ ttlMs: 1 });
      await until(async () => (await stores.threads.find(expired)) === undefined);
    }
    isKept = (await stores.threads.find(keptThread)) !== undefined;
    await remover.close();
  }

  let isHeld = false;
  let serverBefore: Server | undefined;
  let serverAfter: Server | undefined;

  /** A copy is under way, while a server with another wrong clock looks for what dead ones have left. */
  async function playLivingHolder(): Promise<void> {
    const source = await newThread();
    const asleep = createBarrier();
    atInsert = asleep;
    const copying = wrongBy(-2 * hourMs, () => runs.copyThread(source, randomUUID()));
    await asleep.reached;
    const holder = async () => (await stores.lanes.read(source))!.control.lane.holder?.id;
    const hold = await holder();
    const server = async () => (await stores.servers.others("")).find(({ id }) => id === runs.server());
    serverBefore = await server();
    await wrongBy(2 * hourMs, async () => {
      let rounds = 0;
      const other = await servers.start((own) => ({
        ...own,
        servers: around(own.servers, "others", { after: () => (rounds += 1) }),
      }));
      await until(() => rounds > 2);
      await other.close();
    });
    serverAfter = await server();
    isHeld = hold !== undefined && (await holder()) === hold;
    asleep.open();
    await copying;
  }

  const times = [
    "a run's createdAt",
    "a run's startedAt",
    "a run's endedAt",
    "a cancellation's requestedAt",
    "a cancellation's settledAt",
    "a thread's createdAt",
    "a thread's updatedAt",
    "a copied thread's createdAt",
    "a copied thread's updatedAt",
    "a server's seenAt",
  ];

  it("tells all these times", () => {
    expect([...told.keys()]).toEqual(times);
  });

  it.each(times)("%s is the database's time", (time) => {
    expect(Math.abs(told.get(time)!)).toBeLessThan(hourMs);
  });

  it("lists all that was created", () => {
    for (const { expected, found } of listed.values()) expect(new Set(found)).toEqual(new Set(expected));
  });

  it.each(["the runs of a thread", "threads"])("%s are listed in the order in which they were created", (what) => {
    const { expected, found } = listed.get(what)!;
    expect(found).toEqual(expected);
  });

  it("a thread is kept as long as it was to be", () => {
    expect(isKept).toBe(true);
  });

  it("a server that is alive keeps what it holds", () => {
    expect(isHeld).toBe(true);
    expect(serverBefore).toBeDefined();
    expect(serverAfter).toEqual({ ...serverBefore, readAt: expect.any(Date) as Date });
  });
});

/** For example when another member becomes the primary. */
describe("when the database's clock goes back", () => {
  let servers: TurnServers;
  let stores: Stores;

  beforeAll(async () => {
    servers = await openTurnServers();
    stores = await openStores(servers.db);
  });
  afterAll(() => servers.close());

  it("a renewal leaves its server no less of its lease than the one before", async () => {
    const databaseTimes = [trueNow(), trueNow() - hourMs];
    const clock = createLeaseClock(600_000, () => 0);
    const left: number[] = [];
    const heartbeat = createHeartbeat({
      lanes: { headedBy: () => Promise.resolve([]) },
      clock,
      self: () => ({ id: "a-server", ended: new AbortController().signal }),
      executing: { attempts: new Map(), knows: () => false },
      holds: new Set(),
      cancelStored: () => undefined,
      host: { renewed: () => undefined, pids: [] },
      leaseMs: 600_000,
      beat: () => Promise.resolve(new Date(databaseTimes.shift()!)),
      adoptUnknownLease: () => Promise.resolve(),
      declaredDead: () => Promise.reject(new Error("it was declared dead")),
      monotonicMs: () => 0,
      onError: (error) => {
        throw error;
      },
    });
    while (databaseTimes.length > 0) {
      await heartbeat.beat();
      left.push(clock.heldUntil().getTime() - clock.now().getTime());
    }
    await heartbeat.stop();
    expect(left).toEqual([600_000, 600_000]);
  });

  it("a server that has renewed its lease since is not taken for dead by one that has not", async () => {
    const living = { id: newId(), machine: "elsewhere", pid: 1, started: "", children: [], freeSlots: 0 };
    await stores.servers.join(living);
    let rounds = 0;
    /** It has heard of the database's time when that was still an hour later. */
    const stale = (time: Date) => new Date(time.getTime() + hourMs);
    await servers.start((own) => ({
      ...own,
      servers: {
        ...around(own.servers, "others", { after: () => (rounds += 1) }),
        join: async (server) => stale((await own.servers.join(server))!),
        beat: async (server) => stale((await own.servers.beat(server))!),
      },
    }));
    await until(() => rounds > 2);
    const [found] = (await stores.servers.others("")).filter(({ id }) => id === living.id);
    expect(found).toMatchObject({ isDead: false });
    expect(await stores.servers.beat(living)).toBeDefined();
  });
});
