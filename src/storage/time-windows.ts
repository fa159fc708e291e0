import type { TimeWindow } from "./timed-tokens.ts";

/**
 * How far back in time the first look of a list goes, and how much further each next one does at most; after the last one there is
 * no bound.
 */
const firstWindowMs = 2_000;
const windowGrowth = 4;
const lastWindowMs = 60 * 24 * 60 * 60 * 1000;

/**
 * The newest `limit`, by looks that go back in time from `start`, none narrower than the one before. The embedded engines collect
 * all that a filter names before they sort it and take the first: without a window each page would read all that there is.
 * `before`: where the first look ends; without it that has no end. `read` answers the newest of a window, at most so many.
 */
export async function newestInWindows<T>(
  { start, before }: { readonly start: number; readonly before?: number },
  limit: number,
  read: (window: TimeWindow, limit: number) => Promise<readonly T[]>,
): Promise<T[]> {
  const found: T[] = [];
  let end = before;
  let reached = start;
  for (let width = firstWindowMs; ; ) {
    reached -= width;
    const from = width > lastWindowMs || reached < 0 ? 0 : reached;
    const more = await read(end === undefined ? { from } : { from, before: end }, limit - found.length);
    found.push(...more);
    if (found.length >= limit || from === 0) return found;
    end = from;
    // Twice as wide as it takes if the rest lie as close.
    const wanted = (2 * (limit - found.length)) / more.length;
    width = Math.ceil(width * Math.min(windowGrowth, Math.max(1, wanted)));
  }
}
