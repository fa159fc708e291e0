import { afterAll, beforeAll, expect, it } from "vitest";
import { collections } from "../../src/storage/collections.ts";
import { createNudgeStore } from "../../src/storage/nudge-store.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { createMemoryNudges } from "../support/memory-nudges.ts";
import { describeNudges } from "../support/nudge-contract.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const openStore = (watched = true) =>
  createNudgeStore(collections(database.db), () =>
    watched ? collections(database.database.changeStreamDb).nudges : undefined,
  );

describeNudges("in the database", async () => {
  await collections(database.db).nudges.deleteMany({});
  return openStore();
});
describeNudges("in memory", async () => createMemoryNudges());

it("cannot be watched without a connection for it", async () => {
  const watching = openStore(false).watch("server", () => undefined, new AbortController().signal);
  await expect(watching).rejects.toThrow("no connection");
});
