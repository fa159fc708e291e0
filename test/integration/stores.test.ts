import { afterAll, beforeAll } from "vitest";
import { createIndexes } from "../../src/storage/indexes.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { describeStores } from "../support/store-contracts.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await createIndexes(database.db);
});
afterAll(() => database.close());

describeStores("in the database", async () => database.db);
