import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { slotKey } from "../../src/storage/journal-documents.ts";
import { smallFlush, startRun } from "./journal-threads.ts";
import { createJournal } from "./stores.ts";

/** What every journal of checkpoints must do for those who write, and against those who may not any more. */
export function describeJournalWriters(which: string, openDb: () => Promise<Db>): void {
  let journal: Journal;
  let slots: JournalCollection["documents"];
  beforeAll(async () => {
    const db = await openDb();
    journal = createJournal(db);
    slots = new JournalCollection(db).documents;
  });

  const written = (name: string, token: string) => slots.countDocuments({ journal: name, token });
  const numbers = async (name: string) =>
    (await slots.find({ journal: name }).sort({ slot: 1 }).toArray()).map(({ slot }) => slot);
  const namedCheckpoint = (id: string) => smallFlush(id, id === "two" ? "" : "child:1").checkpoints[0]!;

  describe(`a fence ${which}`, () => {
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
      const opened = (isHeld: boolean) => journal.writer({ ...options, token: mine, isHeld: () => isHeld });
      await expect(opened(false)).rejects.toBeInstanceOf(FencedError);
      await expect(opened(true)).resolves.toBeDefined();
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
      const once = await numbers(name);
      await journal.fence(name, token);
      expect(await numbers(name)).toEqual(once);
      await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
    });

    it("fills what an earlier fence left free below its fence records when it crashed", async () => {
      const name = randomUUID();
      const { writer, token } = await startRun(journal, name);
      await writer.append(smallFlush());
      const fence = { journal: name, owner: "", thread_id: "thread", fences: token };
      await slots.insertOne({ _id: slotKey(name, 4), slot: 4, ...fence });
      await journal.fence(name, token);
      await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
      expect(await written(name, token)).toBe(1);
      expect(await numbers(name)).toEqual([1, 2, 3, 4]);
      // Also when one is missing only.
      const other = randomUUID();
      await slots.insertOne({ ...fence, journal: other, _id: slotKey(other, 2), slot: 2 });
      await journal.fence(other, token);
      expect(await numbers(other)).toEqual([1, 2]);
    });

    it("belongs to its thread: as the journal says, or as is said where it is empty", async () => {
      const [name, empty] = [randomUUID(), randomUUID()];
      await (await startRun(journal, name)).writer.append(smallFlush());
      await journal.fence(name, "token");
      await journal.fence(empty, "token", { owner: "owner", threadId: "thread" });
      const homes = async (of: string) => {
        const fences = await slots.find({ journal: of, fences: "token" }).toArray();
        return [...new Set(fences.map(({ owner, thread_id }) => `${owner} ${thread_id}`))];
      };
      expect(await homes(name)).toEqual([" thread"]);
      expect(await homes(empty)).toEqual(["owner owner/thread"]);
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

  describe(`a writer that meets a taken slot ${which}`, () => {
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

  describe(`a writer that is closed ${which}`, () => {
    it("has written what it had accepted, and writes nothing more", async () => {
      const name = randomUUID();
      const { writer, token } = await startRun(journal, name);
      const appended = [writer.append(smallFlush("one")), writer.append(smallFlush("two"))];
      expect(await writer.close()).toMatchObject({
        clean: true,
        position: { slot: 2, newest: { checkpointId: "two" } },
      });
      await Promise.all(appended);
      await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
      expect(await written(name, token)).toBe(2);
      expect(await journal.newest(name)).toBe("two");
    });

    it("lets the next one begin where it has left the journal, which knows the newest checkpoint then", async () => {
      const name = randomUUID();
      const first = await startRun(journal, name);
      await first.writer.append(smallFlush("one"));
      const { position } = await first.writer.close();
      const { writer, token } = await startRun(journal, name, { position });
      expect([writer.headSlot, writer.newestAtOpen]).toEqual([1, "one"]);
      const there = await journal.reader(name).read({ namespace: "" });
      expect(await writer.read({ namespace: "" })).toEqual(there);
      await writer.append(smallFlush("two"));
      expect([await written(name, token), await journal.newest(name)]).toEqual([1, "two"]);
    });

    it("says nothing of that where the newest checkpoint has writes of its own by now, or is large", async () => {
      const name = randomUUID();
      const { writer } = await startRun(journal, name);
      await writer.append(smallFlush("one"));
      const value = { inline: { type: "json", bytes: Buffer.from("1") } };
      const write = { namespace: "", checkpointId: "one", taskId: "t", taskPath: "", index: 0, channel: "c", value };
      await writer.append({ flushId: randomUUID(), checkpoints: [], segments: [], writes: [write] });
      expect(await writer.close()).toEqual({ clean: true });
      const second = (await startRun(journal, name)).writer;
      const { checkpoints, ...rest } = smallFlush("large");
      const large = { inline: { type: "json", bytes: Buffer.alloc(100_000, "1") } };
      await second.append({ ...rest, checkpoints: [{ ...checkpoints[0]!, values: { large } }] });
      expect(await second.close()).toEqual({ clean: true });
    });

    it("keeps what others have written since, when the next one believes it", async () => {
      const name = randomUUID();
      const { position } = await (await startRun(journal, name)).writer.close();
      const other = await startRun(journal, name);
      await other.writer.append(smallFlush("other"));
      const { writer, token } = await startRun(journal, name, { position });
      await expect(writer.append(smallFlush())).rejects.toBeInstanceOf(FencedError);
      expect([await written(name, token), await written(name, other.token)]).toEqual([0, 1]);
    });
  });

  describe(`a journal that is deleted ${which}`, () => {
    it("leaves nothing but taken slots that expire, and no way in", async () => {
      const name = randomUUID();
      const { writer } = await startRun(journal, name);
      await writer.append(smallFlush());
      for (const _ of [1, 2]) await journal.deleteJournal(name);

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
}
