import fc from "fast-check";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import { matchesMetadata } from "../../src/domain/metadata-filter.ts";
import type { PagePosition } from "../../src/domain/page-token.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "../../src/domain/ports.ts";
import { newControl } from "../../src/domain/thread/entry.ts";
import type { Thread } from "../../src/domain/thread.ts";
import { threadStatuses } from "../../src/domain/transitions.ts";
import { type ThreadDocument, toThreadDocument } from "../../src/storage/thread-document.ts";
import { base, hour, manyLists, newOwner } from "./many-lists.ts";
import { openStores } from "./stores.ts";

/** Searches are held against a sort in memory. Each case is an owner of its own, beside all the others. */

/** A thread as far as it matters here. */
interface Made {
  readonly id: string;
  readonly created: number;
  readonly changed: number;
  readonly status: Thread["status"];
  readonly app: "chat" | "batch";
  readonly removing: boolean;
}

async function insert(db: Db, owner: string, made: readonly Made[]): Promise<void> {
  const documents = made.map(({ id, created, changed, status, app, removing }): ThreadDocument => {
    const control = newControl({ threadId: id, rev: "rev", metadata: { app } }, created);
    return {
      ...toThreadDocument({
        origin: { owner, threadId: id, journal: id, createdAt: created },
        control: { ...control, status, updatedAt: changed, ...(removing && { removing }) },
      }),
    };
  });
  if (documents.length > 0) await db.collection<ThreadDocument>("threads").insertMany(documents);
}

const sortedBy = ({ created, changed, id, status }: Made, { by }: ThreadOrder): number | string =>
  ({ created_at: created, updated_at: changed, thread_id: id, status })[by];

function expected(made: readonly Made[], filter: Omit<ThreadFilter, "owner">, order: ThreadOrder): Made[] {
  const { statuses = [], threadIds = [], metadata = {}, within = [] } = filter;
  const compare = <T>(a: T, b: T) => Number(a > b) - Number(a < b);
  const sorted = made
    .filter(({ removing }) => !removing)
    .filter(({ status }) => statuses.length === 0 || statuses.includes(status))
    .filter(({ id }) => threadIds.length === 0 || threadIds.includes(id))
    .filter(({ app }) => metadata.app === undefined || metadata.app === app)
    .filter(({ app }) => matchesMetadata({ app }, within))
    .toSorted((a, b) => compare(sortedBy(a, order), sortedBy(b, order)) || compare(a.id, b.id));
  return order.descending ? sorted.reverse() : sorted;
}

/** The ids of all pages, in the order in which they come. */
async function pages(
  threads: ThreadStore,
  owner: string,
  filter: Omit<ThreadFilter, "owner">,
  order: ThreadOrder,
  limit: number,
  most = 1e9,
) {
  const read: string[] = [];
  for (let after: PagePosition | undefined; read.length < most; ) {
    const page = await threads.search({ owner, ...filter }, order, { limit, ...(after && { after }) });
    read.push(...page.map(({ threadId }) => threadId));
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return read;
    const { threadId, status, createdAt, updatedAt } = last;
    const of = { id: threadId, status, created: createdAt.getTime(), changed: updatedAt.getTime() } as Made;
    after = [sortedBy(of, order), threadId];
  }
  return read;
}

/** Many at the same time, many close to each other, some far away; some newer than the clock. */
const time = fc
  .oneof(
    fc.nat(3),
    fc.integer({ min: 0, max: 60_000 }),
    fc.integer({ min: -40_000, max: 1_000 }).map((n) => n * hour),
  )
  .map((ms) => base + ms);
const made: fc.Arbitrary<Made> = fc.record({
  id: fc.uuid(),
  created: time,
  changed: time,
  status: fc.constantFrom(...threadStatuses),
  app: fc.constantFrom("chat", "chat", "batch"),
  removing: fc.nat(9).map((n) => n === 0),
});
const order: fc.Arbitrary<ThreadOrder> = fc.record({
  by: fc.constantFrom("created_at", "updated_at", "thread_id", "status"),
  descending: fc.boolean(),
});
const statuses = fc.subarray([...threadStatuses], { minLength: 1 });
const metadata = fc.constantFrom({ app: "chat" }, { app: "batch" }, { app: "none" });
/** What the caller may see, whatever it asks for. */
const within = metadata.map(({ app }) => [{ field: "app", equals: app }]);

/** What every store of threads must do when it is searched. */
export function describeThreadLists(which: string, openDb: () => Promise<Db>): void {
  let db: Db;
  let threads: ThreadStore;
  beforeAll(async () => {
    db = await openDb();
    ({ threads } = await openStores(db));
  });

  describe(`the order and the pages of a search for threads ${which}`, () => {
    it("are those of a sort in memory, whatever the threads", async () => {
      const filter = fc.record({ statuses, metadata, within, threadIds: fc.constant([]) }, { requiredKeys: [] });
      const all = fc.uniqueArray(made, { selector: ({ id }) => id, maxLength: 40, size: "max" });
      const query = fc.record({ order, filter, limit: fc.constantFrom(2, 5, 20, 1_001) });
      await fc.assert(
        fc.asyncProperty(all, fc.array(query, { minLength: 1, maxLength: 4 }), async (all, queries) => {
          const owner = newOwner();
          await insert(db, owner, all);
          for (const { order, filter, limit } of queries) {
            const ids = expected(all, filter, order).map(({ id }) => id);
            expect(await pages(threads, owner, filter, order, limit)).toEqual(ids);
          }
          const threadIds = all.slice(0, 7).map(({ id }) => id);
          if (threadIds.length === 0) return;
          const ids = expected(all, { threadIds }, queries[0]!.order).map(({ id }) => id);
          expect(await pages(threads, owner, { threadIds }, queries[0]!.order, 2)).toEqual(ids);
        }),
        { numRuns: manyLists },
      );
    }, 300_000);

    it("are so of more than a thousand threads, too", async () => {
      const owner = newOwner();
      const some = fc.sample(made, 1_500);
      const all = [...new Map(some.map((one) => [one.id, one])).values()];
      await insert(db, owner, all);
      for (const by of ["created_at", "updated_at", "thread_id", "status"] as const) {
        for (const descending of [false, true]) {
          for (const filter of [{}, { statuses: ["idle", "error"] as const }, { metadata: { app: "chat" } }]) {
            const ids = expected(all, filter, { by, descending }).map(({ id }) => id);
            const read = await pages(threads, owner, filter, { by, descending }, 500);
            expect([by, descending, filter, read]).toEqual([by, descending, filter, ids]);
            const first = await pages(threads, owner, filter, { by, descending }, 20, 60);
            expect(first).toEqual(ids.slice(0, 60));
          }
        }
      }
    }, 300_000);
  });
}
