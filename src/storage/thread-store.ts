import type { Filter } from "mongodb";
import type { PagePosition } from "../domain/page-token.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "../domain/ports.ts";
import { filterTokens, stateTokens } from "../domain/search-tokens.ts";
import { threadOf } from "../domain/thread/view.ts";
import type { Thread } from "../domain/thread.ts";
import type { Collections } from "./collections.ts";
import { hasTokens, key } from "./keys.ts";
import { threadKey } from "./run-document.ts";
import { type ThreadDocument, toStoredThread } from "./thread-document.ts";
import { type Place, walkIndex } from "./walk-index.ts";

/** Threads in MongoDB, as their users see them. `listed`: the same over connections of their own, for searches. */
export function createThreadStore(
  { threads }: Pick<Collections, "threads">,
  listed: Pick<Collections, "threads"> = { threads },
): ThreadStore {
  return {
    async find(name) {
      const doc = await threads.findOne({ _id: threadKey(name) });
      return doc?.rev === undefined ? undefined : toThread(doc);
    },

    /** Index: that of the order, with statuses and the order, of tokens, or `_id` for ids. */
    async search(filter, { by, descending }, { limit, after }) {
      const order = { field: by === "thread_id" ? "_id" : by, descending };
      const place = after && placeOf(filter.owner, by, after);
      return (await walkIndex(listed.threads, queryOf(filter), order, limit, place)).map(toThread);
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
  const { owner, threadIds, metadata, values, statuses, exclude = [] } = filter;
  // What finds the fewest stands first, which an embedded engine goes by.
  return {
    ...(threadIds?.length && { _id: { $in: threadIds.map((id) => key(owner, id)) } }),
    ...hasTokens("metadata_tokens", filterTokens(owner, metadata)),
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
