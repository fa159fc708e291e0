import { setTimeout as sleep } from "node:timers/promises";
import type { Db } from "mongodb";
import { DomainError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import type { Server } from "../../domain/server.ts";
import { collections } from "../collections.ts";
import { createServerLooks } from "../servers.ts";
import { keepMigrating, MigrationTaken } from "./keep-migrating.ts";
import type { Migration } from "./migration.ts";
import { migrations as allMigrations } from "./migrations.ts";
import { liveServers, nextMigration, otherSentence, refuseForeign, serversSentence } from "./next-migration.ts";
import { createSchemaStore, type Schema } from "./schema-document.ts";

export interface MigrateOptions {
  /** Whether a server that uses the database lives: neither its process is known to be gone, nor its lease is over. */
  readonly lives: (server: Server) => boolean;
  /** A migrator that has said nothing for so long is taken for dead. */
  readonly leaseMs: number;
  /** Refuses a database of an older version, instead of migrating it. */
  readonly isManual?: boolean;
  /** Sentences for the person who waits. */
  readonly progress: (sentence: string) => void;
  readonly signal?: AbortSignal;
  /** Default: those of this Reins. */
  readonly migrations?: readonly Migration[];
  /** How long another migrator is waited for that comes no further, and older servers that are to end. */
  readonly migratorLimitMs?: number;
  readonly serversLimitMs?: number;
}

const lookEveryMs = 250;
const migratorLimitMs = 10 * 60_000;

/**
 * Brings a database to the layout that this Reins knows: stamps an empty one, and runs the migrations that are still to be run. Several
 * servers may do so at once: one works, the others wait for it. Throws a sentence for a database that is newer, too old or not of
 * Reins, and for one that may not be migrated now. Must be the first write to the database.
 */
export async function migrateDatabase(db: Db, options: MigrateOptions): Promise<void> {
  const { migrations = allMigrations, leaseMs, signal } = options;
  // Servers that were killed elsewhere are silent only after a lease.
  const serversLimitMs = options.serversLimitMs ?? 3 * leaseMs;
  const newest = migrations.at(-1)!.to;
  const schemas = createSchemaStore(db);
  const servers = createServerLooks(collections(db).servers);
  const id = newId();
  let waiting: { readonly sentence: string; readonly since: number } | undefined;

  async function wait(sentence: string, limitMs: number): Promise<void> {
    if (waiting?.sentence !== sentence) {
      waiting = { sentence, since: performance.now() };
      options.progress(`${sentence} Waiting.`);
    }
    if (performance.now() - waiting.since > limitMs) throw refusal(sentence);
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
  }

  async function run(schema: Schema, migration: Migration): Promise<void> {
    if (!(await schemas.take(schema, migration, id))) return;
    const kept = keepMigrating({ schemas, id, leaseMs, schema, signal });
    try {
      if (await areOlderLeft(migration)) {
        if (schema.isBarred) await schemas.leave(id);
        else await schemas.undo(id, migration.from);
        return;
      }
      const start = `The database ${db.databaseName} is being migrated from schema version ${migration.from} to ${migration.to}`;
      options.progress(`${start}. ${migration.is}`);
      await migration.migrate(
        db,
        kept.workWith((sentence) => options.progress(`${start}: ${sentence}.`)),
      );
      // One that looked at the version before it was barred, and joined after the look, has written in the old form.
      if (await areOlderLeft(migration)) await schemas.leaveAfresh(id);
      else await schemas.finish(id, migration, migration.olderServers === "refuse" ? migration.to : schema.oldest);
    } catch (error) {
      // Whoever has it now is waited for.
      if (error instanceof MigrationTaken) return;
      await schemas.leave(id).catch(() => undefined);
      throw error;
    } finally {
      await kept.end();
    }
  }

  /** Declares dead whom nobody has heard of for a lease: should such a server go on, it looks at the version before it does. */
  async function areOlderLeft({ olderServers }: Migration): Promise<boolean> {
    if (olderServers === "go on") return false;
    for (const server of await servers.others("")) {
      if (!server.isDead && (options.lives(server) || !(await servers.declareDead(server)))) return true;
    }
    return false;
  }

  const refusal = (sentence: string) => new DomainError("DATABASE_UNAVAILABLE", sentence);

  for (;;) {
    signal?.throwIfAborted();
    const schema = await schemas.read();
    if (!schema) {
      await refuseForeign(db, async () => (await schemas.read()) !== undefined);
      await schemas.stamp(newest);
      continue;
    }
    const migration = nextMigration(db, schema, migrations);
    if (!migration) return;
    if (options.isManual)
      throw refusal(
        `The database ${db.databaseName} has schema version ${schema.version}, and this Reins works with version ${newest}: run "reins migrate".`,
      );
    if (schema.migrator && schema.migrator.silentMs <= leaseMs) {
      await wait(otherSentence(db, schema), options.migratorLimitMs ?? migratorLimitMs);
      continue;
    }
    const left = migration.olderServers === "refuse" ? await liveServers(servers, options.lives) : [];
    if (left.length > 0) await wait(serversSentence(db, migration, left), serversLimitMs);
    else await run(schema, migration);
  }
}
