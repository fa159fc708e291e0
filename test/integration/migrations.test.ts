import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrateDatabase } from "../../src/storage/migrations/migrate-database.ts";
import type { Migration, MigrationWork } from "../../src/storage/migrations/migration.ts";
import { migrations as ownMigrations, schemaVersion } from "../../src/storage/migrations/migrations.ts";
import { planMigration } from "../../src/storage/migrations/plan-migration.ts";
import { changed, Died, dyingDatabase } from "../support/dying-database.ts";
import { until } from "../support/gates.ts";
import { type MigrationKit, migrationKit } from "../support/migration-kit.ts";

let kit: MigrationKit;

beforeEach(async () => {
  kit = await migrationKit();
});
afterEach(() => kit.close());

describe("migrations", () => {
  it("of Reins itself follow each other without a gap, and end at its own version", () => {
    expect(ownMigrations.slice(1).map(({ from }) => from)).toEqual(ownMigrations.slice(0, -1).map(({ to }) => to));
    expect(ownMigrations.map(({ from, to }) => to - from)).toEqual(ownMigrations.map(() => 1));
    expect(ownMigrations.at(-1)!.to).toBe(schemaVersion);
  });

  it("run once, one after the other, and tell how far they are", async () => {
    await kit.putOldDatabase();
    const told: string[] = [];
    await kit.migrate({ progress: (sentence) => told.push(sentence) });
    await kit.expectMigrated();
    await kit.migrate();
    expect(kit.begun).toEqual(["split from the beginning", "kind"]);
    expect(told).toContain(
      `The database ${kit.name} is being migrated from schema version 5 to 6: 10 documents of notes done.`,
    );
  });

  it.each(["before", "after"] as const)("go on where a crash %s any of their writes has left them", async (when) => {
    let write = 0;
    for (let hasDied = true; hasDied; ) {
      write += 1;
      await kit.putOldDatabase();
      const dying = dyingDatabase(kit.db, { when, write });
      // Nothing is renewed meanwhile, so that its writes are the same each time.
      await migrateDatabase(dying.db, kit.options({ leaseMs: 600_000 })).catch((error) => {
        if (!(error instanceof Died)) throw error;
      });
      hasDied = dying.hasDied();
      await kit.migrate({ leaseMs: 100 });
      await kit.expectMigrated();
    }
    // To take and to finish each of the three, to write three pages and their places, and to write kinds; after these it did not die.
    expect(write).toBe(3 * 2 + 3 * 2 + 1 + 1);
    expect(kit.begun).toContain("split from 0009");
  });

  it("are done by one of several servers that start at once, while the others wait", async () => {
    await kit.putOldDatabase(5);
    // All have read that nobody migrates when the first says that it does.
    let come = 0;
    const all = Promise.withResolvers<void>();
    const beside = changed(kit.db, "updateOne", async (write) => {
      come += 1;
      if (come === 3) all.resolve();
      await all.promise;
      return write();
    });
    await Promise.all([1, 2, 3].map(() => migrateDatabase(beside, kit.options({ leaseMs: 20_000 }))));
    await kit.expectMigrated();
    expect(kit.begun).toEqual(["split from the beginning", "kind"]);
  });

  it("are taken over from one that is silent, whose late writes change nothing", async () => {
    await kit.putOldDatabase(5);
    const held = Promise.withResolvers<void>();
    const isHeld = Promise.withResolvers<void>();
    // As a process that stands still between what it has read and what it writes; meanwhile it says nothing, since its lease is long.
    const paused = changed(kit.db, "bulkWrite", async (write) => {
      isHeld.resolve();
      await held.promise;
      return write();
    });
    const slow = migrateDatabase(paused, kit.options({ leaseMs: 600_000 }));
    await isHeld.promise;
    await kit.migrate();
    await kit.expectMigrated();
    held.resolve();
    await slow;
    await kit.expectMigrated();
    expect(kit.begun).toEqual(["split from the beginning", "split from the beginning", "kind"]);
  });

  it("keep others waiting as long as they go on, and those give up when nothing moves", async () => {
    await kit.putOldDatabase(5);
    const held = Promise.withResolvers<void>();
    const leaseMs = 1_500;
    let work: MigrationWork | undefined;
    const slow: Migration = {
      ...kit.splitNotes,
      async migrate(_, given) {
        work = given;
        given.progress("halfway");
        await held.promise;
      },
    };
    const slowly = [...ownMigrations, slow];
    const first = kit.migrate({ migrations: slowly, leaseMs });
    await until(() => work !== undefined);
    const second = kit.migrate({ migrations: slowly, leaseMs, migratorLimitMs: 3 * leaseMs });
    await expect(second).rejects.toThrow(
      `The database ${kit.name} is being migrated to schema version 6 by another process, halfway.`,
    );
    expect(work!.signal.aborted).toBe(false);
    held.resolve();
    await first;
    expect(await kit.stored()).toEqual({ _id: "schema", version: 6 });
  });

  it("end when they are told to, and leave the rest to the next", async () => {
    await kit.putOldDatabase(5);
    const leaving = new AbortController();
    const progress = (sentence: string) => {
      if (sentence.includes(": 5 documents")) leaving.abort(new Error("enough"));
    };
    await expect(kit.migrate({ signal: leaving.signal, progress })).rejects.toThrow("enough");
    expect(await kit.stored()).toMatchObject({ version: "5 to 6", places: { notes: "0004" } });
    // At once, though the lease would be long, and from where it was left.
    const told: string[] = [];
    await kit.migrate({ leaseMs: 60_000, progress: (sentence) => told.push(sentence) });
    await kit.expectMigrated();
    expect(told.filter((sentence) => sentence.includes("documents"))).toEqual([
      expect.stringContaining(": 5 documents of notes done."),
      expect.stringContaining(": 7 documents of notes done."),
    ]);
    expect(kit.begun).toEqual(["split from the beginning", "split from 0004", "kind"]);
  });
});

describe("a database", () => {
  it("that is empty is stamped, once, also by several at once", async () => {
    await Promise.all([1, 2, 3].map(() => kit.migrate({ isManual: true })));
    await kit.notes().insertOne({ _id: "a", times: 0 });
    await kit.migrate();
    expect(await kit.meta().find().toArray()).toEqual([{ _id: "schema", version: 7 }]);
    expect(kit.begun).toEqual([]);
  });

  it("of somebody else is refused, and left alone", async () => {
    await kit.db.collection("invoices").insertOne({});
    await expect(kit.migrate()).rejects.toThrow(
      "holds collections that are not of Reins (invoices): choose another database name.",
    );
    expect(await kit.db.listCollections().toArray()).toHaveLength(1);
  });

  it.each([
    [{ version: 8 }, "has schema version 8, and this Reins knows version 7 only: it needs a newer Reins."],
    [
      { version: "7 to 8", from: 7, to: 8 },
      "has schema version 7 and is being migrated to 8, and this Reins knows version 7 only: it needs a newer Reins.",
    ],
    [
      { version: 3 },
      "has schema version 3, and this Reins migrates from version 4 on: migrate it with an older Reins first.",
    ],
  ])("that is newer, or too old, is refused: %o", async (schema, sentence) => {
    await kit.meta().insertOne({ _id: "schema", ...schema });
    const refused = `The database ${kit.name} ${sentence}`;
    await expect(kit.migrate()).rejects.toThrow(refused);
    await expect(planMigration(kit.db, kit.options())).rejects.toThrow(refused);
    expect(await kit.stored()).toEqual({ _id: "schema", ...schema });
  });

  it("is not migrated by a start where that is left to a person", async () => {
    await kit.putOldDatabase();
    await expect(kit.migrate({ isManual: true })).rejects.toThrow(
      `The database ${kit.name} has schema version 4, and this Reins works with version 7: run "reins migrate".`,
    );
    expect(await kit.stored()).toEqual({ _id: "schema", version: 4 });
  });

  it("can be asked what would be done", async () => {
    const { name } = kit;
    expect(await planMigration(kit.db, kit.options())).toEqual([
      `The database ${name} is empty: it gets schema version 7.`,
    ]);
    await kit.putOldDatabase(5);
    await kit.putServer();
    const before = await kit.stored();
    expect(await planMigration(kit.db, kit.options({ lives: kit.isOld }))).toEqual([
      `${name}, from schema version 5 to 6: Notes are stored as lists of words. Servers of older versions must have ended.`,
      `${name}, from schema version 6 to 7: Notes have a kind. Servers of older versions may go on.`,
      `The database ${name} has schema version 5, and servers that cannot live with version 6 still use it: old (process 4711). Stop them first.`,
    ]);
    expect(await kit.stored()).toEqual(before);
    await kit.migrate();
    expect(await planMigration(kit.db, kit.options())).toEqual([
      `The database ${name} has schema version 7: nothing is to be done.`,
    ]);
  });
});
