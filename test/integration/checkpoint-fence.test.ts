import { randomUUID } from "node:crypto";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { slotKey } from "../../src/storage/journal-documents.ts";
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

const namedCheckpoint = (id: string) => smallFlush(id, id === "two" ? "" : "child:1").checkpoints[0]!;

const written = (name: string, token: string) => slots.countDocuments({ journal: name, token });

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

  it("refuses a writer that opens after its token was fenced", async () => {
    const name = randomUUID();
    const token = randomUUID();
    await journal.fence(name, token);
    const options = { journal: name, threadId: "t", owner: "", runId: "r", token, stillMine: async () => true };
    await expect(journal.writer(options)).rejects.toBeInstanceOf(FencedError);
    await expect(journal.writer({ ...options, token: randomUUID() })).resolves.toBeDefined();
  });

  it("need not be looked for by a writer whose lease is held for sure", async () => {
    const name = randomUUID();
    const [mine, other] = [randomUUID(), randomUUID()];
    const options = { journal: name, threadId: "t", owner: "", runId: "r", stillMine: async () => true };
    for (const token of [mine, other]) await journal.fence(name, token);
    await expect(journal.writer({ ...options, token: mine, isHeld: () => false })).rejects.toBeInstanceOf(FencedError);
    await expect(journal.writer({ ...options, token: mine, isHeld: () => true })).resolves.toBeDefined();
  });

  it("leaves a writer's view of the newest checkpoint to a look", async () => {
    const name = randomUUID();
    const open = async () => (await startRun(journal, name)).writer;
    const first = await open();
    expect(first.newestAtOpen).toBe(null);
    await first.append(smallFlush("one"));
    await first.append({ ...smallFlush("two"), checkpoints: ["two", "of a child"].map(namedCheckpoint) });
    expect((await open()).newestAtOpen).toBe("two");
    await first.append(smallFlush("deeper", "child:1"));
    expect((await open()).newestAtOpen).toBeUndefined();
    await first.append(smallFlush("three"));
    expect((await open()).newestAtOpen).toBe("three");
    await journal.fence(name, randomUUID());
    expect((await open()).newestAtOpen).toBeUndefined();
  });

  it("can be repeated, and adds nothing then", async () => {
    const name = randomUUID();
    const { writer, token } = await startRun(journal, name);
    await writer.append(smallFlush());
    await journal.fence(name, token);
    const once = await slots.countDocuments({ journal: name });
    await journal.fence(name, token);
    expect(await slots.countDocuments({ journal: name })).toBe(once);
  });

  it("fills what an earlier fence left free below its fence records when it crashed", async () => {
    const name = randomUUID();
    const { writer, token } = await startRun(journal, name);
    await writer.append(smallFlush());
    const fence = { journal: name, owner: "", thread_id: "thread", fences: token };
    await slots.insertOne({ _id: slotKey(name, 4), slot: 4, ...fence });
    await otherServer.fence(name, token);
    await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
    expect(await written(name, token)).toBe(1);
    expect((await slots.find({ journal: name }).sort({ slot: 1 }).toArray()).map(({ slot }) => slot)).toEqual([
      1, 2, 3, 4,
    ]);
  });

  it("tells the run that it is fenced, once, and fails every later write", async () => {
    const name = randomUUID();
    let fenced = 0;
    const { saver, token } = await startRun(journal, name, {
      onFailed: () => {
        fenced += 1;
      },
    });
    await journal.fence(name, token);
    const config = { configurable: { thread_id: "thread", checkpoint_ns: "", checkpoint_id: randomUUID() } };
    for (let i = 0; i < 2; i++) {
      await expect(saver.putWrites(config, [["channel", i]], `task-${i}`)).rejects.toMatchObject({
        name: "FencedError",
      });
    }
    expect(fenced).toBe(1);
  });
});

describe("a writer that meets a taken slot", () => {
  it("steps over fence records for another token as long as the run is still its own", async () => {
    const name = randomUUID();
    const mine = { value: true };
    const { writer, token } = await startRun(journal, name, { stillMine: async () => mine.value });
    await journal.fence(name, "another");
    await writer.append(smallFlush());
    expect(await written(name, token)).toBe(1);
    expect(writer.headSlot).toBe(5);

    await journal.fence(name, "a third");
    mine.value = false;
    await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
    expect(await written(name, token)).toBe(1);
  });

  it("takes another's data there as the loss of its thread", async () => {
    const name = randomUUID();
    const [first, second] = [await startRun(journal, name), await startRun(journal, name)];
    await second.writer.append(smallFlush());
    await expect(first.writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
  });

  it("lands a repeated flush once", async () => {
    const name = randomUUID();
    const { writer, token } = await startRun(journal, name);
    const flush = smallFlush();
    await Promise.all([writer.append(flush), writer.append(flush)]);
    expect(await written(name, token)).toBe(1);
  });
});

describe("deleteJournal", () => {
  it("leaves nothing but taken slots that expire, and no way in", async () => {
    const name = randomUUID();
    const { writer } = await startRun(journal, name);
    await writer.append(smallFlush());
    await journal.deleteJournal(name);
    await journal.deleteJournal(name);

    await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
    await expect(startRun(journal, name)).rejects.toBeInstanceOf(FencedError);
    const left = await slots.find({ journal: name }).toArray();
    expect(left.length).toBeGreaterThan(1);
    for (const slot of left) {
      expect(slot).not.toHaveProperty("checkpoints");
      expect(slot).not.toHaveProperty("run_id");
      expect(slot.expire_at!.getTime()).toBeGreaterThan(Date.now());
    }
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
