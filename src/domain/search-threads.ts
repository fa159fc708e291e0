import { checkMetadata, invalid } from "./check-metadata.ts";
import { isIndexed, matchesMetadata } from "./metadata-filter.ts";
import { type PagePosition, pageToken, readPageToken } from "./page-token.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "./ports.ts";
import { readPage } from "./read-page.ts";
import { checkValueFilter } from "./search-tokens.ts";
import type { Thread } from "./thread.ts";

export interface SearchThreads {
  /** No page repeats or loses a thread that stays as it is; one ends early where the threads would have too many bytes. */
  search(
    filter: ThreadFilter,
    order: ThreadOrder,
    page: { size: number; token: string; sizeOf?: (thread: Thread) => number },
  ): Promise<{ threads: Thread[]; nextPageToken: string }>;
  count(filter: ThreadFilter): Promise<number>;
}

const defaultPageSize = 20;
/** What no index can tell is looked for among so many threads at a time. */
const lookedThrough = 100;

/** Finds threads by what is known of them. INVALID_FIELD for what nothing can be found by, INVALID_PAGE_TOKEN. */
export function createSearchThreads(store: Pick<ThreadStore, "search" | "count">): SearchThreads {
  /** As the store's, where an index cannot tell all of what is within sight: a page is as long as it would be otherwise. */
  async function find(filter: ThreadFilter, order: ThreadOrder, page: { limit: number; after?: PagePosition }) {
    const { within = [] } = filter;
    if (isIndexed(within)) return store.search(filter, order, page);
    const found: Thread[] = [];
    const limit = Math.max(page.limit, lookedThrough);
    for (let { after } = page; ; ) {
      const some = await store.search(filter, order, { limit, after });
      found.push(...some.filter(({ metadata }) => matchesMetadata(metadata, within)));
      if (some.length < limit || found.length >= page.limit) return found.slice(0, page.limit);
      after = positionOf(some.at(-1)!, order);
    }
  }

  return {
    async search(filter, order, { size, token, sizeOf }) {
      check(filter);
      const query = { filter, order };
      const isTime = order.by === "created_at" || order.by === "updated_at";
      const after = isTime ? readPageToken(token, query, "number") : readPageToken(token, query, "string");
      const { items, more } = await readPage<Thread>({
        limit: size || defaultPageSize,
        read: (limit, last) => find(filter, order, { limit, after: last ? positionOf(last, order) : after }),
        sizeOf,
      });
      return { threads: items, nextPageToken: more ? pageToken(positionOf(items.at(-1)!, order), query) : "" };
    },

    async count(filter) {
      check(filter);
      if (isIndexed(filter.within)) return store.count(filter);
      const all = await find(filter, { by: "thread_id", descending: false }, { limit: Number.MAX_SAFE_INTEGER });
      return all.length;
    },
  };
}

function check({ metadata, values, exclude = [] }: ThreadFilter): void {
  checkMetadata(metadata ?? {}, "filter.metadata");
  for (const [place, one] of exclude.entries()) {
    const field = `filter.exclude[${place}]`;
    if (Object.values(one).every((value) => value === undefined)) throw invalid(field, "must name something");
    checkMetadata(one.metadata ?? {}, `${field}.metadata`);
  }
  checkValueFilter(values, "filter.values");
}

function positionOf(thread: Thread, { by }: ThreadOrder): PagePosition {
  const sortedBy = {
    created_at: thread.createdAt.getTime(),
    updated_at: thread.updatedAt.getTime(),
    thread_id: thread.threadId,
    status: thread.status,
  }[by];
  return [sortedBy, thread.threadId];
}
