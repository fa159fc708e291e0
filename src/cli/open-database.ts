import type { Config } from "../config.ts";
import { createLog } from "../log.ts";
import { connectDatabase, ensureSchemaVersion } from "../storage/database.ts";
import { findRunningEngine } from "../storage/embedded/running-engine.ts";
import { startEmbeddedDatabase } from "../storage/embedded/start-embedded-database.ts";
import { openStores, type Stores } from "../storage/stores.ts";

/**
 * Works on the database that a server with these settings would have: the one that MONGODB_URI names, or the embedded one, whether a server runs on it or
 * not. What was started for it is ended again.
 */
export async function withStores<T>(config: Config, work: (stores: Stores) => Promise<T>): Promise<T> {
  // What a command prints is for its caller, and may be read by a program.
  const log = await createLog("silent", "json");
  await using started = new AsyncDisposableStack();
  const uri = config.mongodbUri ?? (await findRunningEngine(config.embedded.dataDir)) ?? (await startEngine());
  const database = await connectDatabase({ uri, maxPoolSize: 2, databaseName: config.databaseName, log });
  started.defer(() => database.close());
  await ensureSchemaVersion(database.db);
  const { auditTtlMs } = config;
  return await work(await openStores(database.db, { now: () => new Date(), auditTtlMs }));

  async function startEngine(): Promise<string> {
    const progress = (sentence: string) => console.error(sentence);
    const embedded = await startEmbeddedDatabase({ ...config.embedded, progress, log });
    started.defer(() => embedded.stop());
    return embedded.uri;
  }
}
