import { fileURLToPath } from "node:url";
import type { Db } from "mongodb";
import { inject } from "vitest";
import { type App, type AppOptions, startApp } from "../../src/app.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { createChildPool } from "../../src/worker/child-pool.ts";
import { silentLog, testDatabase } from "./engine.ts";
import { borrowChildren } from "./shared-children.ts";

/** A whole server in the test's process, with real children, on a database of its own. */
export interface TestApp {
  readonly app: App;
  readonly config: Config;
  /** gRPC over HTTP/2, as internal services use it. */
  readonly client: ReinsClient;
  /** To check claims against what is really stored. */
  readonly db: Db;
  /** Stops the server and starts another one on the same database; the client's address changes with it. */
  restart(): Promise<TestApp>;
  /** Starts another server on the same database, with a configuration of its own if one is given. */
  start(changes?: Partial<Config>): Promise<TestApp>;
  close(): Promise<void>;
}

export interface TestAppOptions {
  readonly config?: Partial<Config>;
  readonly decorate?: AppOptions["decorate"];
  /** Where the server logs to; nowhere by default. */
  readonly log?: AppOptions["log"];
  /** Who calls; all are the same by default. */
  readonly identify?: AppOptions["identify"];
  /** Children that start and end with the server, for tests that look at the processes themselves. */
  readonly ownChildren?: true;
}

export const testGraphs = fileURLToPath(new URL("../agents/langgraph.json", import.meta.url));
/** Those that the tests of assistants look at: one graph of each kind. */
export const assistantGraphs = fileURLToPath(new URL("../agents/assistants.json", import.meta.url));
/** Graphs with an auth file of the shape that LangGraph's documentation has. */
export const authGraphs = fileURLToPath(new URL("../agents/auth/documented.json", import.meta.url));
/** One of them alone, for servers that start often. */
export const gatedGraph = fileURLToPath(new URL("../agents/only-gated.json", import.meta.url));

/**
 * Times that are short enough for tests; the laws are about order, not about times. The lease is long, so that none lapses on a busy
 * machine: a test that waits for what happens once in a lease asks for a shorter one.
 */
export function testConfig(database: { uri: string; name: string }, changes: Partial<Config> = {}): Config {
  const env = { PATH: process.env.PATH, REINS_PORT: "0", REINS_LOG_LEVEL: "silent" };
  return {
    ...readConfig([], env, process.cwd()),
    mongodbUri: database.uri,
    databaseName: database.name,
    databasePoolSize: inject("engine").maxPoolSize,
    configFile: testGraphs,
    children: 1,
    pollMs: 250,
    leaseMs: 20_000,
    drainMs: 500,
    ...changes,
  };
}

const hasOwners = ({ accessFile, apiKeys }: Config, { identify }: TestAppOptions): boolean =>
  identify !== undefined || accessFile !== undefined || apiKeys;

export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = await testDatabase();
  const common = testConfig(database, options.config);

  async function start(changes: Partial<Config> = {}): Promise<TestApp> {
    const config = { ...common, ...changes };
    const app = await startApp(config, {
      log: options.log ?? silentLog,
      progress: () => {},
      decorate: options.decorate,
      identify: options.identify,
      // What one owner has used is of no use for the next test.
      createHost: options.ownChildren || hasOwners(config, options) ? createChildPool : borrowChildren,
    });
    return {
      app,
      config,
      client: createReinsClient({ baseUrl: app.url }),
      db: database.db,
      start,
      async restart() {
        await app.stop();
        return start(changes);
      },
      async close() {
        await app.stop();
        await database.close();
      },
    };
  }
  return start();
}
