import type { Collection, Filter } from "mongodb";
import type { PagePosition } from "../domain/page-token.ts";
import { filterTokens } from "../domain/search-tokens.ts";
import type { ThreadFilter, ThreadOrder, ThreadStore } from "../domain/stores.ts";
import type { Thread } from "../domain/thread.ts";
import { key } from "./keys.ts";
import type { ThreadDocument } from "./thread-store.ts";
import { newestInWindows } from "./time-windows.ts";
import { allTime, hasTokens, type TimeWindow } from "./timed-tokens.ts";

type Query = Filter<ThreadDocument>;

/** Finds threads by what is known of them. */
export function createThreadSearch(
  threads: Collection<ThreadDocument>,
  toThread: (doc: ThreadDocument) => Thread,
  now: () => Date,
): Pick<ThreadStore, "search" | "count"> {
  /**
   * By windows of time, so that a page reads about as much as it answers, however many match. Index: threads_by_time or
   * threads_by_change; with statuses those of a status; with metadata or values those of tokens.
   */
  async function newestFirst(
    filter: ThreadFilter,
    field: "created_at" | "updated_at",
    limit: number,
    after?: PagePosition,
  ): Promise<ThreadDocument[]> {
    const sort = { [field]: -1, _id: -1 } as const;
    const newer = (a: ThreadDocument, b: ThreadDocument) =>
      b[field].getTime() - a[field].getTime() || (a._id < b._id ? 1 : -1);
    const within = async (window: TimeWindow, time: Query, rest: number) => {
      const { status, ...query } = queryOf(filter, window);
      // The embedded engines find a range behind equal values only, so a query for each status.
      const each: Query[] =
        !status || isByToken(query)
          ? [queryOf(filter, window)]
          : filter.statuses!.map((one) => ({ ...query, status: one }));
      const found = each.map((one) =>
        threads
          .find({ ...one, ...time })
          .sort(sort)
          .limit(rest)
          .toArray(),
      );
      return (await Promise.all(found)).flat().sort(newer).slice(0, rest);
    };
    const last = after && Number(after[0]);
    const found: ThreadDocument[] = [];
    if (last !== undefined) {
      const sameTime: Query = { [field]: new Date(last), _id: { $lt: key(filter.owner, after![1]) } };
      found.push(...(await within({ from: last, before: last + 1 }, sameTime, limit)));
      if (found.length >= limit) return found;
    }
    const older = await newestInWindows(
      { start: last ?? now().getTime(), before: last },
      limit - found.length,
      ({ from, before }, rest) => {
        const time = { $gte: new Date(from), ...(before !== undefined && { $lt: new Date(before) }) };
        return within({ from, before }, { [field]: time }, rest);
      },
    );
    return [...found, ...older];
  }

  /**
   * A page of all that match, which the embedded engines read and sort. In these orders it is not known where the next ones
   * lie. Index: threads_by_id, threads_by_status, or those of tokens.
   */
  async function ofAll(filter: ThreadFilter, order: ThreadOrder, limit: number, after?: PagePosition) {
    const query = queryOf(filter, allTime);
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
    return threads.find(query).sort(sort).limit(limit).toArray();
  }

  return {
    async search(filter, order, { limit, after }) {
      const { by, descending } = order;
      const query = queryOf(filter, allTime);
      // Tokens know the time of creation only, and ids are few.
      const hasWindows =
        descending && query._id === undefined && (by === "created_at" || (by === "updated_at" && !isByToken(query)));
      const found = hasWindows ? newestFirst(filter, by, limit, after) : ofAll(filter, order, limit, after);
      return (await found).map(toThread);
    },

    /** Index: as search; without anything to match, threads_by_time. */
    count: (filter) => threads.countDocuments(queryOf(filter, allTime)),
  };
}

const boundary = ({ by }: ThreadOrder, value: number | string): Date | string =>
  by === "created_at" || by === "updated_at" ? new Date(value) : String(value);

const isByToken = (query: Query): boolean => query.metadata_tokens !== undefined || query.value_tokens !== undefined;

/** The window is of the time of creation, and bounds what is found by tokens only. */
function queryOf({ owner, threadIds, metadata, values, statuses }: ThreadFilter, window: TimeWindow): Query {
  const metadata_tokens = hasTokens(filterTokens(owner, metadata), window);
  const value_tokens = hasTokens(filterTokens(owner, values), window);
  const found: object = {
    // The owner is in tokens and ids, too; named beside them, the embedded engines would walk all of the owner's threads.
    ...(!metadata_tokens && !value_tokens && !threadIds?.length && { owner }),
    ...(threadIds?.length && { _id: { $in: threadIds.map((id) => key(owner, id)) } }),
    ...(metadata_tokens && { metadata_tokens }),
    ...(value_tokens && { value_tokens }),
    ...(statuses?.length && { status: { $in: [...statuses] } }),
    removing: false,
  };
  return found;
}
