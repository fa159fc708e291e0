import { expect } from "vitest";
import type { Server } from "../../src/domain/server.ts";
import { type MigrateOptions, migrateDatabase } from "../../src/storage/migrations/migrate-database.ts";
import type { Migration } from "../../src/storage/migrations/migration.ts";
import { migrations as ownMigrations } from "../../src/storage/migrations/migrations.ts";
import { rewriteEach } from "../../src/storage/migrations/rewrite-each.ts";
import { testDatabase } from "./engine.ts";

interface Note {
  _id: string;
  /** Of the old form. */
  text?: string;
  /** Of the new form. */
  words?: string[];
  /** How often it has been rewritten. */
  times: number;
}

/** A database of notes that is to be migrated: from 4 to 5 as Reins does, then by two migrations of the test's own, up to 7. */
export async function migrationKit() {
  const database = await testDatabase();
  /** How often each of the test's own migrations has begun. */
  const begun: string[] = [];
  const meta = () => database.db.collection<{ _id: string; version: number | string }>("meta");
  const notes = () => database.db.collection<Note>("notes");
  const stored = () => meta().findOne({ _id: "schema" });

  const splitNotes: Migration = {
    from: 5,
    to: 6,
    is: "Notes are stored as lists of words.",
    olderServers: "refuse",
    async migrate(db, work) {
      begun.push(`split from ${work.placeOf("notes") ?? "the beginning"}`);
      await rewriteEach(
        db.collection<Note>("notes"),
        ({ text }) =>
          text === undefined
            ? undefined
            : { is: { text }, update: { $set: { words: text.split(" ") }, $unset: { text: "" }, $inc: { times: 1 } } },
        work,
        5,
      );
    },
  };

  const addKind: Migration = {
    from: 6,
    to: 7,
    is: "Notes have a kind.",
    olderServers: "go on",
    async migrate(db) {
      begun.push("kind");
      await db.collection("notes").updateMany({ kind: { $exists: false } }, { $set: { kind: "plain" } });
    },
  };

  const migrations = [...ownMigrations, splitNotes, addKind];

  /** Nobody lives in these tests unless they say so; a migrator that has died is followed soon. */
  const options = (changes: Partial<MigrateOptions> = {}): MigrateOptions => ({
    migrations,
    lives: () => false,
    leaseMs: 300,
    progress: () => {},
    ...changes,
  });

  async function putOldDatabase(version = 4, count = 12): Promise<void> {
    await Promise.all([meta().deleteMany({}), notes().deleteMany({})]);
    await meta().insertOne({ _id: "schema", version });
    const all = Array.from(
      { length: count },
      (_, n): Note => ({ _id: `${n}`.padStart(4, "0"), text: `note ${n}`, times: 0 }),
    );
    await notes().insertMany(all);
  }

  async function expectMigrated(count = 12): Promise<void> {
    expect(await stored()).toEqual({ _id: "schema", version: 7, oldest: 6 });
    expect(await notes().countDocuments({ kind: "plain", times: 1, text: { $exists: false } })).toBe(count);
  }

  /** A server that has said just now that it lives. */
  async function putServer(id = "old"): Promise<void> {
    const server = { machine: "elsewhere", pid: 4711, started: "then", children: [], free_slots: 1 };
    await database.db
      .collection<{ _id: string }>("servers")
      .updateOne({ _id: id }, [{ $set: { ...server, seen_at: "$$NOW" } }], { upsert: true });
  }
  /** Of the servers, that one alone lives. */
  const isOld = ({ id }: Server) => id === "old";

  return {
    database,
    db: database.db,
    name: database.name,
    begun,
    meta,
    notes,
    stored,
    splitNotes,
    addKind,
    migrations,
    options,
    putOldDatabase,
    expectMigrated,
    putServer,
    isOld,
    migrate: (changes?: Partial<MigrateOptions>) => migrateDatabase(database.db, options(changes)),
    close: () => database.close(),
  };
}

export type MigrationKit = Awaited<ReturnType<typeof migrationKit>>;
