import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, connect as dial, type Socket } from "node:net";
import type { BaseMessageLike } from "@langchain/core/messages";
import { Annotation, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { emptyCheckpoint, INTERRUPT } from "@langchain/langgraph-checkpoint";
import { BSON, MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { readingSaver, smallFlush, startRun } from "../support/journal-threads.ts";
import { createJournal } from "../support/stores.ts";

let database: TestDatabase;
let journal: Journal;
let slots: JournalCollection["documents"];

beforeAll(async () => {
  database = await testDatabase();
  await createIndexes(database.db);
  journal = createJournal(database.db);
  slots = new JournalCollection(database.db).documents;
});
afterAll(() => database.close());

const thread = { configurable: { thread_id: "thread" } };

describe("order", () => {
  it("is by slot: what a server with a slow clock writes later is the newest", async () => {
    const name = randomUUID();
    const { saver } = await startRun(journal, name);
    const config = { configurable: { thread_id: "thread", checkpoint_ns: "" } };
    const metadata = { source: "loop" as const, step: 0, parents: {} };
    const ids = ["1f0a0000-0000-6000-8000-000000000000", "1f000000-0000-6000-8000-000000000000"];
    let parent = config;
    for (const id of ids)
      parent = (await saver.put(parent, { ...emptyCheckpoint(), id }, metadata, {})) as typeof config;

    expect(await journal.newest(name)).toBe(ids[1]);
    expect((await saver.getTuple(config))?.checkpoint.id).toBe(ids[1]);
    const listed = [];
    for await (const tuple of saver.list(config)) listed.push(tuple.checkpoint.id);
    expect(listed).toEqual(ids.toReversed());
    const before = [];
    for await (const tuple of saver.list(config, { before: parent })) before.push(tuple.checkpoint.id);
    expect(before).toEqual([ids[0]]);
  });

  it("lists long histories page by page, and filters by metadata", async () => {
    const name = randomUUID();
    const { saver, runId } = await startRun(journal, name);
    const config = { configurable: { thread_id: "thread", checkpoint_ns: "" } };
    for (let step = 0; step < 120; step++) {
      await saver.put(config, emptyCheckpoint(), { source: step % 2 ? "loop" : "input", step, parents: {} }, {});
    }
    const steps = async (options: object) => {
      const found = [];
      for await (const { metadata } of saver.list(config, options)) found.push(metadata!.step);
      return found;
    };
    expect(await steps({})).toEqual(Array.from({ length: 120 }, (_, index) => 119 - index));
    expect(await steps({ limit: 70 })).toHaveLength(70);
    expect(await steps({ filter: { source: "loop" }, limit: 3 })).toEqual([119, 117, 115]);
    expect(await steps({ filter: { run_id: runId } })).toHaveLength(120);
    expect(await steps({ filter: { run_id: "other" } })).toEqual([]);
    expect(await steps({ filter: { step: 7, source: "loop" } })).toEqual([7]);
  });
});

describe("size", () => {
  it("of 200 steps that append a message of 1 kB each grows with what is appended, not with the square", async () => {
    const name = randomUUID();
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("talk", ({ messages }) => ({
        messages: [{ role: "assistant", content: `${messages.length} ${"x".repeat(1_000)}` }] as BaseMessageLike[],
      }))
      .addEdge(START, "talk")
      .addConditionalEdges("talk", ({ messages }) => (messages.length > 200 ? END : "talk"));
    const { saver, writer } = await startRun(journal, name);
    const started = performance.now();
    const input = { messages: [{ role: "user", content: "go" }] as BaseMessageLike[] };
    await graph.compile({ checkpointer: saver }).invoke(input, { ...thread, recursionLimit: 300, durability: "sync" });
    const took = performance.now() - started;
    const stored = await slots.find({ journal: name }).toArray();
    const bytes = stored.reduce((sum, slot) => sum + BSON.calculateObjectSize(slot), 0);
    const reading = performance.now();
    const state = await graph.compile({ checkpointer: readingSaver(journal, name) }).getState(thread);
    const read = performance.now() - reading;
    console.log(
      `200 steps: ${(bytes / 1e6).toFixed(2)} MB in ${writer.headSlot} slots, ` +
        `${(took / 200).toFixed(1)} ms a step, state read in ${read.toFixed(0)} ms`,
    );
    expect(state.values.messages).toHaveLength(201);
    expect(bytes).toBeLessThan(3_000_000);
  });

  it("of a big value that does not change is paid once", async () => {
    const name = randomUUID();
    const State = Annotation.Root({ big: Annotation<string>, count: Annotation<number> });
    const graph = new StateGraph(State)
      .addNode("increment", ({ count }) => ({ count: count + 1 }))
      .addEdge(START, "increment")
      .addConditionalEdges("increment", ({ count }) => (count < 20 ? "increment" : END));
    const big = "b".repeat(200_000);
    const { saver } = await startRun(journal, name);
    await graph.compile({ checkpointer: saver }).invoke({ big, count: 0 }, thread);
    const stored = await slots.find({ journal: name }).toArray();
    // Once as the input, once as the value.
    expect(stored.reduce((sum, slot) => sum + BSON.calculateObjectSize(slot), 0)).toBeLessThan(3.5 * big.length);
    const state = await graph.compile({ checkpointer: readingSaver(journal, name) }).getState(thread);
    expect(state.values).toEqual({ big, count: 20 });
  });

  it("of a value may exceed what a document holds", { timeout: 60_000 }, async () => {
    const name = randomUUID();
    const graph = new StateGraph(Annotation.Root({ big: Annotation<string> }))
      .addNode("fill", () => ({ big: "é".repeat(10_000_000) }))
      .addEdge(START, "fill")
      .addEdge("fill", END);
    const { saver } = await startRun(journal, name);
    await graph.compile({ checkpointer: saver }).invoke({ big: "small" }, thread);
    const state = await graph.compile({ checkpointer: readingSaver(journal, name) }).getState(thread);
    expect(state.values.big).toHaveLength(10_000_000);
    expect(Buffer.byteLength(state.values.big)).toBe(20_000_000);
  });
});

describe("pending writes", () => {
  it("of a task that ran twice count as they were first stored, special ones as they were last, in the order of paths", async () => {
    const name = randomUUID();
    const config = { configurable: { thread_id: "thread", checkpoint_ns: "", checkpoint_id: "c" } };
    const first = await startRun(journal, name);
    const metadata = { source: "loop" as const, step: 0, parents: {} };
    const root = { configurable: { thread_id: "thread", checkpoint_ns: "" } };
    await first.saver.put(root, { ...emptyCheckpoint(), id: "c" }, metadata, {});
    await first.saver.putWrites(
      config,
      [
        ["a", "first"],
        [INTERRUPT, "first"],
      ],
      "task-1",
      "~2",
    );
    const second = await startRun(journal, name);
    await second.saver.putWrites(
      config,
      [
        ["a", "second"],
        [INTERRUPT, "second"],
      ],
      "task-1",
      "~2",
    );
    await second.saver.putWrites(config, [["b", "beside"]], "task-2", "~1");
    const tuple = await readingSaver(journal, name).getTuple(config);
    expect(tuple?.pendingWrites).toEqual([
      ["task-2", "b", "beside"],
      ["task-1", INTERRUPT, "second"],
      ["task-1", "a", "first"],
    ]);

    await journal.deleteRun(name, second.runId);
    expect((await readingSaver(journal, name).getTuple(config))?.pendingWrites).toEqual([
      ["task-1", INTERRUPT, "first"],
      ["task-1", "a", "first"],
    ]);
  });
});

describe("bytes that are missing", () => {
  it("are an error, never a quietly shorter state", async () => {
    const name = randomUUID();
    const graph = new StateGraph(Annotation.Root({ text: Annotation<string> }))
      .addNode("echo", ({ text }) => ({ text: `${text}!` }))
      .addEdge(START, "echo")
      .addEdge("echo", END);
    const { saver } = await startRun(journal, name);
    await graph.compile({ checkpointer: saver }).invoke({ text: "t".repeat(2_000) }, thread);
    await slots.updateMany({ journal: name }, { $unset: { segments: "" } });
    const reader = graph.compile({ checkpointer: readingSaver(journal, name) });
    await expect(reader.getState(thread)).rejects.toThrow(/missing/);
  });
});

/** The engine's address, by way of a proxy. */
const behind = (port: number): string => database.uri.replace(/:\d+\//, `:${port}/`);

describe("a write whose answer is lost", () => {
  it("lands once and in order", async () => {
    const name = randomUUID();
    const proxy = await startCuttingProxy(new URL(database.uri).port);
    const client = await MongoClient.connect(behind(proxy.port), { retryWrites: true });
    try {
      const distant = createJournal(client.db(database.name));
      const { writer } = await startRun(distant, name);
      for (let round = 0; round < 5; round++) {
        proxy.cutAnswersTo("insert", 2);
        await writer.append(smallFlush(`checkpoint-${round}`));
      }
      expect(proxy.cuts).toBeGreaterThanOrEqual(5);
      expect(writer.headSlot).toBe(5);
      const ids = await slots.find({ journal: name }).sort({ slot: 1 }).toArray();
      expect(ids.map(({ checkpoints }) => checkpoints?.[0]?.id)).toEqual([0, 1, 2, 3, 4].map((n) => `checkpoint-${n}`));
      expect(await writer.close()).toMatchObject({ clean: true });
    } finally {
      await client.close();
      await proxy.stop();
    }
  });

  it("is reported by close: its fate is unknown", async () => {
    const name = randomUUID();
    const proxy = await startCuttingProxy(new URL(database.uri).port);
    const client = await MongoClient.connect(behind(proxy.port), {
      retryWrites: true,
      serverSelectionTimeoutMS: 500,
    });
    try {
      const { writer } = await startRun(createJournal(client.db(database.name)), name);
      await writer.append(smallFlush());
      proxy.cutAnswersTo("insert", 1_000_000);
      const appended = writer.append(smallFlush()).catch((error: Error) => error);
      await expect.poll(() => proxy.cuts).toBeGreaterThan(0);
      await proxy.stop();
      expect(await writer.close()).toEqual({ clean: false });
      expect(await appended).toBeInstanceOf(Error);
      await expect(writer.append(smallFlush())).rejects.toMatchObject({ name: "FencedError" });
    } finally {
      await client.close();
    }
  });
});

/** Forwards to the database, and drops the connection instead of passing on the answer to a command. */
async function startCuttingProxy(target: string) {
  const sockets = new Set<Socket>();
  let word = "";
  let left = 0;
  let cuts = 0;
  const server = createServer((near) => {
    const far = dial(Number(target), "127.0.0.1");
    let cutNext = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    near.on("data", (data) => {
      if (left > 0 && data.includes(word) && data.includes("flush_id")) cutNext = true;
      far.write(data);
    });
    far.on("data", (data) => {
      if (!cutNext) return near.write(data);
      cutNext = false;
      left -= 1;
      cuts += 1;
      near.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    cutAnswersTo(command: string, count: number) {
      word = command;
      left = count;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
