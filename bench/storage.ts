import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import type { Lanes, ThreadFilter, ThreadOrder } from "../src/domain/ports.ts";
import type { Run } from "../src/domain/run/run.ts";
import type { Command } from "../src/domain/thread/commands.ts";
import { createDecide } from "../src/domain/thread/decide.ts";
import type { ThreadName } from "../src/domain/thread.ts";
import { startEmbeddedDatabase } from "../src/storage/embedded/start-embedded-database.ts";
import { JournalCollection } from "../src/storage/journal.ts";
import { JournalQueries } from "../src/storage/journal-queries.ts";
import { toRun } from "../src/storage/run-document.ts";
import type { Stores } from "../src/storage/stores.ts";
import { embeddedOptions } from "../test/support/embedded-options.ts";
import { openStores } from "../test/support/stores.ts";
import {
  checkpointId,
  journalOf,
  type Load,
  loadCheckpoints,
  loadRuns,
  runId,
  servers,
  syntheticRecord,
  syntheticRun,
  syntheticThread,
  threadId,
} from "../test/support/synthetic-load.ts";

/** What the stores take at different sizes of the database. See README.md beside this file. */
const sizes = [1_000, 10_000, 100_000] as const;
const owner = "";
const page = { limit: 21 };
const liveRuns = 400;

interface Bench {
  readonly stores: Stores;
  readonly checkpoints: JournalQueries;
  readonly load: Load;
  readonly now: number;
  /** An old run; another one each time. */
  readonly anOld: () => Run;
  readonly aThread: () => ThreadName;
  /** The number of a thread that has a journal. */
  readonly aJournal: () => number;
}

type Operation = readonly [name: string, run: (bench: Bench) => Promise<unknown>];

/** Where the fiftieth page of twenty begins. */
const fiftieth = ({ load, now }: Bench) => ({ limit: 21, after: toRun(syntheticRun(load.runs - 1_000, load, now)) });
const halfway = ({ load, now }: Bench) => ({ limit: 21, after: toRun(syntheticRun(load.runs / 2, load, now)) });

const newestFirst: ThreadOrder = { by: "created_at", descending: true };
const lastChanged: ThreadOrder = { by: "updated_at", descending: true };

const oldestFirst: ThreadOrder = { by: "created_at", descending: false };
const leastChanged: ThreadOrder = { by: "updated_at", descending: false };
const byId: ThreadOrder = { by: "thread_id", descending: false };
const byStatus: ThreadOrder = { by: "status", descending: false };

const search = (filter: Omit<ThreadFilter, "owner">, order: ThreadOrder, isDeep = false): Operation[1] => {
  return ({ stores, load, now }) => {
    const middle = load.threads / 2;
    const sortedBy = syntheticThread(middle, load, now)[order.by];
    const after = [sortedBy instanceof Date ? sortedBy.getTime() : sortedBy, threadId(middle)] as const;
    return stores.threads.search({ owner, ...filter }, order, isDeep ? { ...page, after } : page);
  };
};

async function take(count: number, from: AsyncIterable<unknown>): Promise<void> {
  let taken = 0;
  for await (const _ of from) if (++taken === count) return;
}

const operations: readonly Operation[] = [
  [
    "CreateRun: insert a run, decide about its thread",
    async ({ stores, aThread }) => {
      const name = { ...aThread(), runId: randomUUID() };
      await stores.runs.insert(syntheticRecord(0, name));
      await decide(stores.lanes, name, { kind: "enter", server: me, run: name.runId, strategy: "enqueue" });
    },
  ],
  ["GetRun", ({ stores, anOld }) => stores.runs.find(anOld())],
  ["ListRuns, first page", ({ stores }) => stores.runs.list({ owner }, page)],
  ["ListRuns, page 50", (bench) => bench.stores.runs.list({ owner }, fiftieth(bench))],
  ["ListRuns, of a thread", ({ stores, aThread }) => stores.runs.list(aThread(), page)],
  ["ListRuns, SUCCESS", ({ stores }) => stores.runs.list({ owner, statuses: ["success"] }, page)],
  ["ListRuns, TIMEOUT", ({ stores }) => stores.runs.list({ owner, statuses: ["timeout"] }, page)],
  [
    "ListRuns, one run in 50 by metadata",
    ({ stores }) => stores.runs.list({ owner, metadata: { user: "user-7" } }, page),
  ],
  ["ListRuns, half of all, by metadata", ({ stores }) => stores.runs.list({ owner, metadata: { app: "chat" } }, page)],
  [
    "ListRuns, half of all, in the middle",
    (bench) => bench.stores.runs.list({ owner, metadata: { app: "chat" } }, halfway(bench)),
  ],
  ["ListRuns, no run by metadata", ({ stores }) => stores.runs.list({ owner, metadata: { app: "none" } }, page)],
  ["SearchThreads, first page", search({}, newestFirst)],
  ["SearchThreads, in the middle", search({}, newestFirst, true)],
  ["SearchThreads, IDLE", search({ statuses: ["idle"] }, newestFirst)],
  ["SearchThreads, ERROR or INTERRUPTED", search({ statuses: ["error", "interrupted"] }, newestFirst)],
  ["SearchThreads, one in 50 by metadata", search({ metadata: { user: "user-7" } }, newestFirst)],
  ["SearchThreads, half of all by metadata", search({ metadata: { app: "chat" } }, newestFirst)],
  ["SearchThreads, half of all, middle", search({ metadata: { app: "chat" } }, newestFirst, true)],
  ["SearchThreads, all by values", search({ values: { answer: "nothing" } }, newestFirst)],
  ["SearchThreads, last changed", search({}, lastChanged)],
  ["SearchThreads, last changed, IDLE, middle", search({ statuses: ["idle"] }, lastChanged, true)],
  ["SearchThreads, oldest first", search({}, oldestFirst)],
  ["SearchThreads, oldest first, middle", search({}, oldestFirst, true)],
  ["SearchThreads, oldest first, half by metadata", search({ metadata: { app: "chat" } }, oldestFirst)],
  ["SearchThreads, first changed", search({}, leastChanged)],
  ["SearchThreads, in order of ids", search({}, byId)],
  ["SearchThreads, in order of ids, ERROR, middle", search({ statuses: ["error"] }, byId, true)],
  ["SearchThreads, in order of status", search({}, byStatus)],
  ["SearchThreads, in order of status, middle", search({}, byStatus, true)],
  ["SearchThreads, last changed, metadata", search({ metadata: { user: "user-7" } }, lastChanged)],
  ["SearchThreads, last changed, half by metadata", search({ metadata: { app: "chat" } }, lastChanged)],
  ["CountThreads, all", ({ stores }) => stores.threads.count({ owner })],
  ["CountThreads, ERROR", ({ stores }) => stores.threads.count({ owner, statuses: ["error"] })],
  [
    "CountThreads, one in 50 by metadata",
    ({ stores }) => stores.threads.count({ owner, metadata: { user: "user-7" } }),
  ],
  [
    "GetThreadState: the newest checkpoint",
    ({ checkpoints, aJournal }) => checkpoints.newest(journalOf(aJournal()), ""),
  ],
  [
    "ListThreadHistory, ten",
    ({ checkpoints, aJournal }) => take(10, checkpoints.history(journalOf(aJournal()), { namespace: "" })),
  ],
  [
    "GetThreadState at a checkpoint",
    ({ checkpoints, aJournal }) => {
      const n = aJournal();
      return checkpoints.checkpoint(journalOf(n), checkpointId(n, 50));
    },
  ],
  [
    "CancelRuns by metadata: what it will cancel",
    ({ stores }) => stores.runs.live({ owner, status: "all", metadata: { user: "user-7" } }, 1_000),
  ],
  ["live runs", ({ stores }) => stores.runs.live({ owner, status: "all" }, 1_000)],
  ["live runs of a thread", ({ stores, aThread }) => stores.runs.live({ ...aThread(), status: "all" }, 1_000)],
  ["last started run of a thread", ({ stores, aThread }) => stores.runs.lastStarted(aThread())],
  ["the scheduler's look: ready", ({ stores }) => stores.lanes.ready({ limit: 32 })],
  ["heartbeat: what is executed or held here", ({ stores }) => stores.lanes.headedBy(servers[0], { limit: 200 })],
  ["delays that have ended", ({ stores, now }) => stores.lanes.due(now, { limit: 100 })],
  ["poll: 32 waited for", ({ stores, load }) => stores.runs.findMany(newest(load, 32))],
  ["take-over: what a server owes", ({ stores }) => stores.lanes.owingBy(servers[0], { limit: 100 })],
  ["sweep: what is owed", ({ stores, now }) => stores.lanes.owing(now, { limit: 100 })],
  ["sweep: deletions", ({ stores, now }) => stores.lanes.removing(now, { limit: 100 })],
  ["sweep: records without an entry", ({ stores, now }) => stores.runs.unentered(new Date(now), 100)],
  ["retention: events, records, threads", ({ stores, now }) => retention(stores, new Date(now))],
];

const newest = ({ runs, threads }: Load, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    owner,
    threadId: threadId((runs - 1 - i) % threads),
    runId: runId(runs - 1 - i),
  }));

const aHundred = { limit: 100 };
const retention = ({ runs, lanes }: Stores, now: Date) =>
  Promise.all([runs.eventsDue(now, aHundred), runs.recordsDue(now, aHundred), lanes.expired(now.getTime(), aHundred)]);

const me = "bench";

/** One decision, by the lanes that it is given. */
function decide(lanes: Lanes, name: ThreadName, command: Command) {
  const incarnation = { id: me, ended: new AbortController().signal };
  return createDecide({
    lanes,
    self: () => incarnation,
    now: Date.now,
    newRev: randomUUID,
    random: Math.random,
    sleep: (ms) => sleep(ms),
    isTransient: () => false,
    pause: () => sleep(1),
  })(name, command);
}

interface Measured {
  readonly p50: number;
  readonly p99: number;
}

/** For a second and a half at most, and at least five times. */
async function measure(what: () => Promise<unknown>): Promise<Measured> {
  await what();
  const times: number[] = [];
  for (
    const start = performance.now();
    times.length < 5 || (times.length < 100 && performance.now() - start < 1_500);
  ) {
    const began = performance.now();
    await what();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length / 2)]!, p99: times[Math.ceil(times.length * 0.99) - 1]! };
}

const dataDir = await mkdtemp(join(tmpdir(), "reins-bench-"));
const engine = await startEmbeddedDatabase(embeddedOptions(dataDir));
const client = new MongoClient(engine.uri, {
  maxPoolSize: engine.maxPoolSize,
  writeConcern: { w: "majority", journal: true },
});
const results = new Map<string, Measured[]>();
try {
  const { version } = await client.db("admin").command({ buildInfo: 1 });
  const [cpu] = cpus();
  console.log(`${cpus().length} × ${cpu?.model}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, Node ${process.version}`);
  console.log(`${engine.engine}, which answers as MongoDB ${version}; ${engine.maxPoolSize} connections\n`);
  for (const runs of sizes) {
    const load: Load = { runs, threads: runs / 10, liveRuns, journals: runs / 100 };
    const [db, now] = [client.db(`bench_${runs}`), Date.now()];
    const stores = await openStores(db);
    const { runs: loaded } = await loadRuns(db, load, now);
    const slots = await loadCheckpoints(db, load, 60_000);
    const seconds = ((loaded!.ms + slots.ms) / 1000).toFixed(1);
    console.log(`loaded ${loaded!.count} runs and ${2 * slots.count} checkpoints in ${seconds} s`);
    let turn = 0;
    const next = () => {
      turn += 7919;
      return turn % (runs - liveRuns);
    };
    const bench: Bench = {
      stores,
      checkpoints: new JournalQueries(new JournalCollection(db)),
      load,
      now,
      anOld: () => toRun(syntheticRun(next(), load, now)),
      aJournal: () => next() % load.journals,
      aThread: () => ({ owner, threadId: threadId(next() % load.threads) }),
    };
    for (const [name, run] of operations) {
      results.set(name, [...(results.get(name) ?? []), await measure(() => run(bench))]);
    }
    await db.dropDatabase();
  }
} finally {
  await client.close();
  await engine.stop();
  await rm(dataDir, { recursive: true, force: true });
}

const cell = (text: string) => text.padStart(18);
console.log(
  `\nmilliseconds (p50 / p99)${" ".repeat(26)}${sizes.map((size) => cell(`${size} runs`)).join("")}${cell("flat")}`,
);
for (const [name, measured] of results) {
  const cells = measured.map(({ p50, p99 }) => cell(`${p50.toFixed(1)} / ${p99.toFixed(1)}`));
  const flat = measured.at(-1)!.p50 / measured[0]!.p50;
  console.log(`${name.padEnd(50)}${cells.join("")}${cell(`${flat.toFixed(1)} ×`)}`);
}
