import { randomUUID } from "node:crypto";
import { MongoNetworkError } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { JournalQueries } from "../../src/storage/journal-queries.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { smallFlush, startRun } from "../support/journal-threads.ts";
import { createJournal } from "../support/stores.ts";

/** What a graph meets that reads its thread while the database is away for a moment. */
describe("reading for an attempt", () => {
  let database: TestDatabase;
  let journal: Journal;
  beforeAll(async () => {
    database = await testDatabase();
    await createIndexes(database.db);
    journal = createJournal(database.db);
  });
  afterAll(() => database.close());
  afterEach(() => vi.restoreAllMocks());

  /** With a checkpoint that its writer does not remember. */
  async function startedRun() {
    const { writer } = await startRun(journal, randomUUID());
    await writer.append(smallFlush("one", "child:1"));
    return writer;
  }

  it("waits for a database that is away", async () => {
    const writer = await startedRun();
    const away = new MongoNetworkError("connection closed");
    vi.spyOn(JournalQueries.prototype, "newest").mockRejectedValueOnce(away).mockRejectedValueOnce(away);
    expect((await writer.read({ namespace: "child:1" }))!.checkpointId).toBe("one");
    vi.spyOn(JournalQueries.prototype, "writes").mockRejectedValueOnce(away);
    expect(await writer.list({})).toHaveLength(1);
    await writer.close();
  });

  it("gives up when the attempt is over", async () => {
    const writer = await startedRun();
    const asked = vi
      .spyOn(JournalQueries.prototype, "newest")
      .mockRejectedValue(new MongoNetworkError("connection closed"));
    const reading = expect(writer.read({ namespace: "child:1" })).rejects.toThrow("connection closed");
    await vi.waitUntil(() => asked.mock.calls.length > 1);
    await writer.close();
    await reading;
  });

  it("does not ask twice for what is wrong with the question", async () => {
    const writer = await startedRun();
    const asked = vi.spyOn(JournalQueries.prototype, "newest").mockRejectedValue(new Error("no such thing"));
    await expect(writer.read({ namespace: "child:1" })).rejects.toThrow("no such thing");
    expect(asked).toHaveBeenCalledOnce();
    await writer.close();
  });
});
