import type { Collection, Filter } from "mongodb";
import type { PagePosition } from "../domain/page-token.ts";
import type { ThreadFilter, ThreadStore } from "../domain/ports.ts";
import { filterTokens, stateTokens } from "../domain/search-tokens.ts";
import type { Thread } from "../domain/thread.ts";
import { threadStatuses } from "../domain/transitions.ts";
import type { ThreadDocument } from "./documents.ts";
import { key } from "./keys.ts";
import { placesAlong, type SortField } from "./milestones.ts";
import { newestInWindows } from "./time-windows.ts";
import { allTime, hasTokens, type TimeWindow, timeKey } from "./timed-tokens.ts";

type Query = Filter<ThreadDocument>;

/** How many of the next threads in an order are looked through for what is found by tokens, for each one that is wanted. */
const lookThrough = 4;

interface Search {
  readonly filter: ThreadFilter;
  readonly field: SortField | "status";
  readonly descending: boolean;
  /** Only ids and what threads are sorted by. */
  readonly brief?: boolean;
}

type SearchByTime = Search & { readonly field: "created_at" | "updated_at" };

/** Finds threads by what is known of them. */
export function createThreadSearch(
  threads: Collection<ThreadDocument>,
  toThread: (doc: ThreadDocument) => Thread,
  now: () => Date,
): Pick<ThreadStore, "search" | "count"> {
  const find = (query: Query, search: Search, limit: number): Promise<ThreadDocument[]> =>
    threads
      .find(query, search.brief ? { projection: { thread_id: 1, created_at: 1, updated_at: 1, status: 1 } } : {})
      .sort(sortOf(search))
      .limit(limit)
      .toArray();

  /** The first in a range of the order; the window says the same of the time of creation, or nothing. */
  async function firstIn(range: Query, window: TimeWindow, search: Search, limit: number) {
    const { status, ...query } = queryOf(search.filter, window);
    // The embedded engines find a range behind equal values only, so a query for each status.
    const each: Query[] =
      !status || isByToken(query)
        ? [queryOf(search.filter, window)]
        : search.filter.statuses!.map((one) => ({ ...query, status: one }));
    const found = each.map((one) => find({ ...one, ...range }, search, limit));
    return (await Promise.all(found)).flat().sort(comparison(search)).slice(0, limit);
  }

  /**
   * By windows of time, so that a page reads about as much as it answers, however many match. Index: threads_by_time or
   * threads_by_change; with statuses those of a status; with metadata or values those of tokens.
   */
  async function byTime(search: SearchByTime, limit: number, after?: PagePosition) {
    const { field, descending, filter } = search;
    const last = after && Number(after[0]);
    const found: ThreadDocument[] = [];
    if (last !== undefined) {
      const sameTime: Query = { [field]: new Date(last), _id: { [beyond(search)]: key(filter.owner, after![1]) } };
      found.push(...(await firstIn(sameTime, { from: last, before: last + 1 }, search, limit)));
      if (found.length >= limit) return found;
    }
    const read = ({ from, before }: TimeWindow, rest: number) => {
      const time = { $gte: new Date(from), ...(before !== undefined && { $lt: new Date(before) }) };
      return firstIn({ [field]: time }, { from, before }, search, rest);
    };
    const rest = limit - found.length;
    if (descending) {
      return [...found, ...(await newestInWindows({ start: last ?? now().getTime(), before: last }, rest, read))];
    }
    const from = last === undefined ? 0 : last + 1;
    const places = await placesAlong(threads, { owner: filter.owner, field, descending }, timeKey(from), rest);
    const windows = between([from, ...places.map(Number)]).map(([from, before]) => ({ from, before }));
    return [...found, ...(await takeInTurn(windows, rest, read))];
  }

  /** By ranges of ids. Index: threads_by_id; with statuses threads_by_status_and_id. */
  async function byId(search: Search & { readonly field: "_id" }, limit: number, after?: string) {
    const { field, descending } = search;
    const { owner } = search.filter;
    const places = await placesAlong(threads, { owner, field, descending }, after, limit);
    const ids = [after, ...places].map((id) => (id === undefined ? undefined : key(owner, id)));
    const ranges = between(ids).map(([from, to], i): Query => {
      const begin = descending ? "$lt" : i === 0 ? "$gt" : "$gte";
      const range = {
        ...(from !== undefined && { [begin]: from }),
        ...(to !== undefined && { [descending ? "$gte" : "$lt"]: to }),
      };
      return Object.keys(range).length > 0 ? { _id: range } : {};
    });
    return takeInTurn(ranges, limit, (range, rest) => firstIn(range, allTime, search, rest));
  }

  /** One status after another, each in the order of ids. */
  function byStatus(search: Search, limit: number, after?: PagePosition) {
    const { filter, descending } = search;
    const statuses = (filter.statuses?.length ? filter.statuses : threadStatuses).toSorted();
    if (descending) statuses.reverse();
    const ahead = statuses.filter(
      (one) => !after || one === after[0] || (descending ? one < after[0] : one > after[0]),
    );
    return takeInTurn(ahead, limit, (status, rest) => {
      const ofStatus = { ...search, field: "_id", filter: { ...filter, statuses: [status] } } as const;
      return byId(ofStatus, rest, status === after?.[0] ? after[1] : undefined);
    });
  }

  function inOrder(search: Search, limit: number, after?: PagePosition): Promise<ThreadDocument[]> {
    const { field } = search;
    if (field === "_id") return byId({ ...search, field }, limit, after?.[1]);
    if (field === "status") return byStatus(search, limit, after);
    return byTime({ ...search, field }, limit, after);
  }

  /** A page of all that match, which the embedded engines read and sort. Index: that of ids, or those of tokens. */
  function ofAll(search: Search, limit: number, after?: PagePosition) {
    const query = queryOf(search.filter, allTime);
    const { field } = search;
    if (after) {
      const [sortedBy, id] = [
        boundary(field, after[0]),
        { _id: { [beyond(search)]: key(search.filter.owner, after[1]) } },
      ];
      const further: Query = { $or: [{ [field]: { [beyond(search)]: sortedBy } }, { [field]: sortedBy, ...id }] };
      query.$and = [field === "_id" ? id : further];
    }
    return find(query, search, limit);
  }

  /**
   * Tokens know the time of creation only. In another order, the next threads in it are looked through first: there is enough among
   * them where many match. Where few do, all that match are read. Index: that of the order and _id, or those of tokens.
   */
  async function byTokens(search: Search, limit: number, after?: PagePosition) {
    const { owner, statuses } = search.filter;
    const some = lookThrough * limit;
    const next = await inOrder({ ...search, filter: { owner, statuses }, brief: true }, some, after);
    if (next.length === 0) return [];
    const threadIds = next.map((thread) => thread.thread_id);
    const ofNext = await ofAll({ ...search, filter: { ...search.filter, threadIds } }, limit);
    // What has changed meanwhile may stand elsewhere, and a page must not end there.
    const compare = comparison(search);
    const found = ofNext.filter((one) => compare(next[0]!, one) <= 0 && compare(one, next.at(-1)!) <= 0);
    return found.length === limit || next.length < some ? found : ofAll(search, limit, after);
  }

  return {
    async search(filter, { by, descending }, { limit, after }) {
      const search: Search = { filter, descending, field: by === "thread_id" ? "_id" : by };
      const query = queryOf(filter, allTime);
      // Ids are few.
      const read = query._id ? ofAll : isByToken(query) && by !== "created_at" ? byTokens : inOrder;
      return (await read(search, limit, after)).map(toThread);
    },

    /** Index: as search; without anything to match, threads_by_time. */
    count: (filter) => threads.countDocuments(queryOf(filter, allTime)),
  };
}

const beyond = ({ descending }: Search) => (descending ? "$lt" : "$gt");

function sortOf({ field, descending }: Search): Record<string, 1 | -1> {
  const direction = descending ? -1 : 1;
  return field === "_id" ? { _id: direction } : { [field]: direction, _id: direction };
}

/** The same order as the database's. */
function comparison({ field, descending }: Search): (a: ThreadDocument, b: ThreadDocument) => number {
  const compare = <T>(a: T, b: T) => Number(a > b) - Number(a < b);
  const ascending = (a: ThreadDocument, b: ThreadDocument) => compare(a[field], b[field]) || compare(a._id, b._id);
  return descending ? (a, b) => ascending(b, a) : ascending;
}

const boundary = (field: Search["field"], value: number | string): Date | string =>
  field === "created_at" || field === "updated_at" ? new Date(value) : String(value);

/** What lies between each two places that follow each other, and after the last. */
const between = <T>(places: readonly T[]): [from: T, to: T | undefined][] =>
  places.map((from, i) => [from, places[i + 1]]);

/** Reads one after the other, until there are enough. */
async function takeInTurn<P>(
  parts: readonly P[],
  limit: number,
  read: (part: P, limit: number) => Promise<ThreadDocument[]>,
): Promise<ThreadDocument[]> {
  const found: ThreadDocument[] = [];
  for (const part of parts) {
    if (found.length >= limit) break;
    found.push(...(await read(part, limit - found.length)));
  }
  return found;
}

const isByToken = (query: Query): boolean => query.metadata_tokens !== undefined || query.value_tokens !== undefined;

/** The window is of the time of creation, and bounds what is found by tokens only. */
function queryOf(filter: ThreadFilter, window: TimeWindow): Query {
  const { owner, threadIds, metadata, values, statuses, exclude = [] } = filter;
  const metadata_tokens = hasTokens(filterTokens(owner, metadata), window);
  const value_tokens = hasTokens([...filterTokens(owner, values), ...stateTokens(owner, filter)], window);
  const found: object = {
    // The owner is in tokens and ids, too; named beside them, the embedded engines would walk all of the owner's threads.
    ...(!metadata_tokens && !value_tokens && !threadIds?.length && { owner }),
    ...(threadIds?.length && { _id: { $in: threadIds.map((id) => key(owner, id)) } }),
    ...(metadata_tokens && { metadata_tokens }),
    ...(value_tokens && { value_tokens }),
    ...(statuses?.length && { status: { $in: [...statuses] } }),
    removing: false,
    ...(exclude.length > 0 && { $nor: exclude.map((one) => excluded(owner, one)) }),
  };
  return found;
}

/** What has all tokens of an exclusion. They bound nothing: what is left is looked through in its order. */
function excluded(owner: string, one: NonNullable<ThreadFilter["exclude"]>[number]): Query {
  const metadata_tokens = hasTokens(filterTokens(owner, one.metadata), allTime);
  const value_tokens = hasTokens(stateTokens(owner, one), allTime);
  const found: object = { ...(metadata_tokens && { metadata_tokens }), ...(value_tokens && { value_tokens }) };
  return found;
}
