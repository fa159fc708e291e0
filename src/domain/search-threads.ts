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
  /** The threads in sight, part by part, where an index cannot tell all of what that is. */
  async function* partsOf(filter: ThreadFilter, order: ThreadOrder, size: number, first?: PagePosition) {
    const { within = [] } = filter;
    for (let after = first; ; ) {
      const some = await store.search(filter, order, { limit: size, after });
      yield some.filter(({ metadata }) => matchesMetadata(metadata, within));
      if (some.length < size) return;
      after = positionOf(some.at(-1)!, order);
    }
  }

  /** As the store's: a page is as long as it would be if all were in sight. */
  async function find(filter: ThreadFilter, order: ThreadOrder, page: { limit: number; after?: PagePosition }) {
    if (isIndexed(filter.within)) return store.search(filter, order, page);
    const found: Thread[] = [];
    for await (const part of partsOf(filter, order, Math.max(page.limit, lookedThrough), page.after)) {
      found.push(...part);
      if (found.length >= page.limit) break;
    }
    return found.slice(0, page.limit);
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
      let count = 0;
      for await (const part of partsOf(filter, { by: "thread_id", descending: false }, lookedThrough))
        count += part.length;
      return count;
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
