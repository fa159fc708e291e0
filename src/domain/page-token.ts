import { createHash } from "node:crypto";
import { DomainError } from "./errors.ts";

/**
 * A page token is opaque to clients. It holds where the page ended (what it is sorted by and the id of its last item) and a
 * hash of the query (filters and order), so that a token is not used with another by mistake.
 */
export const pageToken = (position: PagePosition, query: object): string =>
  Buffer.from(JSON.stringify([...position, hash(query)])).toString("base64url");

export type PagePosition = readonly [sortedBy: number | string, id: string];

interface Sorted {
  readonly number: number;
  readonly string: string;
}

/** Throws INVALID_PAGE_TOKEN for anything but a token that was given out for this query. `sortedBy`: what the order's values may be. */
export function readPageToken<T extends keyof Sorted>(
  token: string,
  query: object,
  ...sortedBy: readonly T[]
): [Sorted[T], string] | undefined {
  if (token === "") return undefined;
  try {
    const [value, id, queryHash] = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (sortedBy.some((type) => typeof value === type) && typeof id === "string" && queryHash === hash(query))
      return [value, id];
  } catch {
    // Not one of ours.
  }
  throw new DomainError(
    "INVALID_PAGE_TOKEN",
    "page_token: must be the next_page_token of an answer to the same filters and order, or empty for the first page",
    { metadata: { field: "page_token" } },
  );
}

const hash = (query: object): string =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
