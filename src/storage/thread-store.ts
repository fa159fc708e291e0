import type { Filter } from "mongodb";
import { indexedPart } from "../domain/metadata-filter.ts";
import type { PagePosition } from "../domain/page-token.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "../domain/ports.ts";
import { filterTokens, stateTokens } from "../domain/search-tokens.ts";
import { wholeState } from "../domain/thread/large-state.ts";
import { threadOf } from "../domain/thread/view.ts";
import type { Thread } from "../domain/thread.ts";
import type { Collections } from "./collections.ts";
import { hasTokens, key } from "./keys.ts";
import { threadKey } from "./run-document.ts";
import { type ThreadDocument, toStoredThread } from "./thread-document.ts";
import { createThreadStates } from "./thread-states.ts";
import { type Place, walkIndex } from "./walk-index.ts";

type ThreadCollections = Pick<Collections, "threads" | "threadStates" | "threadStateNotes">;

/** Threads in MongoDB, as their users see them. `listed`: the same over connections of their own, for searches. */
export function createThreadStore(all: ThreadCollections, listed: ThreadCollections, now: () => Date): ThreadStore {
  const { threads } = all;
  const states = createThreadStates(all, now);
  const listedStates = createThreadStates(listed, now);

  /** What it remembers may be replaced between two looks, but not again and again. */
  async function whole(found: Thread): Promise<Thread> {
    let thread = found;
    for (let looks = 0; looks < 3; looks++) {
      const [read] = await states.whole([thread]);
      if (read) return read;
      const doc = await threads.findOne({ _id: threadKey(found) });
      if (doc?.rev === undefined || doc.journal !== found.journal) break;
      thread = toThread(doc);
    }
    return { ...thread, state: wholeState(thread.state!, undefined) };
  }

  return {
    whole,

    async find(name) {
      const doc = await threads.findOne({ _id: threadKey(name) });
      return doc?.rev === undefined ? undefined : whole(toThread(doc));
    },

    /** Index: that of the order, with statuses and the order, of tokens, or `_id` for ids. */
    async search(filter, { by, descending }, { limit, after }) {
      const order = { field: by === "thread_id" ? "_id" : by, descending };
      const place = after && placeOf(filter.owner, by, after);
      const found = (await walkIndex(listed.threads, queryOf(filter), order, limit, place)).map(toThread);
      const read = await listedStates.whole(found);
      return Promise.all(found.map((thread, n) => read[n] ?? whole(thread)));
    },

    /** Index: as search. */
    count: (filter) => listed.threads.countDocuments(queryOf(filter)),
  };
}

const toThread = (doc: ThreadDocument): Thread => threadOf(toStoredThread(doc));

function placeOf(owner: string, by: ThreadOrder["by"], [sortedBy, threadId]: PagePosition): Place {
  const id = key(owner, threadId);
  if (by === "thread_id") return { value: id, id };
  return { value: by === "status" ? String(sortedBy) : new Date(sortedBy), id };
}

function queryOf(filter: ThreadFilter): Filter<ThreadDocument> {
  const { owner, threadIds, metadata, within, values, statuses, exclude = [] } = filter;
  const ofMetadata = new Set([metadata, ...indexedPart(within)].flatMap((fields) => filterTokens(owner, fields)));
  // What finds the fewest stands first, which an embedded engine goes by.
  return {
    ...(threadIds?.length && { _id: { $in: threadIds.map((id) => key(owner, id)) } }),
    ...hasTokens("metadata_tokens", [...ofMetadata]),
    ...hasTokens("value_tokens", [...filterTokens(owner, values), ...stateTokens(owner, filter)]),
    owner,
    removing: false,
    ...(statuses?.length && { status: { $in: [...statuses] } }),
    ...(exclude.length > 0 && { $nor: exclude.map((one) => excluded(owner, one)) }),
  };
}

/** What has all tokens of an exclusion. They bound nothing: what is left is looked through in its order. */
const excluded = (owner: string, one: NonNullable<ThreadFilter["exclude"]>[number]): Filter<ThreadDocument> => ({
  ...hasTokens("metadata_tokens", filterTokens(owner, one.metadata)),
  ...hasTokens("value_tokens", stateTokens(owner, one)),
});
