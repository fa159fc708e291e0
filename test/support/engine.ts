import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Db } from "mongodb";
import { inject } from "vitest";
import { connectDatabase, type Database } from "../../src/storage/database.ts";
import type { EngineName } from "../../src/storage/embedded/engines.ts";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions, silentLog } from "./embedded-options.ts";

/** What a test file needs to know of the engine that serves the whole test run. */
export interface TestEngine {
  readonly uri: string;
  readonly engine: EngineName;
  readonly maxPoolSize: number;
}

declare module "vitest" {
  export interface ProvidedContext {
    engine: TestEngine;
  }
}

export { silentLog } from "./embedded-options.ts";

/** Starts one engine on a directory of its own, which goes with it. */
export async function startTestEngine(): Promise<TestEngine & { stop(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "reins-test-"));
  const database = await startEmbeddedDatabase(embeddedOptions(dataDir));
  return {
    uri: database.uri,
    engine: database.engine,
    maxPoolSize: database.maxPoolSize,
    async stop() {
      await database.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export interface TestDatabase {
  readonly uri: string;
  readonly name: string;
  readonly db: Db;
  readonly database: Database;
  /** Drops the database, where that is safe, and closes the connections. */
  close(): Promise<void>;
}

/** An empty database of its own for a test file, on the run's engine. Close it in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const { uri, maxPoolSize, engine } = inject("engine");
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const database = await connectDatabase({ uri, maxPoolSize, databaseName: name, log: silentLog });
  return {
    uri,
    name,
    db: database.db,
    database,
    async close() {
      // Seen once on SecantusDB for Python: a drop, its look for expired documents and a query waited for each other for ever.
      // There the database goes with the engine's directory.
      if (engine !== "secantusd-py") await database.db.dropDatabase();
      await database.close();
    },
  };
}

/** What tells a server process to use the database. */
export const settingsOf = ({ uri, name }: TestDatabase): Readonly<Record<string, string>> => ({
  MONGODB_URI: uri,
  REINS_DATABASE: name,
  REINS_DATABASE_POOL: String(inject("engine").maxPoolSize),
});
