import type { Db } from "mongodb";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { connectDatabase, type Database, hostsOf } from "./storage/database.ts";
import { engineTitles } from "./storage/embedded/engines.ts";
import { startEmbeddedDatabase } from "./storage/embedded/start-embedded-database.ts";
import { type MigrateOptions, migrateDatabase } from "./storage/migrations/migrate-database.ts";
import { thisMachine } from "./wiring/this-machine.ts";
import { presenceOf } from "./worker/server-presence.ts";

interface Told {
  readonly log: Logger;
  /** Sentences for the person who waits. */
  readonly progress: (sentence: string) => void;
}

export interface OpenDatabase {
  readonly database: Database;
  readonly uri: string;
  /** What the embedded database is; "yours" for one that MONGODB_URI names. */
  readonly engine: string;
  /** Where the data is, for a person. */
  readonly data: string;
}

/** Connects to the database that the configuration names, or starts the embedded one. What was started ends with the stack. */
export async function openDatabase(config: Config, told: Told, started: AsyncDisposableStack): Promise<OpenDatabase> {
  const { maxPoolSize, ...found } = await databaseAddress(config, told, started);
  const { databaseName } = config;
  const database = await connectDatabase({ uri: found.uri, maxPoolSize, databaseName, log: told.log });
  started.defer(() => database.close());
  return { database, ...found };
}

async function databaseAddress(config: Config, { log, progress }: Told, started: AsyncDisposableStack) {
  if (config.mongodbUri !== undefined) {
    const data = `the database ${config.databaseName} at ${hostsOf(config.mongodbUri)}`;
    return { uri: config.mongodbUri, engine: "yours", data, maxPoolSize: config.databasePoolSize };
  }
  const embedded = await startEmbeddedDatabase({ ...config.embedded, progress, log });
  started.defer(() => embedded.stop());
  const data = `${config.embedded.dataDir}, by ${engineTitles[embedded.engine]}`;
  return { uri: embedded.uri, engine: embedded.engine, data, maxPoolSize: embedded.maxPoolSize };
}

export const migrateAtStart = (db: Db, config: Config, { progress }: Pick<Told, "progress">): Promise<void> =>
  migrateDatabase(db, { ...whoMigrates(config), isManual: config.migrate === "manual", progress });

/** How a migration tells who lives. */
export function whoMigrates({ leaseMs }: Config): Pick<MigrateOptions, "lives" | "leaseMs"> {
  const { name, isAlive } = thisMachine();
  return {
    leaseMs,
    lives: (server) => presenceOf(server, { machine: name, isAlive, silentAfterMs: leaseMs }) === "alive",
  };
}
