import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StoredThread } from "../../src/domain/ports.ts";
import { newControl, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { named } from "../../src/domain/thread/large-state.ts";
import type { RememberedState } from "../../src/domain/thread.ts";
import { collections } from "../../src/storage/collections.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { openStores } from "../support/stores.ts";

/** What is remembered of a thread and is too large to stand beside its lane. */
let database: TestDatabase;
let stores: Stores;
beforeAll(async () => {
  database = await testDatabase();
  stores = await openStores(database.db);
});
afterAll(() => database.close());

const stateOf = (letter: string, n = 1): RememberedState => ({
  n,
  graph: "graph",
  next: ["ask"],
  interrupts: [{ id: "question", value: JSON.stringify(letter.repeat(10_000)) }],
  values: JSON.stringify({ letter, long: letter.repeat(70_000) }),
});

const newThread = (state?: RememberedState): StoredThread => {
  const threadId = randomUUID();
  return {
    origin: { owner: "", threadId, journal: randomUUID(), createdAt: 1_000 },
    control: newControl({ threadId, rev: "born", metadata: {}, state }, 1_000),
  };
};

/** The documents of the thread, notes included, when what is of no use any more has gone. */
const documentsOf = async ({ origin }: StoredThread): Promise<string[]> => {
  const found = await collections(database.db).threadStates.find({ thread_id: origin.threadId }).toArray();
  return found.map(({ _id }) => _id.slice(origin.threadId.length + 1)).sort();
};

/** Brings the state, as a decision does, and answers what is read then. */
async function bring(thread: StoredThread, rev: string, state: RememberedState | undefined): Promise<ThreadControl> {
  const before = (await stores.lanes.read(thread.origin))!.control;
  const after = { ...before, rev, state: state && named(state, rev) };
  expect(await stores.lanes.write(thread.origin, before.rev, after, { before })).toBe(true);
  return (await stores.lanes.read(thread.origin))!.control;
}

const later = () => new Date(Date.now() + 60_000);

describe("a large state", () => {
  it("is not read by a decision, and whole for whoever reads the thread", async () => {
    const thread = newThread();
    await stores.lanes.insert(thread);
    const state = stateOf("a");
    const control = await bring(thread, "one", state);
    expect(control.state).toEqual({
      n: 1,
      graph: "graph",
      next: ["ask"],
      interrupts: [{ id: "question" }],
      apart: "one",
    });
    const stored = await collections(database.db).threads.findOne({ _id: thread.origin.threadId });
    expect(stored!.state!.length).toBeLessThan(200);
    expect((await stores.threads.find(thread.origin))!.state).toEqual(state);
    const filter = { owner: "", values: { letter: "a" }, threadIds: [thread.origin.threadId] };
    const order = { by: "created_at", descending: true } as const;
    expect((await stores.threads.search(filter, order, { limit: 2 })).map((one) => one.state)).toEqual([state]);
    await expect.poll(() => documentsOf(thread)).toEqual(["one"]);
  });

  it("goes when another takes its place, or none, and with its thread", async () => {
    const thread = newThread(stateOf("a"));
    await stores.lanes.insert(thread);
    await expect.poll(() => documentsOf(thread)).toEqual(["born"]);
    expect((await stores.threads.find(thread.origin))!.state).toEqual(stateOf("a"));
    await bring(thread, "two", stateOf("b"));
    await expect.poll(() => documentsOf(thread)).toEqual(["two"]);
    const small = { ...stateOf("c"), values: "{}", interrupts: [] };
    expect((await bring(thread, "three", small)).state).toEqual(small);
    await expect.poll(() => documentsOf(thread)).toEqual([]);
    await bring(thread, "four", stateOf("d"));
    expect(await stores.lanes.remove(thread.origin, "four")).toBe(true);
    await expect.poll(() => documentsOf(thread)).toEqual([]);
  });

  it("that no decision has named, or none names any more, goes with a sweep", async () => {
    const thread = newThread(stateOf("a"));
    await stores.lanes.insert(thread);
    const { control: before } = (await stores.lanes.read(thread.origin))!;
    const after = { ...before, rev: "late", state: named(stateOf("b"), "late") };
    expect(await stores.lanes.write(thread.origin, "another", after, { before })).toBe(false);
    await expect.poll(() => documentsOf(thread)).toEqual(["born", "born/new", "late", "late/new"]);
    await stores.lanes.sweepStates(new Date(1_000));
    expect(await documentsOf(thread)).toHaveLength(4);
    await stores.lanes.sweepStates(later());
    await expect.poll(() => documentsOf(thread)).toEqual(["born"]);
    expect((await stores.threads.find(thread.origin))!.state).toEqual(stateOf("a"));
  });

  it("is stored once when its decision is sent once more", async () => {
    const thread = newThread();
    await stores.lanes.insert(thread);
    const { control: before } = (await stores.lanes.read(thread.origin))!;
    const after = { ...before, rev: "one", state: named(stateOf("a"), "one") };
    expect(await stores.lanes.write(thread.origin, "born", after, { before })).toBe(true);
    // The answer was lost, and the copy misses.
    expect(await stores.lanes.write(thread.origin, "born", after, { before })).toBe(false);
    expect((await stores.threads.find(thread.origin))!.state).toEqual(stateOf("a"));
    await stores.lanes.sweepStates(later());
    await expect.poll(() => documentsOf(thread)).toEqual(["one"]);
  });

  it("that is not to be had leaves the rest of what is known", async () => {
    const thread = newThread(stateOf("a"));
    await stores.lanes.insert(thread);
    await collections(database.db).threadStates.deleteMany({ thread_id: thread.origin.threadId });
    const { state } = (await stores.threads.find(thread.origin))!;
    expect(state).toEqual({ n: 1, graph: "graph", next: ["ask"], interrupts: [{ id: "question" }], cut: true });
  });
});
