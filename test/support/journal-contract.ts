import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import type { JournalFlush, JournalListQuery, PendingWriteRecord } from "../../src/checkpoints/journal-port.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { smallFlush, startRun } from "./journal-threads.ts";
import { createJournal } from "./stores.ts";

/** What every journal of checkpoints must do for those who read it, and for its copies. */
export function describeJournal(which: string, openDb: () => Promise<Db>): void {
  let journal: Journal;
  let collection: JournalCollection;
  let slots: JournalCollection["documents"];
  beforeAll(async () => {
    const db = await openDb();
    journal = createJournal(db);
    collection = new JournalCollection(db);
    slots = collection.documents;
  });

  const numbers = async (name: string) =>
    (await slots.find({ journal: name }).sort({ slot: 1 }).toArray()).map(({ slot }) => slot);
  const checkpointOf = (id: string, namespace = "", metadataFields: Record<string, unknown> = {}): JournalFlush => {
    const flush = smallFlush(id, namespace);
    return { ...flush, checkpoints: flush.checkpoints.map((one) => ({ ...one, metadataFields })) };
  };
  const text = (value: string) => ({ type: "json", bytes: Buffer.from(JSON.stringify(value)) });
  const writeOf = (checkpointId: string, taskId: string, index: number, value: string): PendingWriteRecord => ({
    namespace: "",
    checkpointId,
    taskId,
    taskPath: "",
    index,
    channel: "channel",
    value: { inline: text(value) },
  });
  const onlyWrites = (...writes: PendingWriteRecord[]): JournalFlush => ({ ...smallFlush(), checkpoints: [], writes });
  const idsOf = (found: readonly { readonly checkpointId: string }[]) => found.map(({ checkpointId }) => checkpointId);

  describe(`checkpoints ${which}`, () => {
    it("are read by their ids, and else the newest of their namespace, with what was written on them", async () => {
      const name = randomUUID();
      const { writer } = await startRun(journal, name);
      const value = { type: "json", parts: [{ segmentId: "s", length: 3 }] };
      const [first] = smallFlush("one").checkpoints;
      const one = { ...first!, metadataFields: { step: 1 }, values: { "a.$b": value, inline: { inline: text("x") } } };
      const segments = [{ segmentId: "s", bytes: Buffer.from('"abc"') }];
      await writer.append({ ...smallFlush(), checkpoints: [one], segments });
      await writer.append(checkpointOf("of a child", "child:1"));
      const pending = [writeOf("one", "task", 0, "a"), { ...writeOf("one", "task", 1, ""), value }];
      await writer.append(onlyWrites(...pending, writeOf("none", "task", 0, "elsewhere")));
      for (const port of [writer, journal.reader(name), (await startRun(journal, name)).writer]) {
        const read = (await port.read({ namespace: "" }))!;
        expect(await port.read({ namespace: "", checkpointId: "one" })).toEqual(read);
        expect(read).toEqual({
          ...one,
          checkpoint: expect.anything(),
          metadata: expect.anything(),
          values: expect.anything(),
          writes: expect.anything(),
          segmentBytes: expect.anything(),
        });
        expect(read.values["a.$b"]).toEqual(value);
        expect(Buffer.from(read.segmentBytes.s!).toString()).toBe('"abc"');
        expect(read.writes.map(({ taskId, index }) => [taskId, index])).toEqual([
          ["task", 0],
          ["task", 1],
        ]);
        expect(await port.read({ namespace: "child:1" })).toMatchObject({ checkpointId: "of a child", writes: [] });
        expect(await port.read({ namespace: "other" })).toBeUndefined();
        expect(await port.read({ namespace: "", checkpointId: "of a child" })).toBeUndefined();
      }
      await expect(journal.reader(name).append(smallFlush())).rejects.toThrow("for reading");
    });

    it("are listed newest first by their places, as many as are asked for", async () => {
      const name = randomUUID();
      const { writer } = await startRun(journal, name);
      await writer.append(checkpointOf("z", "", { step: 0, source: "input", deep: { a: [1] } }));
      await writer.append(checkpointOf("child", "child", { step: 0 }));
      const three = ["y", "x", "w"].map((id) => checkpointOf(id, "", { step: 1, source: "loop" }).checkpoints[0]!);
      await writer.append({ ...smallFlush(), checkpoints: three });
      // Put again it stands where it was put last.
      await writer.append(checkpointOf("y", "", { step: 2, source: "loop" }));
      const list = async (query: JournalListQuery) => idsOf(await journal.reader(name).list(query));
      expect(await list({})).toEqual(["y", "w", "x", "child", "z"]);
      expect(await list({ namespace: "" })).toEqual(["y", "w", "x", "z"]);
      expect(await list({ namespace: "child" })).toEqual(["child"]);
      expect(await list({ namespace: "none" })).toEqual([]);
      expect(await list({ namespace: "", limit: 2 })).toEqual(["y", "w"]);
      expect(await list({ limit: 0 })).toEqual([]);
      expect(await list({ checkpointId: "x" })).toEqual(["x"]);
      expect(await list({ namespace: "", beforeCheckpointId: "w" })).toEqual(["x", "y", "z"]);
      expect(await list({ namespace: "", beforeCheckpointId: "x" })).toEqual(["y", "z"]);
      expect(await list({ beforeCheckpointId: "child" })).toEqual(["z"]);
      for (const namespace of [undefined, ""]) expect(await list({ namespace, beforeCheckpointId: "z" })).toEqual([]);
      expect(await list({ beforeCheckpointId: "none" })).toEqual([]);
      expect(await list({ metadata: { source: "loop" } })).toEqual(["y", "w", "x"]);
      expect(await list({ metadata: { step: 0, deep: { a: [1] } } })).toEqual(["z"]);
      expect(await list({ metadata: { source: "loop" }, limit: 1, namespace: "" })).toEqual(["y"]);
      expect(await list({ metadata: { step: 9 } })).toEqual([]);
      const read = await journal.reader(name).read({ namespace: "", checkpointId: "y" });
      expect(read!.metadataFields).toEqual({ step: 2, source: "loop" });
    });

    it("that are kept for others to build on are read by those who ask for them, and by nobody else", async () => {
      const name = randomUUID();
      await (await startRun(journal, name)).writer.append(smallFlush("one"));
      const { writer, runId } = await startRun(journal, name);
      await writer.append({ ...smallFlush("two"), writes: [writeOf("one", "t", 0, "a")] });
      await collection.keepAncestors(name, runId, writer.headSlot + 1);
      const { read, list } = journal.reader(name);
      const seen = async (includeKept?: boolean) => [
        (await read({ namespace: "", includeKept }))?.checkpointId,
        (await read({ namespace: "", checkpointId: "two", includeKept }))?.checkpointId,
        (await read({ namespace: "", checkpointId: "one", includeKept }))!.writes.length,
        ...idsOf(await list({ namespace: "", includeKept })),
        ...idsOf(await list({ includeKept })),
      ];
      expect(await seen()).toEqual(["one", undefined, 0, "one", "one"]);
      expect(await seen(true)).toEqual(["two", "two", 1, "two", "one", "two", "one"]);
      expect(await journal.newest(name)).toBe("one");
      expect(idsOf(await list({ beforeCheckpointId: "two" }))).toEqual(["one"]);
    });

    it("are found for whoever goes on from them, also where the tasks of their namespace are not told", async () => {
      const name = randomUUID();
      const [first, second] = [await startRun(journal, name), await startRun(journal, name)];
      expect(await journal.newest(name)).toBeUndefined();
      await first.writer.append(checkpointOf("one", "", { step: 1 }));
      await first.writer.append(checkpointOf("kept", "child|inner"));
      await first.writer.append(checkpointOf("task's", "child:1"));
      const found = (checkpointNs: string, checkpointId?: string) =>
        journal.checkpoint(name, { checkpointNs, checkpointId });
      expect(await journal.newest(name)).toBe("one");
      expect(await found("")).toEqual({ checkpointId: "one", checkpointNs: "", fields: { step: 1 } });
      expect(await found("", "task's")).toBeUndefined();
      expect(await found("child:1")).toMatchObject({ checkpointId: "task's", checkpointNs: "child:1" });
      const inner = { checkpointId: "kept", checkpointNs: "child|inner" };
      expect(await found("child:2|inner:3", "kept")).toMatchObject(inner);
      expect(await found("child:2|inner:3")).toMatchObject(inner);
      expect(await found("child:2")).toBeUndefined();
      expect(await journal.hasCheckpoints(name, first.runId)).toBe(true);
      expect([await journal.hasWritten(name, second.runId), await journal.hasWritten(name, first.runId)]).toEqual([
        false,
        true,
      ]);
      const third = await startRun(journal, name);
      await third.writer.append(onlyWrites(writeOf("one", "task", 0, "a")));
      expect(await journal.hasWritten(name, third.runId)).toBe(true);
      expect(await journal.hasCheckpoints(name, third.runId)).toBe(false);
    });

    it("have the first result of a task that ran twice, and its last question", async () => {
      const name = randomUUID();
      const first = await startRun(journal, name);
      await first.writer.append(smallFlush("c"));
      await first.writer.append(onlyWrites(writeOf("c", "t", 0, "first"), writeOf("c", "t", -3, "first")));
      const second = await startRun(journal, name);
      await second.writer.append(onlyWrites(writeOf("c", "t", 0, "second"), writeOf("c", "t", -3, "second")));
      const results = async () =>
        (await journal.reader(name).read({ namespace: "" }))!.writes.map(({ index, value }) => [
          index,
          "inline" in value && Buffer.from(value.inline.bytes).toString(),
        ]);
      expect(await results()).toEqual([
        [0, '"first"'],
        [-3, '"second"'],
      ]);
      await journal.deleteRun(name, second.runId);
      expect(await results()).toEqual([
        [0, '"first"'],
        [-3, '"first"'],
      ]);
    });
  });

  describe(`a copy of a journal ${which}`, () => {
    const always = async () => undefined;

    it("holds the same, has no gaps, and is of nobody's run", async () => {
      const [name, copy] = [randomUUID(), randomUUID()];
      const first = await startRun(journal, name);
      await first.writer.append(checkpointOf("one", "", { step: 1 }));
      await first.writer.append(onlyWrites(writeOf("one", "t", 0, "a")));
      await journal.fence(name, first.token);
      const second = await startRun(journal, name);
      await second.writer.append(checkpointOf("undone"));
      await journal.deleteRun(name, second.runId);
      const { writer, runId } = await startRun(journal, name);
      await writer.append(checkpointOf("two", "child"));
      await journal.copy(name, { journal: copy, owner: "owner", threadId: "copy" }, always);
      const all = (of: string) => journal.reader(of).list({});
      const before = await all(name);
      expect(await all(copy)).toEqual(before);
      const copied = await slots.find({ journal: copy }).sort({ slot: 1 }).toArray();
      expect(copied.map(({ slot }) => slot)).toEqual([1, 2, 3]);
      for (const slot of copied) {
        expect(slot).toMatchObject({ owner: "owner", thread_id: "owner/copy" });
        expect(slot).not.toHaveProperty("run_id");
        expect(slot).not.toHaveProperty("token");
        expect(slot.expire_at!.getTime()).toBeGreaterThan(Date.now());
      }
      for (const of of [name, copy]) await journal.deleteRun(of, runId);
      expect(await all(copy)).toEqual(before);
      expect(idsOf(await all(name))).toEqual(["one"]);
    });

    it("stays when it is kept, goes when it is not wanted, and ends where it may not go on", async () => {
      const name = randomUUID();
      await (await startRun(journal, name)).writer.append(smallFlush("one"));
      const copied = async (check: () => Promise<void>) => {
        const copy = randomUUID();
        const copying = journal.copy(name, { journal: copy, owner: "", threadId: "copy" }, check);
        return [copy, await copying.catch((error: Error) => error.message)] as const;
      };
      const [[kept], [discarded], [refused, message]] = [
        await copied(always),
        await copied(always),
        await copied(async () => Promise.reject(new Error("not any more"))),
      ];
      await journal.keepCopy(kept);
      expect(await slots.countDocuments({ journal: kept, expire_at: { $exists: true } })).toBe(0);
      expect(await journal.newest(kept)).toBe("one");
      await journal.discardCopy(discarded);
      expect([await numbers(discarded), await numbers(refused), message]).toEqual([[], [], "not any more"]);
      expect(await journal.newest(name)).toBe("one");
    });
  });
}
