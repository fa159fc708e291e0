/**
 * A client chooses the ids of its threads and runs, so each key carries the owner: two owners never meet. An owner is ''
 * until access control is on; ids are UUIDs and hold no slash.
 */
export const key = (owner: string, id: string): string => (owner === "" ? id : `${owner}/${id}`);

/**
 * The lower bound of a range that means every date up to its upper one: without it one of the embedded engines reads all the
 * documents that have no date at all, which stand before the dates in an index.
 */
export const earliest: Date = new Date(0);

/** The condition that an array holds all of these tokens (see domain/search-tokens.ts); none when there are none. */
export const hasTokens = <F extends string>(
  field: F,
  tokens: readonly string[],
): { [K in F]?: { $all: string[] } } | undefined =>
  tokens.length === 0 ? undefined : ({ [field]: { $all: [...tokens] } } as { [K in F]?: { $all: string[] } });

/** An insert of an `_id` that is taken. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === 11000;
