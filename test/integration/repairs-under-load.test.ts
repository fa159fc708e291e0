import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../../src/config.ts";
import type { Runs } from "../../src/create-runs.ts";
import { newId } from "../../src/domain/ids.ts";
import type { StoredThread } from "../../src/domain/ports.ts";
import type { Batch } from "../../src/domain/run/batch.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import type { Command } from "../../src/domain/thread/commands.ts";
import { entryOf, newControl } from "../../src/domain/thread/entry.ts";
import { reduce } from "../../src/domain/thread/lane.ts";
import { newRunDocument } from "../../src/storage/run-document.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { toThreadDocument } from "../../src/storage/thread-document.ts";
import { around, createBarrier } from "../support/barrier.ts";
import { hourMs } from "../support/clocks.ts";
import { createGates, type Gates, until } from "../support/gates.ts";
import { openStores } from "../support/stores.ts";
import { syntheticRecord } from "../support/synthetic-load.ts";
import { gatedSpec, openTurnServers, type TurnServers } from "../support/turn-servers.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";

/** What a crash has left is repaired where much else is going on, and also where much else cannot be repaired. */
describe("a repair", () => {
  const many = 1_000;
  const anHourAgo = Date.now() - hourMs;
  let servers: TurnServers;
  let stores: Stores;
  let gates: Gates;

  beforeAll(async () => {
    servers = await openTurnServers();
    stores = await openStores(servers.db);
    gates = createGates();
  });
  afterAll(async () => {
    gates.remove();
    await servers.close();
  });

  type Step = (server: string, run: string) => Command;
  const enters: Step = (server, run) => ({ kind: "enter", server, run, strategy: "enqueue" });
  const begins: Step = (server, run) => ({ kind: "enter", server, run, strategy: "enqueue", next: `token ${run}` });
  const ends: Step = (server, run) => {
    const state = { graph: "gated", next: [], interrupts: [] };
    return { kind: "settle", server, run, token: `token ${run}`, sequence: 1, result: "success", state };
  };

  const others: Step = () => enters("another", newId());
  const changes: Step = () => ({
    kind: "change",
    server: "another",
    metadata: { put: { changed: true }, remove: [] },
  });

  interface Left {
    readonly count?: number;
    /** What others have decided since. */
    readonly since?: readonly Step[];
    /** Stands behind all that is as old. */
    readonly isLast?: true;
  }

  /** A thread with a run that has come so far an hour ago, by what a server has decided. */
  function threadAfter(
    server: string,
    steps: readonly Step[],
    { since = [], isLast }: Left,
  ): { name: RunName; thread: StoredThread } {
    const threadId = isLast ? `ffffffff-ffff-4fff-bfff-${newId().slice(-12)}` : randomUUID();
    const name = { owner: "", threadId, runId: newId() };
    const born = newControl({ threadId, rev: newId(), metadata: {} }, anHourAgo);
    const control = [...steps, ...since].reduce((before, step) => {
      const at = since.includes(step) ? Date.now() : anHourAgo;
      const reduction = reduce(before, step(server, name.runId), at);
      if ("refusal" in reduction) throw new Error(reduction.refusal.message);
      return { ...reduction.control, rev: newId() };
    }, born);
    return { name, thread: { origin: { ...name, journal: newId(), createdAt: anHourAgo }, control } };
  }

  const recordOf = (name: RunName) =>
    syntheticRecord(0, {
      ...name,
      graph: "gated",
      made: newId(),
      createdAt: new Date(anHourAgo),
      spec: gatedSpec(gates.dir, [name.runId]),
    });

  async function store(server: string, steps: readonly Step[], left: Left = {}): Promise<RunName[]> {
    const all = Array.from({ length: left.count ?? 1 }, () => threadAfter(server, steps, left));
    const threads = servers.db.collection("threads");
    await threads.insertMany(all.map(({ thread }) => toThreadDocument(thread) as never));
    await servers.db.collection("runs").insertMany(all.map(({ name }) => newRunDocument(recordOf(name)) as never));
    return all.map(({ name }) => name);
  }

  async function serverOn(machine: string, seenAt: Date): Promise<string> {
    const id = newId();
    await stores.servers.join({ id, machine, pid: 1, started: "", children: [], freeSlots: 0 });
    await servers.db.collection("servers").updateOne({ _id: id as never }, { $set: { seen_at: seenAt } });
    return id;
  }
  const deadServer = () => serverOn("elsewhere", new Date(0));
  /** It is heard of for as long as the tests may take. */
  const livingServer = () => serverOn("elsewhere", new Date(Date.now() + hourMs));

  const entry = async (name: RunName) => entryOf((await stores.lanes.read(name))!.control, name.runId);
  const isTaken = async (name: RunName, from: string) => (await entry(name))?.lease?.server !== from;
  const isTold = async (name: RunName) => (await stores.runs.find(name))?.phase === "over";

  async function withServer(
    what: () => Promise<unknown>,
    decorate?: (own: Stores) => Stores,
    changes?: Partial<Config>,
  ): Promise<void> {
    const server: Runs = await servers.start(decorate, changes);
    await what();
    await server.close();
  }

  it("finishes a batch behind a hundred that cannot be finished", async () => {
    const made = Array.from({ length: 101 }, (_, n): Batch => {
      const name = { owner: "", threadId: randomUUID(), runId: newId() };
      const batchId = `batch ${n}`;
      const record: Run = { ...recordOf(name), stateless: { temporary: true, batch: batchId } };
      return {
        owner: "",
        batchId,
        hash: "",
        created: new Date(anHourAgo + n),
        done: false,
        runs: [name],
        records: [record],
      };
    });
    await Promise.all(made.toReversed().map(stores.batches.insertBatch));
    const [last] = made.at(-1)!.runs;
    const fail = (run: unknown) => {
      if ((run as Run).runId !== last!.runId) throw new Error("this one cannot be stored");
    };
    gates.open(last!.runId);
    const undone = () => servers.db.collection("requests").countDocuments({ done: false });
    await withServer(
      () => until(async () => (await undone()) === 100),
      (own) => ({ ...own, runs: around(own.runs, "insert", { before: fail }) }),
    );
    expect((await stores.batches.findBatch(made.at(-1)!))!.done).toBe(true);
    await servers.db.collection("requests").deleteMany({});
  });

  it("removes an expired thread behind a thousand that cannot be removed", async () => {
    const expires: Step = (server) => ({ kind: "change", server, ttlMs: 1 });
    const threads = Array.from({ length: many }, () => threadAfter("another", [expires], {}));
    threads.push(threadAfter("another", [expires], { isLast: true }));
    await servers.db.collection("threads").insertMany(threads.map(({ thread }) => toThreadDocument(thread) as never));
    const { name } = threads.pop()!;
    const kept = new Set(threads.map((one) => one.name.threadId));
    const fail = (thread: unknown) => {
      if (kept.has((thread as RunName).threadId)) throw new Error("this one cannot be removed");
    };
    await withServer(
      () => until(async () => (await stores.lanes.read(name)) === undefined),
      (own) => ({ ...own, lanes: around(own.lanes, "read", { before: fail }) }),
      { leaseMs: 900 },
    );
    const left = { _id: { $in: [...kept] as never[] } };
    expect(await servers.db.collection("threads").countDocuments({ ...left, rev: { $exists: true } })).toBe(many);
    await servers.db.collection("threads").deleteMany(left);
  });

  /** Runs that have been over for an hour, the last of them a moment less than the others, without their threads. */
  async function storeOver(count: number, changes: (isLast: boolean) => object, where = "runs"): Promise<RunName[]> {
    const names = Array.from({ length: count }, () => ({ owner: "", threadId: randomUUID(), runId: newId() }));
    const documents = names.map((name, n) => {
      const ended = { phase: "over", status: "success", changes: 2, ended_at: new Date(anHourAgo) };
      return { ...newRunDocument(recordOf(name)), ...ended, ...changes(n === count - 1) };
    });
    await servers.db.collection(where).insertMany(documents as never[]);
    return names;
  }

  it.each([
    ["records", "discard", "expire_at"],
    ["events", "remove", "events_expire_at"],
  ] as const)("removes %s that have expired behind a thousand that cannot be removed", async (_, method, field) => {
    const names = await storeOver(many + 1, (isLast) => ({ [field]: new Date(anHourAgo + Number(isLast)) }));
    const last = names.pop()!;
    const fail = (run: unknown) => {
      if ((run as RunName).runId !== last.runId) throw new Error("this one cannot be removed");
    };
    const its = { _id: last.runId as never, [field]: { $exists: true } };
    await withServer(
      () => until(async () => (await servers.db.collection("runs").countDocuments(its)) === 0),
      (own) => ({ ...own, events: around(own.events, method, { before: fail }) }),
      { leaseMs: 900 },
    );
    const left = { _id: { $in: names.map(({ runId }) => runId) as never[] }, [field]: { $exists: true } };
    expect(await servers.db.collection("runs").countDocuments(left)).toBe(many);
    await servers.db.collection("runs").deleteMany(left);
  });

  const untried = { tries: 0, due_at: null };
  const triedAgain = (at: number) => ({ tries: 1, due_at: new Date(at) });

  it.each([
    ["runs", "are to be called later", triedAgain(Date.now() + hourMs), untried],
    ["tombstones", "are to be called later", triedAgain(Date.now() + hourMs), untried],
    ["runs", "cannot be called", untried, untried],
    ["tombstones", "cannot be called again", triedAgain(anHourAgo), triedAgain(anHourAgo + 1)],
  ])("calls a lost webhook of %s behind a thousand that %s", async (where, _, before, lost) => {
    const receiver = await startWebhookReceiver();
    const names = await storeOver(
      many + 1,
      (isLast) => ({
        spec: { ...gatedSpec(gates.dir, []), webhook: receiver.url(isLast ? "/lost" : "/other") },
        webhook: { state: "pending", ...(isLast ? lost : before) },
        ended_at: new Date(anHourAgo + Number(isLast)),
        buried_at: new Date(),
      }),
      where,
    );
    const last = { _id: names.at(-1)!.runId as never };
    const fail = (run: unknown) => {
      if ((run as Run).runId !== last._id) throw new Error("this one cannot be called");
    };
    await withServer(
      () => until(async () => (await servers.db.collection(where).findOne(last))!.webhook.state === "done"),
      (own) => ({ ...own, webhooks: around(own.webhooks, "take", { before: fail }) }),
    );
    expect([receiver.calls("/lost").length, receiver.calls("/other").length]).toEqual([1, 0]);
    await servers.db.collection(where).deleteMany({ _id: { $in: names.map(({ runId }) => runId) as never[] } });
    await receiver.close();
  });

  it("takes over a dead server's run while other repairs take their time", async () => {
    const slow = createBarrier();
    await withServer(
      async () => {
        await slow.reached;
        const dead = await deadServer();
        const [run] = await store(dead, [begins]);
        await until(() => isTaken(run!, dead));
        slow.open();
      },
      (own) => ({ ...own, lanes: around(own.lanes, "owing", { before: () => slow.pass() }) }),
      { leaseMs: 900 },
    );
  });

  it("takes over a dead server's run among a thousand that a living one executes", async () => {
    const [living, dead] = [await livingServer(), await deadServer()];
    const before = await store(living, [begins], { count: many });
    const [run] = await store(dead, [begins]);
    const after = await store(living, [begins], { count: many });
    await withServer(() => until(() => isTaken(run!, dead)));
    for (const other of [before[0]!, after.at(-1)!]) expect(await isTaken(other, living)).toBe(false);
  });

  it("takes over a dead server's run on a thread that has changed since, and behind which another waits", async () => {
    const dead = await deadServer();
    const [run] = await store(dead, [begins], { since: [others, changes] });
    await withServer(async () => {
      await until(() => isTaken(run!, dead));
      // It goes on as the first.
      await gates.started(run!.runId);
      gates.open(run!.runId);
    });
  });

  it("tells an end behind a thousand that cannot be told", async () => {
    const living = await livingServer();
    const untold = new Set((await store(living, [begins, ends], { count: many })).map(({ threadId }) => threadId));
    const [run] = await store(living, [begins, ends], { isLast: true });
    const fail = (name: unknown) => {
      if (untold.has((name as RunName).threadId)) throw new Error("this one cannot be told");
    };
    await withServer(
      () => until(() => isTold(run!)),
      (own) => ({ ...own, runs: around(own.runs, "project", { before: fail }) }),
    );
    const left = { _id: { $in: [...untold] as never[] }, owes_since: { $type: "date" } } as const;
    expect(await servers.db.collection("threads").countDocuments(left)).toBe(many);
    await servers.db.collection("threads").deleteMany(left);
  });

  it("removes a record that no entry came for behind a thousand that wait for their turn", async () => {
    const living = await livingServer();
    const waiting = await store(living, [enters], { count: many });
    const name = { owner: "", threadId: waiting[0]!.threadId, runId: newId() };
    await stores.runs.insert(recordOf({ ...name, runId: newId() }));
    await stores.runs.insert(recordOf(name));
    await withServer(
      () => until(async () => (await stores.runs.find(name)) === undefined),
      // None of them is to be executed.
      (own) => ({ ...own, lanes: { ...own.lanes, ready: async () => [] } }),
    );
    expect(await stores.runs.findMany(waiting)).toHaveLength(many);
  });
});
