/**
 * Search tokens as documents hold them: each with the time of creation of what it is of (see domain/search-tokens.ts for the
 * tokens themselves). So one range of one index finds what has a token and was created in a window, however many others have it.
 */
export const timedTokens = (tokens: readonly string[], createdAt: Date): string[] =>
  tokens.map((token) => `${token}/${timeKey(createdAt.getTime())}`);

/** Sorts like the time. */
export const timeKey = (ms: number): string => String(Math.max(0, Math.trunc(ms))).padStart(15, "0");

/** A stretch of time: from a time on, and before another; without it there is no end. */
export interface TimeWindow {
  readonly from: number;
  readonly before?: number;
}

export const allTime: TimeWindow = { from: 0 };

interface ElementRange {
  readonly $elemMatch: { readonly $gte: string; readonly $lt: string };
}

export interface TokenCondition extends ElementRange {
  readonly $all?: ElementRange[];
}

/**
 * What an array of timed tokens must meet to hold all of these, created in the window; undefined when there are none. A range of
 * one and the same element is what MongoDB and SecantusDB's Rust server find between both of its ends in an index on an array;
 * it reads those of the first token only.
 */
export function hasTokens(tokens: readonly string[], { from, before }: TimeWindow): TokenCondition | undefined {
  const end = before === undefined ? ":" : timeKey(before);
  const [first, ...others] = tokens.map(
    (token): ElementRange => ({ $elemMatch: { $gte: `${token}/${timeKey(from)}`, $lt: `${token}/${end}` } }),
  );
  if (first === undefined) return undefined;
  return others.length === 0 ? first : { ...first, $all: others };
}
