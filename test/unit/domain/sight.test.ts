import { describe, expect, it } from "vitest";
import type { PagePosition } from "../../../src/domain/page-token.ts";
import type { ThreadFilter, ThreadOrder } from "../../../src/domain/ports.ts";
import { createReadRuns } from "../../../src/domain/run/read-runs.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { createSearchThreads } from "../../../src/domain/search-threads.ts";
import type { Thread } from "../../../src/domain/thread.ts";

/** Of many, every so manieth is in sight. */
const all = 777;
const every = 50;
const ids = Array.from({ length: all }, (_, n) => String(n).padStart(3, "0"));
const seen = ids.filter((_, n) => n % every === 0);

describe("what no index can tell of a caller's sight", () => {
  const threads = ids.map((threadId, n) => {
    const metadata = { readers: n % every === 0 ? ["alice", "bob"] : ["bob"] };
    return { owner: "", threadId, metadata, createdAt: new Date(n), updatedAt: new Date(n) } as unknown as Thread;
  });
  const looks: number[] = [];
  const search = createSearchThreads({
    async search(_: ThreadFilter, __: ThreadOrder, { limit, after }: { limit: number; after?: PagePosition }) {
      const page = threads.filter(({ threadId }) => after === undefined || threadId > after[1]).slice(0, limit);
      looks.push(page.length);
      return page;
    },
    count: () => Promise.reject(new Error("the store counts what an index tells")),
  });
  const filter = { owner: "", within: [{ field: "readers", contains: ["alice"] }] };
  const order = { by: "thread_id", descending: false } as const;

  it.each([1, 3, 16, 500])("makes no page shorter: %i", async (size) => {
    const found: string[][] = [];
    for (let token = ""; ; ) {
      const page = await search.search(filter, order, { size, token });
      found.push(page.threads.map(({ threadId }) => threadId));
      token = page.nextPageToken;
      if (token === "") break;
    }
    expect(found.flat()).toEqual(seen);
    expect(found.slice(0, -1).every(({ length }) => length === size)).toBe(true);
  });

  it("is counted, a part of them at a time", async () => {
    looks.length = 0;
    expect(await search.count(filter)).toBe(seen.length);
    expect(Math.max(...looks)).toBeLessThanOrEqual(100);
  });

  it("a token of one caller is none of another's", async () => {
    const { nextPageToken: token } = await search.search(filter, order, { size: 1, token: "" });
    const others = { owner: "", within: [{ field: "readers", contains: ["bob"] }] };
    await expect(search.search(others, order, { size: 1, token })).rejects.toMatchObject({
      reason: "INVALID_PAGE_TOKEN",
    });
  });
});

describe("runs of threads that are not all in sight", () => {
  const runs = ids.map(
    (id, n) => ({ runId: id, threadId: id, createdAt: new Date(n), phase: "over" }) as unknown as Run,
  );
  const page = (limit: number, after?: { createdAt: Date }) =>
    runs.filter(({ createdAt }) => after === undefined || createdAt > after.createdAt).slice(0, limit);
  const read = createReadRuns({
    runs: {
      list: async (_: object, { limit, after }: { limit: number; after?: Run }) => page(limit, after),
      live: async (_: object, limit: number, after?: Run) => page(limit, after),
    },
    recordsBroughtUp: async () => undefined,
  } as unknown as Parameters<typeof createReadRuns>[0]);
  const inSight = async (some: readonly Run[]) => some.filter(({ threadId }) => seen.includes(threadId));
  const idsOf = (some: readonly Run[]) => some.map(({ runId }) => runId);

  it.each([1, 5, 16, 500])("are listed in pages as long as they were asked for: %i", async (size) => {
    const found: string[][] = [];
    for (let token = ""; ; ) {
      const { runs: some, nextPageToken } = await read.list({ owner: "" }, { size, token, inSight });
      found.push(idsOf(some));
      token = nextPageToken;
      if (token === "") break;
    }
    expect(found.flat()).toEqual(seen);
    expect(found.slice(0, -1).every(({ length }) => length === size)).toBe(true);
  });

  it("are cancelled up to the limit of a call, and the next call goes on there", async () => {
    const first = await read.live({ owner: "", status: "all" }, { limit: 10, token: "", inSight });
    expect(idsOf(first.runs)).toEqual(seen.slice(0, 10));
    const rest = await read.live({ owner: "", status: "all" }, { limit: 10, token: first.nextPageToken, inSight });
    expect([idsOf(rest.runs), rest.nextPageToken]).toEqual([seen.slice(10), ""]);
  });
});
