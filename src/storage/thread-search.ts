import type { Collection, Filter } from "mongodb";
import { filterTokens } from "../domain/search-tokens.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "../domain/stores.ts";
import type { Thread } from "../domain/thread.ts";
import { key } from "./keys.ts";
import type { ThreadDocument } from "./thread-store.ts";

/** Finds threads by what is known of them. */
export function createThreadSearch(
  threads: Collection<ThreadDocument>,
  toThread: (doc: ThreadDocument) => Thread,
): Pick<ThreadStore, "search" | "count"> {
  return {
    /** Index: threads_by_metadata, threads_by_values, or that of the order: threads_by_time, _change, _id, _status. */
    async search(filter, order, { limit, after }) {
      const query = queryOf(filter);
      const field = order.by === "thread_id" ? "_id" : order.by;
      const direction = order.descending ? -1 : 1;
      const beyond = order.descending ? "$lt" : "$gt";
      if (after) {
        const [sortedBy, id] = [boundary(order, after[0]), key(filter.owner, after[1])];
        if (field === "_id") Object.assign(query, { $and: [...(query.$and ?? []), { _id: { [beyond]: id } }] });
        // The first condition says where to begin in the index.
        else
          query.$and = [
            { [field]: { [`${beyond}e`]: sortedBy } },
            { $or: [{ [field]: { [beyond]: sortedBy } }, { _id: { [beyond]: id } }] },
          ];
      }
      const sort = field === "_id" ? ({ _id: direction } as const) : ({ [field]: direction, _id: direction } as const);
      return (await threads.find(query).sort(sort).limit(limit).toArray()).map(toThread);
    },

    /** Index: as search. */
    count: (filter) => threads.countDocuments(queryOf(filter)),
  };
}

const boundary = ({ by }: ThreadOrder, value: number | string): Date | string =>
  by === "created_at" || by === "updated_at" ? new Date(value) : String(value);

function queryOf({ owner, threadIds, metadata, values, statuses }: ThreadFilter): Filter<ThreadDocument> {
  const [ofMetadata, ofValues] = [filterTokens(owner, metadata), filterTokens(owner, values)];
  const isByToken = ofMetadata.length + ofValues.length > 0;
  return {
    // The owner is in tokens and ids, too; named beside them, the embedded engine would walk all of the owner's threads.
    ...(!isByToken && !threadIds?.length && { owner }),
    ...(threadIds?.length && { _id: { $in: threadIds.map((id) => key(owner, id)) } }),
    ...(ofMetadata.length > 0 && { metadata_tokens: { $all: ofMetadata } }),
    ...(ofValues.length > 0 && { value_tokens: { $all: ofValues } }),
    ...(statuses?.length && { status: { $in: [...statuses] } }),
    removing: false,
  };
}
