import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { readConfig } from "../src/config.ts";
import { collections } from "../src/storage/collections.ts";
import { type Load, syntheticRun } from "../test/support/synthetic-load.ts";
import { median, percentile } from "./peers/samples.ts";
import { type Cluster, sample, startCluster, startRunAt } from "./servers/cluster.ts";

/** What lists of many runs do to the cancels, and to the lease, of the server that answers them. See README.md beside this file. */
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100000" },
    clients: { type: "string", default: "16" },
    cancels: { type: "string", default: "40" },
    lease: { type: "string", default: "3000" },
  },
});
const leaseMs = Number(values.lease);
const cluster = await startCluster(1, leaseMs);
const client = new MongoClient(cluster.uri, { maxPoolSize: 1 });
const db = client.db(readConfig([], {}, "/").databaseName);
try {
  await store(Number(values.runs));
  const quiet = await measure(cluster);
  const listing = new AbortController();
  const lists: number[] = [];
  const listers = Array.from({ length: Number(values.clients) }, () => list(listing.signal, lists));
  const listed = await measure(cluster);
  listing.abort();
  await Promise.all(listers);
  const row = (what: string, one: (from: Figures) => number) =>
    `| ${what} | ${one(quiet).toFixed(0)} | ${one(listed).toFixed(0)} |`;
  console.log(
    [
      `${values.runs} runs; ${values.clients} clients list them all the time, ${lists.length} pages, p50 ${median(lists).toFixed(0)} ms`,
      "",
      "| ms | without lists | beside lists |",
      "|---|---|---|",
      row("a cancel until its run is over, p50", ({ cancels }) => median(cancels)),
      row("… p99", ({ cancels }) => percentile(cancels, 0.99)),
      row(`a renewal later than its turn (lease of ${leaseMs} ms), p50`, ({ late }) => median(late)),
      row("… most", ({ late }) => Math.max(...late)),
    ].join("\n"),
  );
} finally {
  await client.close();
  await cluster.close();
}

/** Runs that ended long ago. */
async function store(count: number): Promise<void> {
  const load: Load = { runs: count, threads: count / 10, liveRuns: 0, journals: count / 100 };
  const { runs } = collections(db);
  const now = Date.now();
  for (let n = 0; n < count; n += 1_000) {
    await runs.insertMany(Array.from({ length: 1_000 }, (_, i) => syntheticRun(n + i, load, now)));
  }
}

async function list(signal: AbortSignal, times: number[]): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    await cluster.servers[0]!.client.runs.listRuns({ pageSize: 20 });
    times.push(performance.now() - began);
  }
}

interface Figures {
  readonly cancels: readonly number[];
  /** How much later than a third of a lease after the one before it each renewal came. */
  readonly late: readonly number[];
}

async function measure({ servers: [server] }: Cluster): Promise<Figures> {
  const cancels: number[] = [];
  const done = new AbortController();
  const renewals = watchRenewals(done.signal);
  await sample(Number(values.cancels), 4, async () => {
    const run = await startRunAt(server!, { events: 10_000, everyMs: 20 });
    const began = performance.now();
    await server!.client.runs.cancelRun({ ...run, wait: true });
    cancels.push(performance.now() - began);
  });
  done.abort();
  return { cancels, late: await renewals };
}

/** By the database's clock, as the server's document says. */
async function watchRenewals(signal: AbortSignal): Promise<number[]> {
  const late: number[] = [];
  let last: number | undefined;
  while (!signal.aborted || late.length < 3) {
    const { seen_at } = (await collections(db).servers.findOne({}))!;
    const at = seen_at.getTime();
    if (last !== undefined && at !== last) late.push(at - last - leaseMs / 3);
    last = at;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return late;
}
