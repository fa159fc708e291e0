import { setMaxListeners } from "node:events";
import type { Db } from "mongodb";
import type { Config } from "../../src/config.ts";
import { createRuns, type Runs } from "../../src/create-runs.ts";
import { newId } from "../../src/domain/ids.ts";
import type { Run, RunSpec } from "../../src/domain/run/run.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { readLanggraphJson } from "../../src/worker/langgraph-json.ts";
import { silentLog, testDatabase } from "./engine.ts";
import { createMortalServer, type MortalServer } from "./mortal-server.ts";
import { borrowChildren } from "./shared-children.ts";
import { openParts, openStores } from "./stores.ts";
import { gatedGraph, testConfig } from "./test-app.ts";

/** Servers without their network, on one database and with the same children, which execute the graph "gated". */
export interface TurnServers {
  readonly db: Db;
  /** Looks after one thread only, and can fall asleep at any of its writes. */
  sleeper(threadId: string): Promise<MortalServer>;
  /** A server as they are; its first sweep is under way. */
  start(decorate?: (stores: Stores) => Stores, changes?: Partial<Config>): Promise<Runs>;
  close(): Promise<void>;
}

export async function openTurnServers(): Promise<TurnServers> {
  setMaxListeners(0);
  const database = await testDatabase();
  const { db } = database;
  // No lease ends, and nothing is swept but at a server's start, unless a test says so.
  const config = testConfig(database, { leaseMs: 1_200_000 });
  const host = borrowChildren({
    entry: new URL("../../src/worker/child/main.ts", import.meta.url),
    graphs: readLanggraphJson(gatedGraph).graphs,
    children: 1,
    slotsPerChild: 64,
    env: { ...config.childEnv },
    cwd: process.cwd(),
    log: silentLog,
    graceMs: config.graceMs,
    leaseMs: config.leaseMs,
    blockedLimitMs: 0,
  });
  const [reports] = await Promise.all([host.start(), openStores(db)]);
  const closing: (() => Promise<void>)[] = [];
  return {
    db,
    async sleeper(threadId) {
      const server = await createMortalServer({ db, config, host, reports, threadId });
      closing.push(() => server.close());
      return server;
    },
    async start(decorate = (stores) => stores, changes = {}) {
      // Each has the children to itself, as far as it can tell; what it tells their watchdogs would be another server's word.
      const ownHost = Object.create(host, { renewed: { value: () => undefined }, pids: { value: [] } }) as typeof host;
      const parts = await openParts(db, config.leaseMs);
      const runs = await createRuns({
        ...parts,
        stores: decorate(parts.stores),
        host: ownHost,
        graphs: [],
        reports,
        config: { ...config, ...changes },
        log: silentLog,
        isTransient: () => false,
        pause: () => Promise.resolve(),
      });
      closing.push(() => runs.close());
      return runs;
    },
    async close() {
      await Promise.all(closing.map((close) => close()));
      await host.stop();
      await database.close();
    },
  };
}

/** A run of the graph "gated" through these steps. */
export const gatedSpec = (dir: string, steps: readonly string[], more: Partial<RunSpec> = {}): RunSpec => ({
  assistantId: "gated",
  input: JSON.stringify({ dir, steps }),
  metadata: {},
  streamModes: ["values" as const],
  streamSubgraphs: false,
  interruptBefore: [],
  interruptAfter: [],
  multitaskStrategy: "enqueue" as const,
  durability: "sync" as const,
  onCompletion: "delete" as const,
  ...more,
});

/** Executes a run to its end. */
export async function runToEnd(runs: Runs, threadId: string, spec: RunSpec, runId = newId()): Promise<Run> {
  const name = { owner: "", threadId, runId };
  await runs.createRun({ ...name, isChosenId: true, spec, createThread: false });
  return (await runs.outcomes.wait(name, AbortSignal.timeout(30_000)))!;
}
