import { RestError } from "./errors.ts";

/** The most that one page of the handlers holds. */
const pageLimit = 1000;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/**
 * Entries from `offset` on, out of pages that are read by token: LangGraph's API counts where the RPCs remember. `more` says
 * whether there are others behind them.
 */
export async function pageAt<T>(
  { limit, offset }: { limit: number; offset: number },
  read: (page: { pageSize: number; pageToken: string }) => Promise<Page<T>>,
): Promise<{ items: T[]; more: boolean }> {
  if (limit === 0) return { items: [], more: true };
  const items: T[] = [];
  let passed = 0;
  let pageToken = "";
  do {
    const pageSize = Math.min(pageLimit, offset + limit - passed);
    const page = await read({ pageSize, pageToken });
    items.push(...page.items.slice(Math.max(0, offset - passed)));
    passed += page.items.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && items.length < limit);
  return { items: items.slice(0, limit), more: pageToken !== "" || items.length > limit };
}

/** The headers with which LangGraph's SDKs page. */
export function pageHeaders(page: { limit: number; offset: number }, found: number, more: boolean) {
  const end = page.offset + found;
  return {
    "x-pagination-total": String(end + (more ? 1 : 0)),
    ...(more && { "x-pagination-next": String(page.offset + page.limit) }),
  };
}

/** Only the selected fields of each; all of them when none are selected. */
export function select<T extends object>(fields: readonly string[], allowed: readonly string[], items: T[]): object[] {
  const unknown = fields.find((field) => !allowed.includes(field));
  if (unknown !== undefined) {
    throw new RestError(422, `select: ${JSON.stringify(unknown)} is no field; there are ${allowed.join(", ")}`);
  }
  if (fields.length === 0) return items;
  return items.map((item) => Object.fromEntries(Object.entries(item).filter(([name]) => fields.includes(name))));
}
