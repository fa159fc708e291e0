import { randomBytes } from "node:crypto";
import * as checkpointModule from "@langchain/langgraph-checkpoint";
import { emptyCheckpoint } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { flushDocuments } from "../../../src/checkpoints/flush-documents.ts";
import { FencedError, type JournalFlush, type JournalPort } from "../../../src/checkpoints/journal-port.ts";
import { createJournalSaver } from "../../../src/checkpoints/journal-saver.ts";

/** A port whose flushes land when the test says so. */
function heldPort() {
  const flushes: { flush: JournalFlush; land(): void; fail(error: Error): void }[] = [];
  const port: JournalPort = {
    append: (flush) => new Promise((land, fail) => flushes.push({ flush, land, fail })),
    read: async () => undefined,
    list: async () => [],
  };
  return { port, flushes };
}

const config = { configurable: { thread_id: "thread", checkpoint_ns: "", checkpoint_id: "c" } };
const metadata = { source: "loop" as const, step: 0, parents: {} };
/** What is added in one turn of the event loop is sent in the next. */
async function turn(): Promise<void> {
  for (let i = 0; i < 2; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("the journal saver", () => {
  it("has one flush under way; what gathers meanwhile goes with the next", async () => {
    const { port, flushes } = heldPort();
    const saver = createJournalSaver(checkpointModule, port);
    const writes = [1, 2, 3, 4].map((n) => saver.putWrites(config, [["channel", n]], `task-${n}`));
    await turn();
    const later = saver.put(config, emptyCheckpoint(), metadata, {});
    await turn();
    expect(flushes).toHaveLength(1);
    const first = flushes[0]!.flush.writes.length;
    flushes[0]!.land();
    await turn();
    expect(flushes).toHaveLength(2);
    expect(first + flushes[1]!.flush.writes.length).toBe(4);
    expect(flushes[1]!.flush.checkpoints).toHaveLength(1);
    flushes[1]!.land();
    await Promise.all([...writes, later]);
  });

  describe("behind", () => {
    it("lets puts resolve before they are stored, and stores together what gathers", async () => {
      const { port, flushes } = heldPort();
      const saver = createJournalSaver(checkpointModule, port, { isBehind: true });
      const put = () => saver.put(config, emptyCheckpoint(), metadata, {});
      await put();
      await turn();
      for (let n = 0; n < 3; n += 1) await put();
      await saver.putWrites(config, [["channel", 1]], "task");
      expect(flushes).toHaveLength(1);
      flushes[0]!.land();
      await turn();
      expect(flushes).toHaveLength(2);
      expect(flushes[1]!.flush.checkpoints).toHaveLength(3);
      expect(flushes[1]!.flush.writes).toHaveLength(1);
    });

    it("is quiet only when all is stored, and reads of a namespace wait for what was put into it", async () => {
      const { port, flushes } = heldPort();
      const saver = createJournalSaver(checkpointModule, port, { isBehind: true });
      await saver.putWrites(config, [["channel", 1]], "task");
      const done: string[] = [];
      const quiet = saver.quiet().then(() => done.push("quiet"));
      const read = saver.getTuple(config).then(() => done.push("read"));
      const elsewhere = { configurable: { ...config.configurable, checkpoint_ns: "child" } };
      await saver.getTuple(elsewhere);
      for (let i = 0; i < 5; i += 1) await turn();
      expect(done).toEqual([]);
      flushes[0]!.land();
      await Promise.all([quiet, read]);
      expect(saver.failure).toBeUndefined();
    });

    it("tells what was not stored, and refuses what might build on it", async () => {
      const { port, flushes } = heldPort();
      const fenced: unknown[] = [];
      const onFailed = (error: unknown) => fenced.push(error);
      const saver = createJournalSaver(checkpointModule, port, { isBehind: true, onFailed });
      await saver.putWrites(config, [["channel", 1]], "task");
      await turn();
      const error = new FencedError("fenced");
      flushes[0]!.fail(error);
      await saver.quiet();
      expect(saver.failure).toEqual({ error });
      expect(fenced).toEqual([error]);
      await expect(saver.put(config, emptyCheckpoint(), metadata, {})).rejects.toThrow("fenced");
    });

    it("lets no more than a bounded size of puts go ahead", async () => {
      const { port, flushes } = heldPort();
      const saver = createJournalSaver(checkpointModule, port, { isBehind: true });
      let ahead = 0;
      // As much as it says, compressed or not.
      const value = randomBytes(225_000).toString("base64");
      const putting = (async () => {
        for (; ahead < 30; ahead += 1) await saver.putWrites(config, [["channel", value]], `task-${ahead}`);
      })();
      for (let i = 0; i < 100; i += 1) await turn();
      const before = ahead;
      for (let i = 0; i < 100; i += 1) await turn();
      expect(ahead).toBe(before);
      expect(before).toBeLessThan(15);
      for (let n = 0; ahead < 30; n += flushes[n] ? 1 : 0) {
        flushes[n]?.land();
        await turn();
      }
      await putting;
      // Of what goes together all fits one document, so that nothing lands before what was put earlier.
      for (const { flush } of flushes) expect(flushDocuments(flush)).toHaveLength(1);
    });
  });

  it("is quiet only when nothing is under way, and closed for good then", async () => {
    const { port, flushes } = heldPort();
    const saver = createJournalSaver(checkpointModule, port);
    let quiet = false;
    const write = saver
      .putWrites(config, [["channel", 1]], "task")
      .then(() => saver.putWrites(config, [["channel", 2]], "task-2"));
    const waiting = saver.quiet().then(() => {
      quiet = true;
    });
    for (let n = 0; n < 2; n++) {
      for (let i = 0; i < 5; i++) await turn();
      expect(quiet).toBe(false);
      flushes[n]!.land();
      await turn();
    }
    await Promise.all([write, waiting]);
    saver.close();
    await expect(saver.putWrites(config, [["channel", 3]], "task")).rejects.toThrow(/over/);
    await expect(saver.getTuple(config)).rejects.toThrow(/over/);
    expect(flushes).toHaveLength(2);
  });

  it("fails everything after a flush that failed, since it might build on it", async () => {
    const { port, flushes } = heldPort();
    const fenced: unknown[] = [];
    const saver = createJournalSaver(checkpointModule, port, { onFailed: (error) => fenced.push(error) });
    const first = saver.putWrites(config, [["channel", 1]], "task-1");
    await turn();
    const second = saver.putWrites(config, [["channel", 2]], "task-2");
    await turn();
    flushes[0]!.fail(new FencedError("fenced"));
    await expect(first).rejects.toThrow("fenced");
    await expect(second).rejects.toThrow("fenced");
    await expect(saver.putWrites(config, [["channel", 3]], "task-3")).rejects.toThrow("fenced");
    expect(flushes).toHaveLength(1);
    expect(fenced).toHaveLength(1);
  });

  it("drops the errors that LangGraph notes on tasks once the run is aborted, and nothing else", async () => {
    const { port, flushes } = heldPort();
    const controller = new AbortController();
    const saver = createJournalSaver(checkpointModule, port, { signal: controller.signal });
    controller.abort();
    await saver.putWrites(config, [[checkpointModule.ERROR, { message: "Abort" }]], "task-1");
    expect(flushes).toHaveLength(0);
    const mixed = saver.putWrites(
      config,
      [
        ["channel", 1],
        [checkpointModule.ERROR, "Abort"],
      ],
      "task-2",
    );
    await turn();
    expect(flushes[0]!.flush.writes.map(({ channel }) => channel)).toEqual(["channel"]);
    flushes[0]!.land();
    await mixed;
  });

  it("puts whose checkpoint it is into the metadata, without LangGraph's own keys and without live objects", async () => {
    const { port, flushes } = heldPort();
    const saver = createJournalSaver(checkpointModule, port, { runId: "run", metadata: { assistant_id: "a" } });
    const configurable = {
      ...config.configurable,
      user: "u",
      __pregel_x: 1,
      client: new Map(),
      nested: { f: () => 1 },
    };
    void saver.put(
      { configurable, metadata: { run_id: "liar", topic: { deep: [1] } } },
      emptyCheckpoint(),
      metadata,
      {},
    );
    await turn();
    expect(flushes[0]!.flush.checkpoints[0]!.metadataFields).toEqual({
      ...metadata,
      user: "u",
      topic: { deep: [1] },
      assistant_id: "a",
      run_id: "run",
    });
    flushes[0]!.land();
  });

  it("stores a value again only when its version changed", async () => {
    const { port, flushes } = heldPort();
    const saver = createJournalSaver(checkpointModule, port);
    const version = String(saver.getNextVersion(undefined));
    expect(version).toMatch(/^000000000001\.[0-9a-f]{12}$/);
    expect(String(saver.getNextVersion(version as never)) > version).toBe(true);
    for (const text of ["x".repeat(500), "y".repeat(500)]) {
      const checkpoint = { ...emptyCheckpoint(), channel_values: { text }, channel_versions: { text: version } };
      const done = saver.put(config, checkpoint as never, metadata, {});
      await turn();
      flushes.at(-1)!.land();
      await done;
    }
    expect(flushes.map(({ flush }) => flush.segments.length)).toEqual([1, 0]);
  });

  it("keeps to its thread", async () => {
    const { port } = heldPort();
    const saver = createJournalSaver(checkpointModule, port);
    await saver.getTuple(config);
    const other = { configurable: { ...config.configurable, thread_id: "other" } };
    await expect(saver.getTuple(other)).rejects.toThrow(/thread other/);
    await expect(saver.deleteThread("thread")).rejects.toThrow(/DeleteThread/);
  });
});
