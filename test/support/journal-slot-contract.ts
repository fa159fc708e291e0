import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import { JournalCollection } from "../../src/storage/journal.ts";
import { anyToken, type JournalDocument, slotKey } from "../../src/storage/journal-documents.ts";

/** What the storage of every journal must do with its slots. */
export function describeJournalSlots(which: string, openDb: () => Promise<Db>): void {
  let collection: JournalCollection;
  beforeAll(async () => {
    collection = new JournalCollection(await openDb());
  });

  const home = { owner: "owner", thread_id: "owner/thread" };
  const slotOf = (journal: string, slot: number, change: Partial<JournalDocument> = {}): JournalDocument => ({
    _id: slotKey(journal, slot),
    journal,
    slot,
    ...home,
    ...change,
  });
  const value = { type: "json", bytes: Buffer.from("{}") };
  const dataOf = (
    journal: string,
    slot: number,
    run = "run",
    change: Partial<JournalDocument> = {},
  ): JournalDocument => {
    const id = `c${slot}`;
    const [entry, write] = [
      { ns: "", id, checkpoint: value, metadata: value, fields: "{}", values: [] },
      { ...value, ns: "", checkpoint: id, task: "t", path: "", index: 0, channel: "a" },
    ];
    return slotOf(journal, slot, {
      run_id: run,
      token: `token of ${run}`,
      flush_id: `f${slot}`,
      checkpoints: [entry],
      writes: [write],
      segments: ["x", "y"].map((name) => ({ id: `${name}${slot}`, bytes: Buffer.from(name) })),
      ...change,
    });
  };
  const fenceOf = (journal: string, fences: string) => ({ journal, ...home, fences });
  async function filled(...documents: JournalDocument[]): Promise<void> {
    for (const document of documents) expect(await collection.insert(document)).toBe("inserted");
  }
  const all = (journal: string) => collection.documents.find({ journal }).sort({ _id: 1 }).toArray();
  const numbers = (slots: readonly { readonly slot: number }[]) => slots.map(({ slot }) => slot);

  describe(`a slot of a journal ${which}`, () => {
    it("is taken once, by one of those who want it at once, and for good", async () => {
      const name = randomUUID();
      const flushes = Array.from({ length: 6 }, (_, n) => dataOf(name, 1, "run", { flush_id: `${n}` }));
      const outcomes = await Promise.all(flushes.map((one) => collection.insert(one)));
      expect(outcomes.toSorted()).toEqual(["inserted", ...Array(5).fill("taken")]);
      const { flush_id, token } = flushes[outcomes.indexOf("inserted")]!;
      expect(await collection.at(name, 1)).toMatchObject({ flush_id, token });
      expect(await collection.at(name, 2)).toBeUndefined();
      await filled(dataOf(randomUUID(), 1));
    });

    it("that is free gets a fence record, and the others stay what they are", async () => {
      const name = randomUUID();
      await filled(dataOf(name, 2));
      expect(await collection.insertFences(fenceOf(name, "t"), 1, 3)).toBe(2);
      expect(await collection.insertFences(fenceOf(name, "other"), 2, 4)).toBe(1);
      expect(await collection.insertFences(fenceOf(name, "other"), 2, 2)).toBe(0);
      expect(await collection.insertFences(fenceOf(name, "other"), 5, 4)).toBe(0);
      expect((await all(name)).map(({ fences }) => fences)).toEqual(["t", undefined, "t", "other"]);
      expect(await collection.at(name, 2)).toMatchObject({ flush_id: "f2" });
      expect(await collection.at(name, 3)).toMatchObject({ fences: "t" });
    });

    it("is the last of its journal, and of its data", async () => {
      const name = randomUUID();
      expect([await collection.head(name), await collection.last(name)]).toEqual([0, undefined]);
      expect([await collection.lastData(name, 100), await collection.home(name)]).toEqual([0, undefined]);
      // So many that numbers do not sort as their texts would.
      await filled(...Array.from({ length: 11 }, (_, n) => dataOf(name, n + 1)));
      await collection.insertFences(fenceOf(name, "t"), 12, 13);
      await filled(dataOf(`${name}-other`, 50));
      expect(await collection.head(name)).toBe(13);
      expect(await collection.last(name)).toMatchObject({ slot: 13 });
      expect((await collection.last(`${name}-other`))!.checkpoints!.map(({ id }) => id)).toEqual(["c50"]);
      expect([await collection.lastData(name, 100), await collection.lastData(name, 11)]).toEqual([11, 10]);
      expect(await collection.home(name)).toMatchObject(home);
    });

    it("is the first that stops a token, or every one", async () => {
      const name = randomUUID();
      await collection.insertFences(fenceOf(name, "other"), 1, 1);
      expect(await collection.firstFence(name, "t")).toBeUndefined();
      await collection.insertFences(fenceOf(name, "t"), 3, 4);
      expect(await collection.firstFence(name, "t")).toBe(3);
      expect(await collection.firstFence(randomUUID(), "t")).toBeUndefined();
      await collection.insertFences(fenceOf(name, anyToken), 2, 2);
      expect(await collection.firstFence(name, "t")).toBe(2);
      expect(await collection.firstFence(name, "other")).toBe(1);
    });
  });

  describe(`the slots of a run ${which}`, () => {
    async function threeRuns(): Promise<string> {
      const name = randomUUID();
      const runs = ["a", "b", "b", "c", "b"];
      await filled(...runs.map((run, n) => dataOf(name, n + 1, run)), dataOf(`${name}-other`, 1, "b"));
      return name;
    }
    const isBlank = (slot: JournalDocument) => expect(slot).toEqual(slotOf(slot.journal, slot.slot));

    it("are listed in order, as are those after a slot", async () => {
      const name = await threeRuns();
      expect(numbers(await collection.slotsOfRun(name, "b"))).toEqual([2, 3, 5]);
      expect(await collection.slotsOfRun(name, "d")).toEqual([]);
      const after = [];
      for await (const slot of collection.slotsAfter(name, 3)) after.push(slot);
      expect(numbers(after)).toEqual([4, 5]);
      expect(after[0]!.segments!.map(({ id }) => id)).toEqual(["x4", "y4"]);
    });

    it("become blank from one on, and stay taken", async () => {
      const name = await threeRuns();
      const before = await all(name);
      for (const _ of [1, 2]) await collection.blankRun(name, "b", 3);
      const slots = await all(name);
      for (const n of [2, 4]) isBlank(slots[n]!);
      for (const n of [0, 1, 3]) expect(slots[n]).toEqual(before[n]);
      expect(await collection.insert(dataOf(name, 3))).toBe("taken");
      expect(numbers(await collection.slotsOfRun(`${name}-other`, "b"))).toEqual([1]);
    });

    it("keep the segments that are named, or nothing", async () => {
      const name = await threeRuns();
      for (const _ of [1, 2]) await collection.keepSegments(name, slotKey(name, 2), ["y2", "y3"]);
      await collection.keepSegments(name, slotKey(name, 3), []);
      const [first, kept, blank] = await all(name);
      expect(first).toEqual(dataOf(name, 1, "a"));
      expect(kept).toEqual(slotOf(name, 2, { kept: "segments", segments: [{ id: "y2", bytes: expect.anything() }] }));
      isBlank(blank!);
      expect(numbers(await collection.keptSlots(name))).toEqual([2]);
      await collection.keepSegments(name, slotKey(name, 2), []);
      isBlank((await all(name))[1]!);
      expect(await collection.keptSlots(name)).toEqual([]);
    });

    it("become ancestors below one: what they hold stays, and is nobody's", async () => {
      const name = await threeRuns();
      for (const _ of [1, 2]) await collection.keepAncestors(name, "b", 3);
      const slots = await all(name);
      const { run_id, token, flush_id, ...content } = dataOf(name, 2, "b");
      expect(slots[1]).toEqual({ ...content, kept: "ancestors" });
      expect(slots[2]).toEqual(dataOf(name, 3, "b"));
      await collection.keepSegments(name, slotKey(name, 3), ["x3"]);
      expect(numbers(await collection.keptSlots(name)).toSorted()).toEqual([2, 3]);
    });

    it("become blank with the whole journal, and are kept for a while", async () => {
      const name = await threeRuns();
      await collection.insertFences(fenceOf(name, anyToken), 6, 6);
      const now = new Date();
      for (const _ of [1, 2]) await collection.blankJournal(name, now);
      const slots = await all(name);
      expect(numbers(slots)).toEqual([1, 2, 3, 4, 5, 6]);
      for (const { expire_at, ...slot } of slots.slice(0, 5)) {
        isBlank(slot);
        expect(expire_at!.getTime()).toBeGreaterThan(now.getTime());
      }
      expect(slots[5]).toMatchObject({ fences: anyToken });
      expect((await all(`${name}-other`))[0]).toEqual(dataOf(`${name}-other`, 1, "b"));
    });
  });
}
