import type { Db } from "mongodb";
import { collections } from "../collections.ts";
import { createServerLooks } from "../servers.ts";
import type { MigrateOptions } from "./migrate-database.ts";
import { migrations as allMigrations } from "./migrations.ts";
import { liveServers, nextMigration, otherSentence, refuseForeign, serversSentence } from "./next-migration.ts";
import { createSchemaStore } from "./schema-document.ts";

/** What migrateDatabase would do, in sentences; it changes nothing. */
export async function planMigration(
  db: Db,
  options: Pick<MigrateOptions, "lives" | "leaseMs" | "migrations">,
): Promise<string[]> {
  const { migrations = allMigrations, leaseMs } = options;
  const schema = await createSchemaStore(db).read();
  const newest = migrations.at(-1)!.to;
  if (!schema) {
    await refuseForeign(db, async () => false);
    return [`The database ${db.databaseName} is empty: it gets schema version ${newest}.`];
  }
  const first = nextMigration(db, schema, migrations);
  if (!first) return [`The database ${db.databaseName} has schema version ${newest}: nothing is to be done.`];
  const left = await liveServers(createServerLooks(collections(db).servers), options.lives);
  const all = migrations.slice(migrations.indexOf(first));
  const refusing = all.find(({ olderServers }) => olderServers === "refuse");
  return [
    ...all.map((one) => {
      const older = one.olderServers === "refuse" ? "must have ended" : "may go on";
      return `${db.databaseName}, from schema version ${one.from} to ${one.to}: ${one.is} Servers of older versions ${older}.`;
    }),
    ...(schema.migrator && schema.migrator.silentMs <= leaseMs ? [otherSentence(db, schema)] : []),
    ...(refusing && left.length > 0 ? [serversSentence(db, refusing, left)] : []),
  ];
}
