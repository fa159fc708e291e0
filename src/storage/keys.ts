import { requireOwnerKey } from "../domain/owner.ts";

/**
 * A client chooses the ids of its threads and runs, so each key carries the owner: two owners never meet. The owner without access control
 * is '', whose keys begin with none. No owner's key holds a slash (domain/owner.ts); what follows it may.
 */
export function key(owner: string, id: string): string {
  if (owner === "") return id;
  requireOwnerKey(owner);
  return `${owner}/${id}`;
}

/**
 * The lower bound of a range that means every date up to its upper one: without it one of the embedded engines reads all the
 * documents that have no date at all, which stand before the dates in an index.
 */
export const earliest: Date = new Date(0);

type TokenCondition<F extends string> = { [K in F]?: string | { $all: string[] } };

/**
 * The condition that an array holds all of these tokens (see domain/search-tokens.ts); none when there are none. One alone is an equality,
 * which every engine finds by an index.
 */
export function hasTokens<F extends string>(field: F, tokens: readonly string[]): TokenCondition<F> {
  if (tokens.length === 0) return {};
  return { [field]: tokens.length === 1 ? tokens[0] : { $all: [...tokens] } } as TokenCondition<F>;
}

/** For what expires: so many milliseconds later. */
export const after = (time: Date, ms: number): Date => new Date(time.getTime() + ms);

/** An insert of an `_id` that is taken. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === duplicateKey;

/** The server's code for it. */
export const duplicateKey = 11000;
