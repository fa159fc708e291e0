import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { Lanes, StoredThread, ThreadFilter, ThreadStore } from "../../src/domain/ports.ts";
import { newControl, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { threadOf } from "../../src/domain/thread/view.ts";
import type { RememberedState, Thread } from "../../src/domain/thread.ts";
import { until } from "./gates.ts";
import type { OpenStores } from "./stores.ts";

/** What every store of threads must do, besides the order and the pages of a search (thread-list-contract.ts). */
export function describeThreads(which: string, open: OpenStores): void {
  let lanes: Lanes;
  let threads: ThreadStore;
  beforeAll(async () => {
    ({ lanes, threads } = await open());
  });

  interface Given extends Partial<ThreadControl> {
    readonly owner?: string;
    readonly threadId?: string;
  }
  function newThread({ owner = "", threadId = randomUUID(), ...change }: Given = {}): StoredThread {
    const control = newControl({ threadId, rev: randomUUID(), metadata: {} }, 1_000);
    return {
      origin: { owner, threadId, journal: randomUUID(), createdAt: 1_000 },
      control: { ...control, ...change },
    };
  }
  async function stored(given?: Given): Promise<StoredThread> {
    const thread = newThread(given);
    expect(await lanes.insert(thread)).toBe(true);
    return thread;
  }
  async function rewritten({ origin, control }: StoredThread, change: Partial<ThreadControl>): Promise<StoredThread> {
    const next = { ...control, ...change, rev: randomUUID() };
    expect(await lanes.write(origin, control.rev, next, { before: control })).toBe(true);
    return { origin, control: next };
  }
  const stateOf = (change: Partial<RememberedState> = {}): RememberedState => ({
    n: 1,
    graph: "graph",
    values: '{"a":1}',
    next: ["ask"],
    interrupts: [{ id: "i", taskId: "t", value: '"may I?"' }],
    ...change,
  });
  const apart = (text: string): RememberedState =>
    stateOf({ values: JSON.stringify({ text }), apart: `apart-${randomUUID()}` });
  /** As it is read: whole, wherever it lies. */
  const seen = (thread: StoredThread): Thread => {
    const { apart: _, ...state } = thread.control.state ?? stateOf();
    return { ...threadOf(thread), ...(thread.control.state && { state }) };
  };
  const asInLane = async ({ origin }: StoredThread) => threadOf((await lanes.read(origin))!);
  /** What is left of a state whose rest is not to be had. */
  const cut = ({ graph, n, next }: RememberedState) => ({
    graph,
    n,
    next,
    interrupts: [{ id: "i", taskId: "t" }],
    cut: true,
  });

  describe(`a thread as its users see it ${which}`, () => {
    it("is found as its lane was written, by its owner", async () => {
      const thread = await stored({
        metadata: { "a.b": { $set: 1 } },
        state: stateOf(),
        status: "error",
        ttlMs: 5,
        updatedAt: 2_000,
        error: { name: "Error", message: "no" },
        watchedBy: [],
      });
      expect(await threads.find(thread.origin)).toEqual(seen(thread));
      const ofOwner = await stored({ owner: "owner", threadId: thread.origin.threadId });
      expect(await threads.find(thread.origin)).toEqual(seen(thread));
      expect(await threads.find(ofOwner.origin)).toEqual(seen(ofOwner));
      expect(await threads.find(newThread().origin)).toBeUndefined();
    });

    it("is found as long as it is being removed, and not when it was", async () => {
      const thread = await stored({ removing: true });
      expect(await threads.find(thread.origin)).toEqual(seen(thread));
      expect(await lanes.remove(thread.origin, thread.control.rev)).toBe(true);
      expect(await threads.find(thread.origin)).toBeUndefined();
    });
  });

  describe(`a state that lies apart ${which}`, () => {
    it("is read with its thread, and put to what a lane says", async () => {
      const thread = await stored({ state: apart("one") });
      const bare = await asInLane(thread);
      expect(bare.state).not.toHaveProperty("values");
      expect(await threads.find(thread.origin)).toEqual(seen(thread));
      expect(await threads.whole(bare)).toEqual(seen(thread));
      const small = await stored({ state: stateOf() });
      expect(await threads.whole(threadOf(small))).toEqual(threadOf(small));
      const stateless = await stored();
      expect(await threads.whole(threadOf(stateless))).toEqual(threadOf(stateless));
    });

    it("is the newest one for those who have found the thread before, once the former one has gone", async () => {
      const first = await stored({ state: apart("one") });
      const found = await asInLane(first);
      const second = await rewritten(first, { state: apart("two") });
      await until(async () => (await threads.whole(found)).state!.values !== first.control.state!.values);
      expect(await threads.whole(found)).toEqual(seen(second));
      const third = await rewritten(second, { state: stateOf({ n: 3 }) });
      await until(async () => (await threads.whole(found)).state!.n === 3);
      expect(await threads.whole(found)).toEqual(seen(third));
    });

    it("is known no more, but for what stands beside the lane, when its thread is gone or another one", async () => {
      const thread = await stored({ state: apart("one") });
      const found = await asInLane(thread);
      await lanes.remove(thread.origin, thread.control.rev);
      const left = { ...threadOf(thread), state: cut(thread.control.state!) };
      expect(await threads.whole(found)).toEqual(left);
      const next = await stored({ threadId: thread.origin.threadId, state: apart("of the next") });
      expect(await threads.whole(found)).toEqual(left);
      expect(await threads.find(next.origin)).toEqual(seen(next));
    });

    it("stays as long as its thread names it, and goes when a crash has left it of no use", async () => {
      const [thread, refused] = [await stored({ state: apart("one") }), newThread({ state: apart("two") })];
      const { apart: name, ...state } = refused.control.state!;
      expect(await lanes.insert({ ...refused, control: { ...refused.control, state: undefined } })).toBe(true);
      // What was stored for it first is named by nobody.
      expect(await lanes.insert(refused)).toBe(false);
      const values = async () =>
        (await threads.whole({ ...threadOf(refused), journal: "another", state: named })).state!.values;
      const named = { ...state, values: undefined, apart: name };
      expect(await values()).toBe('{"text":"two"}');
      // A note stands beside the one that is named, too, as after a crash.
      expect(await lanes.write(thread.origin, "another", thread.control)).toBe(false);
      await lanes.sweepStates(new Date(0));
      expect(await values()).toBe('{"text":"two"}');
      for (const _ of [1, 2]) await lanes.sweepStates(new Date(Date.now() + 60_000));
      expect(await values()).toBeUndefined();
      expect(await threads.find(thread.origin)).toEqual(seen(thread));
    });
  });

  describe(`a search for threads ${which}`, () => {
    const newest = { by: "created_at", descending: true } as const;
    /** What is found, by a name in the metadata; and what is counted. */
    async function named(filter: ThreadFilter): Promise<string[]> {
      const found = await threads.search(filter, newest, { limit: 100 });
      expect(await threads.count(filter)).toBe(found.length);
      return found.map(({ metadata }) => metadata.name as string).sort();
    }
    const owner = randomUUID();
    const all: Record<string, StoredThread> = {};
    beforeAll(async () => {
      const given: Record<string, Partial<ThreadControl>> = {
        chat: { metadata: { app: "chat", tags: ["x"], deep: { a: 1, b: "2" } }, state: stateOf() },
        batch: {
          metadata: { app: "batch", deep: { a: 2 } },
          state: stateOf({ graph: "other", assistantId: "assistant", values: '{"a":2,"b":{"c":null}}' }),
          status: "interrupted",
        },
        fresh: { metadata: { app: "chat", graph_id: "graph", deep: {} } },
        large: { metadata: { app: "large" }, state: { ...apart("large"), assistantId: "assistant" }, status: "error" },
        busy: { metadata: { app: "chat", "a.b": { $ne: 1 } }, status: "busy" },
        removing: { metadata: { app: "chat" }, state: stateOf(), removing: true },
      };
      for (const [name, one] of Object.entries(given))
        all[name] = await stored({ owner, ...one, metadata: { ...one.metadata, name } });
      await stored({ owner: randomUUID(), metadata: { app: "chat", name: "of another" }, state: stateOf() });
    });

    it.each<[string, Omit<ThreadFilter, "owner">, string[]]>([
      ["nothing", {}, ["batch", "busy", "chat", "fresh", "large"]],
      ["metadata", { metadata: { app: "chat" } }, ["busy", "chat", "fresh"]],
      ["several fields", { metadata: { app: "chat", deep: { a: 1 } } }, ["chat"]],
      ["fields of one another's", { metadata: { app: "batch", deep: { a: 1 } } }, []],
      ["a list", { metadata: { tags: ["x"] } }, ["chat"]],
      ["part of a list", { metadata: { tags: [] } }, []],
      ["being an object", { metadata: { deep: {} } }, ["batch", "chat", "fresh"]],
      ["names that could be operators", { metadata: { "a.b": { $ne: 1 } } }, ["busy"]],
      ["values", { values: { a: 1 } }, ["chat"]],
      ["deep values", { values: { a: 2, b: { c: null } } }, ["batch"]],
      ["values that lie apart", { values: { text: "large" } }, ["large"]],
      ["values of another type", { values: { a: "1" } }, []],
      ["statuses", { statuses: ["busy", "error"] }, ["busy", "large"]],
      ["no statuses", { statuses: [] }, ["batch", "busy", "chat", "fresh", "large"]],
      ["a graph, of the state or named", { graph: "graph" }, ["chat", "fresh", "large"]],
      ["an assistant", { assistantId: "assistant" }, ["batch", "large"]],
      ["both", { assistantId: "assistant", graph: "graph" }, ["large"]],
      ["all together", { metadata: { app: "batch" }, values: { a: 2 }, statuses: ["interrupted"] }, ["batch"]],
      ["what is left out", { exclude: [{ metadata: { app: "chat" } }] }, ["batch", "large"]],
      ["what matches one", { exclude: [{ graph: "other" }, { assistantId: "assistant" }] }, ["busy", "chat", "fresh"]],
      [
        "what matches all of one",
        { exclude: [{ metadata: { app: "chat" }, graph: "graph" }] },
        ["batch", "busy", "large"],
      ],
      ["both ways", { metadata: { app: "chat" }, exclude: [{ graph: "graph" }] }, ["busy"]],
    ])("by %s finds, and counts, those that match", async (_, filter, names) => {
      expect(await named({ owner, ...filter })).toEqual(names);
    });

    it("by ids finds them among the others", async () => {
      const ids = ["chat", "large", "removing"].map((name) => all[name]!.origin.threadId);
      const threadIds = [...ids, randomUUID(), (await stored()).origin.threadId];
      expect(await named({ owner, threadIds })).toEqual(["chat", "large"]);
      expect(await named({ owner, threadIds, statuses: ["error"] })).toEqual(["large"]);
      expect(await named({ owner, threadIds: [] })).toHaveLength(5);
    });

    it("answers whole threads, as they are found one by one", async () => {
      const found = await threads.search({ owner }, newest, { limit: 100 });
      const expected = ["batch", "busy", "chat", "fresh", "large"].map((name) => seen(all[name]!));
      expect(found).toHaveLength(expected.length);
      expect(found).toEqual(expect.arrayContaining(expected));
    });

    it("goes by what a thread is like now", async () => {
      const owner = randomUUID();
      const thread = await stored({ owner, metadata: { name: "one", app: "chat" }, state: stateOf() });
      const changed = await rewritten(thread, { metadata: { name: "two" }, state: stateOf({ values: '{"a":5}' }) });
      expect(await named({ owner, metadata: { app: "chat" } })).toEqual([]);
      expect(await named({ owner, values: { a: 1 } })).toEqual([]);
      expect(await named({ owner, metadata: { name: "two" }, values: { a: 5 } })).toEqual(["two"]);
      await lanes.remove(changed.origin, changed.control.rev);
      expect(await named({ owner })).toEqual([]);
    });
  });
}
