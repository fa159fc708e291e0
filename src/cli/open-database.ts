import type { Config } from "../config.ts";
import { createLog } from "../log.ts";
import { migrateAtStart, openDatabase } from "../open-database.ts";
import { findRunningEngine } from "../storage/embedded/running-engine.ts";
import { openStores, type Stores } from "../storage/stores.ts";

/**
 * Works on the database that a server with these settings would have: the one that MONGODB_URI names, or the embedded one, whether a server runs on it or
 * not. What was started for it is ended again.
 */
export async function withStores<T>(config: Config, work: (stores: Stores) => Promise<T>): Promise<T> {
  // What a command prints is for its caller, and may be read by a program.
  const told = { log: await createLog("silent", "json"), progress: (sentence: string) => console.error(sentence) };
  await using started = new AsyncDisposableStack();
  const running = config.mongodbUri === undefined ? await findRunningEngine(config.embedded.dataDir) : undefined;
  const { database } = await openDatabase(running ? { ...config, mongodbUri: running } : config, told, started);
  await migrateAtStart(database.db, config, told);
  const { auditTtlMs } = config;
  return await work(await openStores(database.db, { now: () => new Date(), auditTtlMs }));
}
