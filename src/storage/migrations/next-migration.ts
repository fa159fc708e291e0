import type { Db } from "mongodb";
import { DomainError } from "../../domain/errors.ts";
import type { ServerStore } from "../../domain/ports.ts";
import type { Server } from "../../domain/server.ts";
import type { Migration } from "./migration.ts";
import type { Schema } from "./schema-document.ts";

/** What is to be done next; undefined when nothing is. */
export function nextMigration(db: Db, schema: Schema, migrations: readonly Migration[]): Migration | undefined {
  const newest = migrations.at(-1)!.to;
  const what = `The database ${db.databaseName} has schema version ${schema.version}`;
  if ((schema.to ?? schema.version) > newest) {
    const reached = schema.to === undefined ? what : `${what} and is being migrated to ${schema.to}`;
    throw new DomainError(
      "DATABASE_UNAVAILABLE",
      `${reached}, and this Reins knows version ${newest} only: it needs a newer Reins.`,
    );
  }
  if (schema.version === newest) return undefined;
  const next = migrations.find(({ from }) => from === schema.version);
  if (next) return next;
  throw new DomainError(
    "DATABASE_UNAVAILABLE",
    `${what}, and this Reins migrates from version ${migrations[0]!.from} on: migrate it with an older Reins first.`,
  );
}

/** A database that holds something and was never stamped is somebody else's. */
export async function refuseForeign(db: Db, isStamped: () => Promise<boolean>): Promise<void> {
  const [foreign] = await db.listCollections({ name: { $ne: "meta" } }, { nameOnly: true }).toArray();
  // Another server may have stamped it and gone on since the first look.
  if (foreign === undefined || (await isStamped())) return;
  throw new DomainError(
    "DATABASE_UNAVAILABLE",
    `The database ${db.databaseName} holds collections that are not of Reins (${foreign.name}): choose another database name.`,
  );
}

/** Those that use the database, and live. */
export const liveServers = async (
  servers: Pick<ServerStore, "others">,
  lives: (server: Server) => boolean,
): Promise<Server[]> => (await servers.others("")).filter((server) => !server.isDead && lives(server));

export function otherSentence({ databaseName }: Db, { to, migrator }: Schema): string {
  const far = migrator?.progress ? `, ${migrator.progress}` : "";
  return `The database ${databaseName} is being migrated to schema version ${to} by another process${far}.`;
}

export function serversSentence({ databaseName }: Db, { from, to }: Migration, left: readonly Server[]): string {
  const names = left.map(({ id, pid }) => `${id} (process ${pid})`).join(", ");
  return `The database ${databaseName} has schema version ${from}, and servers that cannot live with version ${to} still use it: ${names}. Stop them first.`;
}
