import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { schemaVersion } from "../../src/storage/migrations/migrations.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { wantedTestEngine } from "../support/embedded-options.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { loadRecorded } from "../support/recorded-database.ts";
import { command } from "../support/run-command.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

describe("the migrate command", () => {
  let database: TestDatabase;
  let settings: Readonly<Record<string, string>>;

  beforeEach(async () => {
    database = await testDatabase();
    await loadRecorded(database.db, 4);
    settings = { ...settingsOf(database), REINS_CONFIG: gatedGraph };
  });
  afterEach(() => database.close());

  const version = async () => (await database.db.collection("meta").findOne({}))?.version;

  it("says what it would do, and changes nothing then", async () => {
    const before = await databaseDigest(database.db);
    const { code, stdout } = await command(["migrate", "--dry-run"], settings);
    expect(code).toBe(0);
    expect(stdout).toContain(`${database.name}, from schema version 4 to 5: `);
    expect(await databaseDigest(database.db)).toEqual(before);
  });

  it("is what a start asks for that may not migrate by itself", async () => {
    const manual = { ...settings, REINS_MIGRATE: "manual" };
    const refused = await command(["serve", "--port", "0"], manual);
    expect(refused).toEqual({
      code: 1,
      stdout: "",
      stderr: `The database ${database.name} has schema version 4, and this Reins works with version ${schemaVersion}: run "reins migrate".\n`,
    });
    expect(await version()).toBe(4);
    const { code, stdout } = await command(["migrate"], manual);
    expect([code, stdout.trim().split("\n").at(-1)]).toEqual([
      0,
      `The database ${database.name} has schema version ${schemaVersion}: nothing is to be done.`,
    ]);
    const server = await startServerProcess(manual);
    expect(await server.end("SIGTERM")).toBe(0);
  });
});

it("the migrate command does so for an embedded database as well", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "reins-migrate-"));
  try {
    const venv = resolve(import.meta.dirname, "../../.reins/venv");
    const env = { REINS_DATA_DIR: dataDir, REINS_VENV_DIR: venv, REINS_ENGINE: wantedTestEngine() };
    const planned = await command(["migrate", "--dry-run"], env);
    expect(planned.stdout).toContain(`The database reins is empty: it gets schema version ${schemaVersion}.`);
    const done = await command(["migrate"], env);
    expect([done.code, done.stdout.trim().split("\n").at(-1)]).toEqual([
      0,
      `The database reins has schema version ${schemaVersion}: nothing is to be done.`,
    ]);
  } finally {
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
});
