import fc from "fast-check";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import type { LiveFilter, RunFilter, RunPosition, RunStore } from "../../src/domain/ports.ts";
import type { Run } from "../../src/domain/run/run.ts";
import { metadataTokens } from "../../src/domain/search-tokens.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import { liveStatuses } from "../../src/domain/transitions.ts";
import { key } from "../../src/storage/keys.ts";
import type { RunDocument } from "../../src/storage/run-document.ts";
import { type Given, situations, threadAfter } from "../unit/domain/lane-situations.ts";
import { base, hour, manyLists, newOwner } from "./many-lists.ts";
import { newRecord } from "./run-records.ts";
import { openStores } from "./stores.ts";
import { syntheticRun } from "./synthetic-load.ts";

/** Lists are held against a sort in memory. Each case is an owner of its own, beside all the others. */

const load = { runs: 1, threads: 1, liveRuns: 0, journals: 0 };

/** A run as far as it matters here. */
interface Made {
  readonly runId: string;
  readonly threadId: string;
  readonly created: number;
  readonly status: Run["status"];
  readonly app: "chat" | "batch";
}

async function insert(db: Db, owner: string, made: readonly Made[]): Promise<void> {
  const runs = db.collection<RunDocument>("runs");
  const documents = made.map(
    ({ runId, threadId, created, status, app }): RunDocument => ({
      ...syntheticRun(0, load, base),
      _id: key(owner, runId),
      owner,
      thread_id: key(owner, threadId),
      created_at: new Date(created),
      status,
      phase: status === "pending" ? "waiting" : status === "running" ? "running" : "over",
      tokens: metadataTokens(owner, { app }),
    }),
  );
  if (documents.length > 0) await runs.insertMany(documents);
}

function expected(
  made: readonly Made[],
  { threadId, statuses = [], metadata = {} }: Omit<RunFilter, "owner">,
): string[] {
  return made
    .filter((run) => threadId === undefined || run.threadId === threadId)
    .filter(({ status }) => statuses.length === 0 || statuses.includes(status))
    .filter(({ app }) => metadata.app === undefined || metadata.app === app)
    .toSorted((a, b) => b.created - a.created || (a.runId < b.runId ? 1 : -1))
    .map(({ runId }) => runId);
}

/** The ids of all pages, in the order in which they come. */
async function pages(read: (after?: RunPosition) => Promise<Run[]>, limit: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: RunPosition | undefined; ; ) {
    const page = await read(after);
    ids.push(...page.map(({ runId }) => runId));
    if (page.length < limit) return ids;
    after = page.at(-1);
  }
}

/** Many at the same time, many close to each other, some far away; some newer than the clock. */
const time = fc
  .oneof(
    fc.nat(3),
    fc.integer({ min: 0, max: 60_000 }),
    fc.integer({ min: -40_000, max: 1_000 }).map((n) => n * hour),
  )
  .map((ms) => base + ms);
const threads = [1, 2, 3].map((n) => `0193b000-0000-4000-8000-00000000000${n}`);
const allStatuses = ["pending", "running", "success", "error", "timeout", "interrupted"] as const;
const made: fc.Arbitrary<Made> = fc.record({
  runId: fc.uuid(),
  threadId: fc.constantFrom(...threads),
  created: time,
  status: fc.constantFrom(...allStatuses),
  app: fc.constantFrom("chat", "chat", "batch"),
});
const all = fc.uniqueArray(made, { selector: ({ runId }) => runId, maxLength: 40, size: "max" });
const threadId = fc.constantFrom(...threads);
const metadata = fc.constantFrom({ app: "chat" }, { app: "batch" }, { app: "none" });
const limit = fc.constantFrom(2, 5, 20, 1_001);

/** What every store of runs must do when it answers lists. */
export function describeRunLists(which: string, openDb: () => Promise<Db>): void {
  let db: Db;
  let runs: RunStore;
  beforeAll(async () => {
    db = await openDb();
    ({ runs } = await openStores(db));
  });

  describe(`lists of runs ${which}`, () => {
    it("are those of a sort in memory, whatever the runs", async () => {
      const statuses = fc.subarray([...allStatuses], { minLength: 1 });
      const query = fc.record({ filter: fc.record({ threadId, statuses, metadata }, { requiredKeys: [] }), limit });
      await fc.assert(
        fc.asyncProperty(all, fc.array(query, { minLength: 1, maxLength: 4 }), async (all, queries) => {
          const owner = newOwner();
          await insert(db, owner, all);
          for (const { filter, limit } of queries) {
            const read = (after?: RunPosition) => runs.list({ owner, ...filter }, { limit, ...(after && { after }) });
            expect(await pages(read, limit)).toEqual(expected(all, filter));
          }
        }),
        { numRuns: manyLists },
      );
    }, 300_000);

    it("are so of live runs, also of those created before a time", async () => {
      const status = fc.constantFrom("all", "pending", "running");
      const createdBefore = time.map((ms) => new Date(ms));
      const filter = fc.record({ status, threadId, metadata, createdBefore }, { requiredKeys: ["status"] });
      await fc.assert(
        fc.asyncProperty(all, fc.array(filter, { minLength: 1, maxLength: 4 }), limit, async (all, filters, limit) => {
          const owner = newOwner();
          await insert(db, owner, all);
          for (const { status, createdBefore, ...filter } of filters as Omit<LiveFilter, "owner">[]) {
            const statuses = status === "all" ? liveStatuses : [status];
            const before = all.filter(({ created }) => !createdBefore || created < createdBefore.getTime());
            const live: LiveFilter = { owner, status, ...filter, ...(createdBefore && { createdBefore }) };
            const read = (after?: RunPosition) => runs.live(live, limit, after);
            expect(await pages(read, limit)).toEqual(expected(before, { ...filter, statuses }));
          }
        }),
        { numRuns: manyLists },
      );
    }, 300_000);
  });

  describe(`live runs ${which}`, () => {
    it("that were created at the time are not those that were before it", async () => {
      const { owner, threadId, runId, createdAt } = newRecord({ owner: newOwner() });
      await runs.insert(newRecord({ owner, threadId, runId, createdAt }));
      for (const thread of [{}, { threadId }]) {
        const live = async (ms: number) =>
          runs.live({ owner, status: "all", createdBefore: new Date(createdAt.getTime() + ms), ...thread }, 10);
        expect(await live(0)).toEqual([]);
        expect(await live(1)).toMatchObject([{ runId }]);
      }
    });

    it("are counted, and those that nodes have created are found by their parents", async () => {
      const stored = async (change: Partial<Run>) => {
        const run = newRecord(change);
        await runs.insert(run);
        return run;
      };
      const entryAfter = (commands: readonly Given[]) => entryOf(threadAfter(...commands), "a")!;
      const [running, over] = [entryAfter(situations.running), entryAfter(situations.success)];
      const parent = newRecord();
      const childOf = (owner: string, independent: boolean) =>
        stored({ owner, parent: { threadId: parent.threadId, runId: parent.runId, independent } });
      const before = await runs.countLive(10_000);
      const [waiting, executing] = [await childOf("", false), await childOf("", false)];
      await runs.project(executing, projectionOf(running, "journal"));
      const others = [await childOf("", true), await childOf("owner", false)];
      const done = await childOf("", false);
      await runs.project(done, projectionOf(over, "journal"));
      expect((await runs.liveChildren(parent, 10)).map(({ runId }) => runId).sort()).toEqual(
        [waiting.runId, executing.runId].sort(),
      );
      expect(await runs.liveChildren(parent, 1)).toHaveLength(1);
      expect(await runs.liveChildren(newRecord(), 10)).toEqual([]);
      expect(await runs.countLive(10_000)).toBe(before + 4);
      for (const most of [1, 3]) expect(await runs.countLive(most)).toBe(most);
      for (const run of [waiting, executing, ...others]) await runs.remove(run);
      expect(await runs.countLive(10_000)).toBe(before);
    });

    it("are found by their parents, whatever others have created under the same id", async () => {
      const parent = newRecord({ owner: newOwner() });
      const ofParent = { parent: { threadId: parent.threadId, runId: parent.runId, independent: false } };
      const strangers = [1, 2, 3].map(() => newRecord({ ...ofParent, owner: newOwner(), createdAt: new Date(1_000) }));
      const own = newRecord({ ...ofParent, owner: parent.owner, createdAt: new Date(2_000) });
      for (const run of [...strangers, own]) await runs.insert(run);
      expect((await runs.liveChildren(parent, 2)).map(({ runId }) => runId)).toEqual([own.runId]);
      for (const run of [...strangers, own]) await runs.remove(run);
    });
  });
}
