import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { JournalCollection } from "../../src/storage/journal.ts";
import { copySlots, dropSlots, keepSlots } from "../../src/storage/journal-copies.ts";
import { slotOutlines, thinSlot } from "../../src/storage/journal-outlines.ts";
import { JournalQueries } from "../../src/storage/journal-queries.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { capture, explain, explainWhole } from "../support/captured-queries.ts";
import { startTestEngine } from "../support/engine.ts";
import { storageCalls } from "../support/storage-calls.ts";
import { openStores } from "../support/stores.ts";
import { type Load, loadCheckpoints, loadRuns } from "../support/synthetic-load.ts";

/**
 * Every query of the storage is found by an index, and what its filter names is little; of a list an index has the order, so that MongoDB
 * reads no more than a page. Each method of each store stands in storage-calls.ts with what it is called with; one that is missing there
 * fails the test.
 *
 * Two loads: the engine explains the queries at a small one, since an explanation costs it a reading of the collection; and at
 * forty thousand runs each is timed against a reading of all runs, since an explanation is not what the engine does.
 *
 * On an engine of its own: after any change of collections or indexes, of other databases too, the first query makes SecantusDB's
 * Rust server read a collection that has an index on an array, once for each such index.
 */
const { engine } = inject("engine");
const small: Load = { runs: 2_000, threads: 500, liveRuns: 100, journals: 20 };
const large: Load = { runs: 40_000, threads: 10_000, liveRuns: 400, journals: 5_000 };
const checkpointsLimitMs = 20_000;
/** Documents or keys that a query may look at: a hundred runs are live, and a journal of this load has a hundred slots. */
const most = 250;
/** A query that reads all of a collection, or sorts it, takes as long as this or much longer. */
const shareOfFullScan = 1 / 3;

/** What reads or removes what runs were given and is too large for their records: nothing that lists, polls or projects them. */
const handlesSpecs = [
  "deleteUnentered",
  "putAgain",
  "withGiven",
  "remove",
  "removeAll",
  "removeRecord",
  "sweepSpecs",
].map((method) => `runs.${method}`);

let own: ReturnType<typeof startTestEngine>;
beforeAll(async () => {
  own = startTestEngine();
  await own;
});
afterAll(async () => (await own).stop());

/** A database with this load; open from before the first test of the block to after the last one. */
function loadedDatabase(name: string, load: Load) {
  const now = Date.now();
  let stores: Stores;
  let all: Record<string, object>;
  let client: MongoClient;

  beforeAll(async () => {
    const { uri, maxPoolSize } = await own;
    client = new MongoClient(uri, { monitorCommands: true, maxPoolSize });
    const db = client.db(name);
    stores = await openStores(db, { eventsTtlMs: 3_600_000, runTtlMs: 30 * 24 * 3_600_000 });
    const journals = new JournalCollection(db);
    all = { ...stores, journals, queries: new JournalQueries(journals), wholeJournals: wholeJournals(journals) };
    const [others, checkpoints] = await Promise.all([
      loadRuns(db, load, now),
      loadCheckpoints(db, load, checkpointsLimitMs),
    ]);
    const loaded = { ...others, checkpoints };
    for (const [collection, { count, ms }] of Object.entries(loaded)) {
      process.stdout.write(`loaded ${count} ${collection} in ${(ms / 1000).toFixed(1)} s\n`);
    }
  }, 600_000);
  // The database goes with its engine: dropping it takes the Python one minutes.
  afterAll(() => client.close());

  const calls = storageCalls(load, now, () => stores);
  return {
    calls,
    rows: Object.entries(calls).flatMap(([store, rows]) =>
      rows.map(([method, args, which, cost]) => ({
        name: `${store}.${method}${which ? ` (${which})` : ""}`,
        store,
        method,
        args,
        cost,
      })),
    ),
    get client() {
      return client;
    },
    get db() {
      return client.db(name);
    },
    get all() {
      return all;
    },
    /** Calls it, and takes the first of what it iterates over. */
    async call(store: string, method: string, args: unknown[]): Promise<void> {
      const methods = all[store] as Record<string, (...args: unknown[]) => unknown>;
      const result = await methods[method]!(...args);
      if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
        for await (const _ of result as AsyncIterable<unknown>) break;
      }
    },
  };
}

/** What copies, prunes and deletes journals. */
const wholeJournals = (journals: JournalCollection) => ({
  copySlots: copySlots.bind(undefined, journals),
  keepSlots: keepSlots.bind(undefined, journals),
  dropSlots: dropSlots.bind(undefined, journals),
  slotOutlines: slotOutlines.bind(undefined, journals),
  thinSlot: thinSlot.bind(undefined, journals),
});

/** The names of all that can be called on a store, made by a factory or of a class. */
function methodsOf(store: object): string[] {
  const prototype = Object.getPrototypeOf(store);
  const inherited = prototype === Object.prototype ? [] : Object.getOwnPropertyNames(prototype);
  return [...Object.keys(store), ...inherited].filter(
    (name) => name !== "constructor" && typeof (store as Record<string, unknown>)[name] === "function",
  );
}

/** The fastest of so many times, or the first that is fast enough. */
async function fastest(times: number, what: () => Promise<unknown>, enoughMs = 0): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times && best > enoughMs; i++) {
    const start = performance.now();
    await what();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

describe("by the engine's explanation", () => {
  const database = loadedDatabase("small", small);

  it("all stores, and every method of each, are called", () => {
    const { calls, all } = database;
    expect(Object.keys(calls).sort()).toEqual(Object.keys(all).sort());
    for (const [store, rows] of Object.entries(calls)) {
      const called = [...new Set(rows.map(([method]) => method))];
      expect([store, ...called.sort()]).toEqual([store, ...methodsOf(all[store]!).sort()]);
    }
  });

  it("a query without an index reads everything", async () => {
    const plan = await explain(database.db, { command: "find", collection: "runs", filter: { graph: "none" } });
    expect(plan.stages).toContain("COLLSCAN");
    expect(plan.examined).toBeGreaterThanOrEqual(small.runs);
  });

  it.each(database.rows)("$name goes by an index and looks at little", async ({ name, store, method, args, cost }) => {
    const made = await args();
    for (const query of await capture(database.client, () => database.call(store, method, made))) {
      const plan = await (cost === "walk" ? explainWhole : explain)(database.db, query);
      if (query.collection === "run_specs") expect(handlesSpecs).toContain(`${store}.${method}`);
      const numbers = `${plan.examined} examined, ${plan.returned} named`;
      process.stdout.write(`${name}: ${query.command} ${query.collection}: ${plan.stages}, ${numbers}\n`);
      // Servers are a handful, all of which are wanted; and this engine's explanation leaves out what it does with a second field.
      if (query.collection === "servers" || engine === "secantusd-py") continue;
      expect(plan.stages, JSON.stringify(query.filter)).toMatch(/IXSCAN|IDHACK|EXPRESS/);
      expect(plan.stages, JSON.stringify(query.filter)).not.toContain("COLLSCAN");
      if (cost === "walk") expect(plan.stages, JSON.stringify(query.filter)).not.toMatch(/SORT(?!_MERGE)/);
      expect(plan.examined, JSON.stringify(query.filter)).toBeLessThanOrEqual(
        cost === "linear" ? Math.max(most, plan.returned) : most,
      );
    }
  });
});

// The Python engine would take longer to load so much than the whole test run takes.
describe.skipIf(engine === "secantusd-py")("at forty thousand runs", () => {
  const database = loadedDatabase("large", large);
  let limitMs: number;

  beforeAll(async () => {
    const fullScanMs = await fastest(3, () => database.db.collection("runs").findOne({ graph: "none" }));
    limitMs = fullScanMs * shareOfFullScan;
    const checkpointsMs = await fastest(1, () => database.db.collection("checkpoints").findOne({ journal: "none" }));
    process.stdout.write(`the first query of the checkpoints takes ${checkpointsMs.toFixed(0)} ms\n`);
    process.stdout.write(`reading all runs takes ${fullScanMs.toFixed(0)} ms\n`);
  }, 120_000);

  it.each(database.rows.filter(({ cost }) => cost === undefined))(
    "$name is far from reading everything",
    async ({ name, store, method, args }) => {
      const made = await args();
      // The changes that it makes are made once; what they look for is looked for again.
      for (const query of await capture(database.client, () => database.call(store, method, made))) {
        const find = () => database.db.collection(query.collection).findOne(query.filter);
        // On a busy machine one of so many is undisturbed; what reads everything is never fast enough.
        const takes = await fastest(50, find, limitMs);
        process.stdout.write(`${name}: ${query.command} ${query.collection}: ${takes.toFixed(1)} ms\n`);
        expect(takes, JSON.stringify(query.filter)).toBeLessThanOrEqual(limitMs);
      }
    },
  );
});
