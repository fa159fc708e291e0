import type { Config } from "../config.ts";
import { DomainError } from "../domain/errors.ts";
import { createLog } from "../log.ts";
import { openDatabase, whoMigrates } from "../open-database.ts";
import { migrateDatabase } from "../storage/migrations/migrate-database.ts";
import { planMigration } from "../storage/migrations/plan-migration.ts";

/** `reins migrate`: brings the database to the layout that this Reins knows, and ends. A dry run only says what it would do. */
export async function runMigrations(
  config: Config,
  isDryRun: boolean,
  tell: (sentence: string) => void,
): Promise<void> {
  await using started = new AsyncDisposableStack();
  const log = await createLog("warn", "json");
  const { database } = await openDatabase(config, { log, progress: tell }, started);
  const leaving = new AbortController();
  const leave = () => leaving.abort(leftHalfWay());
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, leave);
  if (!isDryRun) {
    await migrateDatabase(database.db, { ...whoMigrates(config), progress: tell, signal: leaving.signal });
  }
  for (const sentence of await planMigration(database.db, whoMigrates(config))) tell(sentence);
}

const leftHalfWay = () =>
  new DomainError("DATABASE_UNAVAILABLE", "The migration was left half-way: the next one goes on from there.");
