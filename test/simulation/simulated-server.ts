import type { Db } from "mongodb";
import type { Logger } from "pino";
import { openAccess } from "../../src/access/access.ts";
import { createJournal } from "../../src/checkpoints/journal.ts";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { createRuns, type Runs } from "../../src/create-runs.ts";
import { LifeIsOver } from "../../src/domain/thread/decide.ts";
import { isDatabaseUnavailable } from "../../src/storage/database.ts";
import { openStores } from "../../src/storage/stores.ts";
import { type Api, createApi } from "../../src/wiring/api.ts";
import type { Machine } from "../../src/wiring/this-machine.ts";
import { createLeaseClock } from "../../src/worker/lease-clock.ts";
import type { SimulatedHost } from "./children/simulated-host.ts";
import type { SimulatedProcess } from "./time/simulated-process.ts";
import type { Timeline } from "./time/timeline.ts";

export interface ServerParts {
  readonly timeline: Timeline;
  readonly process: SimulatedProcess;
  readonly db: Db;
  readonly isWatchable: boolean;
  readonly host: SimulatedHost;
  readonly machine: Machine;
  readonly config: Config;
  /** Something that no server should ever have to log. */
  readonly failed: (what: string, error: unknown) => void;
}

/** One life of a server's process: the whole of it but its sockets. */
export interface SimulatedServer {
  readonly process: SimulatedProcess;
  readonly host: SimulatedHost;
  /** There once it has begun. */
  readonly api: () => Api | undefined;
  readonly runs: () => Runs | undefined;
  /** Its callers hear of its death. */
  onDeath(heard: () => void): void;
  die(): void;
  /** Hands back what it executes and ends in order. */
  drain(): Promise<void>;
}

/** Times that let a schedule be played in a few thousand events; their proportions are those of a real server. */
export function simulatedConfig(leaseMs: number): Config {
  return {
    ...readConfig([], {}, "/"),
    leaseMs,
    graceMs: 300,
    pollMs: 1_000,
    children: 2,
    slotsPerChild: 2,
    drainMs: 500,
    eventsTtlMs: 0,
    runTtlMs: 0,
  };
}

const graph = { name: "graph", file: "/graph.ts", exportName: "graph", isolation: "shared" } as const;
const report = { name: "graph", nodes: ["node"], subgraphs: [] } as never;

const isTransient = (error: unknown): boolean => isDatabaseUnavailable(error) || error instanceof LifeIsOver;

/** Starts a server in its process: everything that it does from then on is its own. */
export function startServer(parts: ServerParts): SimulatedServer {
  const { timeline, process, db, host, config } = parts;
  let runs: Runs | undefined;
  let api: Api | undefined;
  const shutdown = new AbortController();
  const pause = (signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, 50);
      signal?.addEventListener("abort", () => [clearTimeout(timer), resolve()], { once: true });
      if (signal?.aborted) resolve();
    });
  const log = logInto(parts.failed);
  const callers: (() => void)[] = [];

  async function begin(): Promise<void> {
    const clock = createLeaseClock(config.leaseMs);
    const stores = await openStores(db, clock, parts.isWatchable ? { changeStreamDb: db } : {});
    const journal = createJournal(db, clock.now);
    runs = await createRuns({
      stores,
      journal,
      clock,
      host,
      config,
      graphs: [graph],
      reports: [report],
      isTransient,
      pause,
      machine: parts.machine,
      log,
    });
    const { signal: shutdownSignal } = shutdown;
    api = createApi({
      config,
      stores,
      runs,
      guards: openAccess,
      shutdownSignal,
      isTransient,
      pause: () => pause(),
      log,
    });
  }

  timeline.current.run(process, () => {
    begin().catch((error) => parts.failed("a server could not start", error));
  });

  return {
    process,
    host,
    api: () => api,
    runs: () => runs,
    onDeath: (heard) => void callers.push(heard),
    die() {
      process.die();
      host.serverDied();
      for (const heard of callers) heard();
    },
    async drain() {
      api = undefined;
      await runs?.drain(config.drainMs);
      shutdown.abort();
      await runs?.close();
      await host.stop();
    },
  };
}

/** What is only told is of no interest; errors that do not pass are. */
function logInto(failed: ServerParts["failed"]): Logger {
  const nothing = () => undefined;
  const error = (facts: { err?: unknown }, text: string) => {
    if (!isTransient(facts.err) && !isExpected(facts.err)) failed(text, facts.err);
  };
  return { debug: nothing, info: nothing, warn: nothing, error } as unknown as Logger;
}

/** What was lost to another server's take-over ends like that. */
const isExpected = (error: unknown): boolean =>
  error instanceof FencedError ||
  (error instanceof Error && /^the hold .* was taken over by another server$/.test(error.message));
