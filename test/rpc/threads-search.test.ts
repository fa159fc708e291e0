import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Thread, ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import {
  PruneStrategy,
  type SearchThreadsRequest,
  SortOrder,
  ThreadSortBy,
} from "../../gen/reins/v1/thread_service_pb.ts";
import { fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let threads: ReinsClient["threads"];
beforeAll(async () => {
  app = await startTestApp();
  threads = app.client.threads;
});
afterAll(() => app.close());

type Query = Parameters<ReinsClient["threads"]["searchThreads"]>[0];
type Filter = NonNullable<Query["filter"]>;

const ids = (found: readonly Thread[]) => found.map(({ threadId }) => threadId);
const search = async (query: Query) => ids((await threads.searchThreads({ pageSize: 1000, ...query })).threads);
/** What SearchThreads finds, and that CountThreads counts just that. */
async function found(filter: Filter): Promise<string[]> {
  const threadIds = await search({ filter });
  expect((await threads.countThreads({ filter })).count).toBe(BigInt(threadIds.length));
  return threadIds;
}

async function pages(query: Query, between: (read: string[]) => Promise<unknown> = async () => {}) {
  const read: string[][] = [];
  for (let pageToken = ""; ; ) {
    const page = await threads.searchThreads({ ...query, pageToken });
    read.push(ids(page.threads));
    pageToken = page.nextPageToken;
    if (pageToken === "") return read;
    await between(read.flat());
  }
}

/** Threads with this metadata and a mark that no others have; newest first. */
async function marked(all: readonly object[]) {
  const mark = randomUUID();
  const created: Thread[] = [];
  for (const metadata of all) {
    const request = { metadata: { ...metadata, mark } as JsonObject };
    created.unshift((await threads.createThread(request)).thread!);
  }
  return { mark, created, newestFirst: ids(created) };
}

describe("SearchThreads and CountThreads: filters", () => {
  it("by metadata: values by themselves, objects by what they have at least, names of any kind", async () => {
    const kinds = [
      ...[{ user: "a", n: 1 }, { user: "a", n: 2 }, { user: null }, {}, { user: { $gt: "" } }],
      ...[
        { deep: { "a.b": { $c: 1 }, list: [1, { x: 1, y: 2 }] }, "a.b": 0 },
        { deep: { more: true } },
        { a: { b: 0 } },
      ],
    ];
    const { mark, newestFirst } = await marked(kinds);
    const cases: [object, number[]][] = [
      [{ user: "a" }, [0, 1]],
      [{ user: "a", n: 2 }, [1]],
      [{ user: "b" }, []],
      [{ user: null }, [2]],
      [{ user: { $gt: "" } }, [4]],
      [{ user: { $ne: "x" } }, []],
      [{ n: "1" }, []],
      [{ deep: { "a.b": { $c: 1 } } }, [5]],
      [{ deep: { list: [1, { y: 2, x: 1 }] }, "a.b": 0 }, [5]],
      [{ deep: { list: [1] } }, []],
      [{ deep: {} }, [5, 6]],
      [{ a: { b: 0 } }, [7]],
      [{ "a.b": 0 }, [5]],
      [{}, [0, 1, 2, 3, 4, 5, 6, 7]],
    ];
    for (const [metadata, expected] of cases) {
      const hits = await found({ metadata: { ...metadata, mark } as JsonObject });
      const numbers = hits.map((threadId) => kinds.length - 1 - newestFirst.indexOf(threadId)).reverse();
      expect([metadata, numbers]).toEqual([metadata, expected]);
    }
  });

  it("by the graph that the metadata names, until there is a state", async () => {
    const { thread } = await threads.createThread({ metadata: { graph_id: "ask" } });
    const { threadId, graphId } = thread!;
    const foundBy = (graph: string) => found({ graphId: graph, threadIds: [threadId] });
    expect([graphId, await foundBy("ask"), await foundBy("gated")]).toEqual(["ask", [threadId], []]);
    const newThreadId = randomUUID();
    await threads.copyThread({ threadId, newThreadId });
    expect(await found({ graphId: "ask", threadIds: [newThreadId] })).toEqual([newThreadId]);
    const values = toPayload({ log: ["set"] });
    await threads.updateThreadState({ threadId, values, asNode: "__start__" });
    const { state } = await threads.getThreadState({ threadId });
    expect(fromPayload(state!.values)).toMatchObject({ log: ["set"] });
    // Whose state it is then says the state, whatever becomes of the metadata.
    await threads.updateThread({ threadId, metadata: { graph_id: "gated" } });
    expect([await foundBy("ask"), await foundBy("gated")]).toEqual([[threadId], []]);
    // An assistant that is named outright counts for more than the metadata.
    const plain = (await threads.createThread({ metadata: { graph_id: "gated" } })).thread!.threadId;
    await threads.updateThreadState({ threadId: plain, values, asNode: "__start__", assistantId: "ask" });
    expect((await threads.getThread({ threadId: plain })).thread!.graphId).toBe("ask");
  });

  it("by values at the end of the last run, which change with each run and go with a rollback", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const values = (more: object) => found({ values: { dir: kit.gates.dir, ...more } as JsonObject });
    kit.gates.open();
    expect(await values({})).toEqual([]);
    const first = await kit.start({ steps: ["a"], manners: { a: "polite" } });
    await kit.join(first.runId);
    expect(await values({ done: 1, manners: { a: "polite" } })).toEqual([threadId]);
    expect(await values({ manners: {} })).toEqual([threadId]);
    expect(await values({ manners: { a: "deaf" } })).toEqual([]);
    await kit.join((await kit.start({ steps: ["b", "c"], manners: { a: "deaf" } })).runId);
    expect(await values({ done: 2, manners: { a: "deaf" } })).toEqual([threadId]);
    expect(await values({ done: 1 })).toEqual([]);
    await app.client.runs.deleteRun({ threadId, runId: (await kit.start({ steps: ["d"] })).runId });
    expect(await values({ done: 2 })).toEqual([threadId]);
    for (const { runId } of (await app.client.runs.listRuns({ threadId })).runs) {
      await app.client.runs.deleteRun({ threadId, runId });
    }
    expect(await values({})).toEqual([]);
    kit.gates.remove();
  });

  it("by status, while it changes", async () => {
    const kit = await createRunKit(app, "ask");
    const { threadId } = kit;
    const { IDLE, BUSY, INTERRUPTED, ERROR } = ThreadStatus;
    const at = async () => {
      const hits = [];
      for (const status of [IDLE, BUSY, INTERRUPTED, ERROR]) {
        if ((await found({ threadIds: [threadId], statuses: [status] })).length > 0) hits.push(status);
      }
      return hits;
    };
    expect(await at()).toEqual([IDLE]);
    await kit.join((await kit.start()).runId);
    expect(await at()).toEqual([INTERRUPTED]);
    const run = await kit.start(null, { command: { resume: toPayload("yes") } });
    await kit.gates.started("work");
    expect(await at()).toEqual([BUSY]);
    expect(await found({ threadIds: [threadId], statuses: [IDLE, INTERRUPTED, ERROR] })).toEqual([]);
    expect(await found({ statuses: [BUSY] })).toEqual([threadId]);
    await app.client.runs.cancelRun({ threadId, runId: run.runId, wait: true });
    await kit.join((await kit.start({ fault: "throw" }, { assistantId: "faulty" })).runId);
    expect(await at()).toEqual([ERROR]);
    kit.gates.remove();
  });

  it("by ids, those that there are; together with other fields all must match", async () => {
    const { mark, newestFirst } = await marked([{ n: 1 }, { n: 2 }, { n: 3 }]);
    const [c, b, a] = newestFirst as [string, string, string];
    expect(await found({ threadIds: [a.toUpperCase(), randomUUID(), c] })).toEqual([c, a]);
    expect(await found({ threadIds: [a, b], metadata: { mark, n: 2 } })).toEqual([b]);
    expect(await found({ threadIds: [a], metadata: { n: 2 } })).toEqual([]);
    expect(await found({ threadIds: [a], values: { n: 1 } })).toEqual([]);
    expect(await found({ metadata: { mark }, statuses: [ThreadStatus.BUSY] })).toEqual([]);
  });

  it("all threads without a filter", async () => {
    const { newestFirst } = await marked([{}, {}]);
    const all = await found({});
    expect(all.slice(0, 2)).toEqual(newestFirst);
    expect(BigInt(all.length)).toBe((await threads.countThreads({})).count);
    expect(all.length).toBe(await app.db.collection("threads").countDocuments());
  });
});

describe("SearchThreads: order and pages", () => {
  type Sort = [string, Pick<SearchThreadsRequest, "sortBy" | "sortOrder">, (all: Thread[]) => Thread[]];
  const { CREATED_AT, UPDATED_AT, THREAD_ID, STATUS, UNSPECIFIED } = ThreadSortBy;
  const { ASCENDING, DESCENDING } = SortOrder;
  const time = (at: Thread["createdAt"]) => Number(at!.seconds) * 1e9 + at!.nanos;
  const ascending = (key: (thread: Thread) => number | string) => (all: Thread[]) =>
    all.toSorted((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x !== y) return x < y ? -1 : 1;
      return a.threadId < b.threadId ? -1 : 1;
    });
  const descending = (key: (thread: Thread) => number | string) => (all: Thread[]) => ascending(key)(all).toReversed();
  const created = ({ createdAt }: Thread) => time(createdAt);
  const updated = ({ updatedAt }: Thread) => time(updatedAt);
  const id = ({ threadId }: Thread) => threadId;
  const status = (thread: Thread) => (thread.status === ThreadStatus.INTERRUPTED ? "interrupted" : "idle");
  const sorts: Sort[] = [
    ["nothing said", { sortBy: UNSPECIFIED, sortOrder: SortOrder.UNSPECIFIED }, descending(created)],
    ["created_at descending", { sortBy: CREATED_AT, sortOrder: DESCENDING }, descending(created)],
    ["created_at ascending", { sortBy: CREATED_AT, sortOrder: ASCENDING }, ascending(created)],
    ["updated_at descending", { sortBy: UPDATED_AT, sortOrder: DESCENDING }, descending(updated)],
    ["updated_at ascending", { sortBy: UPDATED_AT, sortOrder: ASCENDING }, ascending(updated)],
    ["thread_id descending", { sortBy: THREAD_ID, sortOrder: DESCENDING }, descending(id)],
    ["thread_id ascending", { sortBy: THREAD_ID, sortOrder: ASCENDING }, ascending(id)],
    ["status descending", { sortBy: STATUS, sortOrder: DESCENDING }, descending(status)],
    ["status ascending", { sortBy: STATUS, sortOrder: ASCENDING }, ascending(status)],
  ];
  let mark: string;
  let all: Thread[];
  beforeAll(async () => {
    // Random ids, two that are interrupted, some that changed after others, and some that are alike but for their ids.
    const made = await marked(Array.from({ length: 9 }, (_, n) => ({ n })));
    mark = made.mark;
    for (const i of [2, 5]) {
      const { threadId } = made.created[i]!;
      const run = await app.client.runs.createRun({ threadId, spec: { assistantId: "ask", input: toPayload({}) } });
      await app.client.runs.joinRun({ threadId, runId: run.run!.runId });
    }
    for (const i of [7, 0, 3]) await threads.updateThread({ threadId: made.created[i]!.threadId });
    const alike = { created_at: new Date(1_700_000_000_000), updated_at: new Date(1_700_000_000_000) };
    const some = [1, 4, 6, 8].map((i) => made.created[i]!.threadId);
    await app.db.collection("threads").updateMany({ thread_id: { $in: some } }, { $set: alike });
    all = (await threads.searchThreads({ filter: { metadata: { mark } } })).threads;
  });

  it.each(sorts)("%s: in one piece, in pages of any size, with and without a filter", async (_, sort, sorted) => {
    const expected = ids(sorted(all));
    const filter = { metadata: { mark } };
    expect(await search({ filter, ...sort })).toEqual(expected);
    for (const pageSize of [1, 2, 4, 9, 10]) {
      const read = await pages({ filter, ...sort, pageSize });
      expect(read.flat()).toEqual(expected);
      expect(read.slice(0, -1).every((page) => page.length === pageSize)).toBe(true);
      expect(read.at(-1)!.length).toBeGreaterThan(0);
    }
    expect((await pages({ ...sort, pageSize: 3 })).flat().filter((one) => expected.includes(one))).toEqual(expected);
    const threadIds = expected.slice(0, 5);
    expect((await pages({ filter: { threadIds }, ...sort, pageSize: 2 })).flat()).toEqual(threadIds);
  });

  it.each(sorts)("%s: what stays as it is comes once while others come and go", async (_, sort, sorted) => {
    const filter = { metadata: { mark } };
    const extra: string[] = [];
    const read = await pages({ filter, ...sort, pageSize: 2 }, async () => {
      extra.push((await threads.createThread({ metadata: { mark } })).thread!.threadId);
      if (extra.length > 2) await threads.deleteThread({ threadId: extra.at(-3)! });
    });
    const expected = ids(sorted(all));
    expect(read.flat().filter((one) => !extra.includes(one))).toEqual(expected);
    expect(new Set(read.flat()).size).toBe(read.flat().length);
    await threads.pruneThreads({ threadIds: extra, strategy: PruneStrategy.DELETE });
  });

  it("answers 20 threads by default, and leaves the values out when asked to", async () => {
    const many = await marked(Array.from({ length: 21 }, () => ({})));
    const { threads: page, nextPageToken } = await threads.searchThreads({ filter: { metadata: { mark: many.mark } } });
    expect([ids(page), nextPageToken === ""]).toEqual([many.newestFirst.slice(0, 20), false]);
    const ended = all.find(({ status }) => status === ThreadStatus.INTERRUPTED)!.threadId;
    const one = async (omitValues: boolean) =>
      (await threads.searchThreads({ filter: { threadIds: [ended] }, omitValues })).threads[0]!;
    expect((await one(false)).values).toBeDefined();
    expect((await one(true)).values).toBeUndefined();
  });
});
