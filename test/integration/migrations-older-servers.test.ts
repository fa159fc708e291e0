import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collections } from "../../src/storage/collections.ts";
import type { Migration } from "../../src/storage/migrations/migration.ts";
import { migrations as ownMigrations, schemaVersion } from "../../src/storage/migrations/migrations.ts";
import { schemaProblem } from "../../src/storage/migrations/schema-problem.ts";
import { createServerStore } from "../../src/storage/servers.ts";
import { settingsOf } from "../support/engine.ts";
import { type MigrationKit, migrationKit } from "../support/migration-kit.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

let kit: MigrationKit;

beforeEach(async () => {
  kit = await migrationKit();
});
afterEach(() => kit.close());

describe("servers of an older version", () => {
  it("keep a migration that they cannot live with from beginning, and are named", async () => {
    await kit.putOldDatabase(5);
    await kit.putServer();
    const before = await kit.stored();
    await expect(kit.migrate({ lives: kit.isOld, serversLimitMs: 500 })).rejects.toThrow(
      `The database ${kit.name} has schema version 5, and servers that cannot live with version 6 still use it: old (process 4711). Stop them first.`,
    );
    expect(await kit.stored()).toEqual(before);
    expect(kit.begun).toEqual([]);
  });

  it("are waited for", async () => {
    await kit.putOldDatabase(5);
    await kit.putServer();
    let lives = true;
    const progress = () => {
      lives = false;
    };
    await kit.migrate({ lives: () => lives, progress });
    await kit.expectMigrated();
  });

  it("that nobody has heard of for a lease are declared dead, so that they look again before they go on", async () => {
    await kit.putOldDatabase(5);
    await kit.putServer();
    await kit.migrate();
    const servers = createServerStore(collections(kit.db), () => new Date());
    expect(await servers.others("")).toMatchObject([{ id: "old", isDead: true }]);
  });

  it("cannot start while it runs, since they find another version than theirs", async () => {
    await kit.putOldDatabase(5);
    let found: unknown;
    const looking: Migration = {
      ...kit.splitNotes,
      migrate: async () => {
        found = (await kit.stored())!.version;
      },
    };
    await kit.migrate({ migrations: [...ownMigrations, looking] });
    expect(found).toBe("5 to 6");
  });

  it("that came in between unseen make it begin again when they have ended", async () => {
    await kit.putOldDatabase(5);
    let lives = true;
    let told = 0;
    const overtaken: Migration = {
      ...kit.splitNotes,
      async migrate(db, work) {
        await kit.splitNotes.migrate(db, work);
        if (kit.begun.length > 1) return;
        await kit.putServer();
        await kit.notes().insertOne({ _id: "0000b", text: "late", times: 0 });
      },
    };
    const progress = (sentence: string) => {
      if (!sentence.includes("still use it")) return;
      told += 1;
      lives = false;
    };
    await kit.migrate({ migrations: [...ownMigrations, overtaken, kit.addKind], lives: () => lives, progress });
    expect(told).toBe(1);
    await kit.expectMigrated(13);
  });

  it("may live on where the migration says so, and through it", async () => {
    await kit.putOldDatabase(6);
    await kit.putServer();
    let during: unknown;
    const looking: Migration = {
      ...kit.addKind,
      async migrate(db, work) {
        during = (await kit.stored())!.version;
        await kit.addKind.migrate(db, work);
      },
    };
    await kit.migrate({ migrations: [...kit.migrations.slice(0, -1), looking], lives: kit.isOld });
    expect(during).toBe(6);
    expect(await kit.stored()).toEqual({ _id: "schema", version: 7, oldest: 6 });
    for (const version of [6, 7]) expect(await schemaProblem(kit.db, version)).toBeUndefined();
    for (const version of [5, 8])
      expect((await schemaProblem(kit.db, version))!.message).toBe(
        `The database ${kit.name} has gone on to schema version 7, and this server works with version ${version}: it must end.`,
      );
  });

  it("begin no new life on a database that has gone on, also when it does so while they join", async () => {
    await kit.putOldDatabase(5);
    const looks = { n: 0 };
    const servers = createServerStore(
      collections(kit.db),
      () => new Date(),
      undefined,
      async () => {
        looks.n += 1;
        if (looks.n === 4) await kit.migrate();
        const problem = await schemaProblem(kit.db, 5);
        if (problem) throw problem;
      },
    );
    const server = { machine: "here", pid: 1, started: "", children: [], freeSlots: 1 };
    expect(await servers.join({ id: "first", ...server })).toBeInstanceOf(Date);
    await expect(servers.join({ id: "second", ...server })).rejects.toThrow("has gone on to schema version 7");
    await expect(servers.join({ id: "third", ...server })).rejects.toThrow("has gone on to schema version 7");
    const others = await servers.others("");
    expect(others.map(({ id, isDead }) => [id, isDead]).sort()).toEqual([
      ["first", true],
      ["second", true],
    ]);
  });
});

it("a server that was taken for dead while its database went on ends at once, and says why", async () => {
  const server = await startServerProcess({
    ...settingsOf(kit.database),
    REINS_CONFIG: gatedGraph,
    REINS_LEASE_MS: "1500",
  });
  try {
    await kit.meta().updateOne({ _id: "schema" }, { $set: { version: schemaVersion + 1 } });
    // As one that stood still for a lease finds itself.
    await kit.db.collection("servers").updateMany({}, [{ $set: { dead_at: "$$NOW" } }]);
    expect(await server.ended).toBe(1);
    expect(server.log()).toContain(
      `The database ${kit.name} has gone on to schema version ${schemaVersion + 1}, and this server works with version ${schemaVersion}: it must end.`,
    );
    expect(await kit.db.collection("servers").countDocuments({ dead_at: { $exists: false } })).toBe(0);
  } finally {
    await server.end("SIGKILL");
  }
});
