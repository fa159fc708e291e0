import { randomUUID } from "node:crypto";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { smallFlush, startRun } from "../support/journal-threads.ts";
import { createJournal } from "../support/stores.ts";

let database: TestDatabase;
let otherClient: MongoClient;
let journal: Journal;
/** The same journals as another server sees them. */
let otherServer: Journal;
let slots: JournalCollection["documents"];

beforeAll(async () => {
  database = await testDatabase();
  await createIndexes(database.db);
  otherClient = await MongoClient.connect(database.uri);
  journal = createJournal(database.db);
  otherServer = createJournal(otherClient.db(database.name));
  slots = new JournalCollection(database.db).documents;
});
afterAll(async () => {
  await otherClient.close();
  await database.close();
});

const written = (name: string, token: string) => slots.countDocuments({ journal: name, token });

/** A fence against a writer that is at work; test/support/journal-writer-contract.ts has the rest. */
describe("fence", () => {
  it("stops a writer that hammers: nothing lands once it has resolved, in 100 trials", {
    timeout: 180_000,
  }, async () => {
    let leaked = 0;
    let landed = 0;
    for (let trial = 0; trial < 100; trial++) {
      const name = randomUUID();
      const { writer, token } = await startRun(journal, name);
      const hammering = hammer(() => writer.append(smallFlush()));
      await writesReach(() => writer.headSlot, trial % 7);
      await otherServer.fence(name, token);
      const atFence = await written(name, token);
      expect(await hammering.ended).toBeInstanceOf(FencedError);
      const atEnd = await written(name, token);
      leaked += atEnd - atFence;
      landed += atEnd;
    }
    expect(landed).toBeGreaterThan(300);
    expect(leaked).toBe(0);
  });

  it("is what stops it: without fence records the writer goes on", async () => {
    const name = randomUUID();
    const { writer, token } = await startRun(journal, name);
    const hammering = hammer(() => writer.append(smallFlush()));
    await writesReach(() => writer.headSlot, 3);
    const before = await written(name, token);
    await writesReach(() => writer.headSlot, before + 5);
    hammering.stop();
    await hammering.ended;
    expect(await written(name, token)).toBeGreaterThan(before);
  });
});

/** Calls again and again until it fails or is told to stop; answers the failure. */
function hammer(write: () => Promise<void>): { stop(): void; ended: Promise<unknown> } {
  let stopped = false;
  async function run(): Promise<unknown> {
    try {
      while (!stopped) await write();
      return undefined;
    } catch (error) {
      return error;
    }
  }
  return {
    stop: () => {
      stopped = true;
    },
    ended: run(),
  };
}

async function writesReach(head: () => number, wanted: number): Promise<void> {
  await expect.poll(head, { interval: 1, timeout: 10_000 }).toBeGreaterThanOrEqual(wanted);
}
