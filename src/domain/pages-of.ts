import { setImmediate as nextTurn } from "node:timers/promises";

/** All that a finder finds, a page at a time, each from behind the last entry of the page before. No page is empty. */
export async function* pagesOf<T>(
  limit: number,
  find: (page: { readonly limit: number; readonly after?: T }) => Promise<T[]>,
): AsyncGenerator<T[]> {
  for (let after: T | undefined; ; ) {
    const found = await find({ limit, after });
    if (found.length > 0) yield found;
    if (found.length < limit) return;
    after = found.at(-1);
  }
}

/** Goes through all pages, with so much side by side. What fails is told of, and holds up nothing else. */
export async function goThrough<T>(
  pages: AsyncIterable<readonly T[]>,
  work: (one: T) => Promise<unknown>,
  {
    atATime,
    isStopped,
    onError,
  }: {
    readonly atATime: number;
    readonly isStopped?: () => boolean;
    readonly onError: (error: unknown) => void;
  },
): Promise<void> {
  for await (const found of pages) {
    for (const some of groupsOf(found, atATime)) {
      if (isStopped?.()) return;
      await Promise.all(some.map((one) => work(one).catch(onError)));
    }
  }
}

/** The items in groups of at most `size`. */
export const groupsOf = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));

/** Items that are worked on side by side. */
const atATime = 8;

/** What becomes of each, in their order. A group is worked on at a time, and others have their turn in between. */
export async function inGroups<T, R>(items: readonly T[], work: (one: T, place: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const group of groupsOf(items, atATime)) {
    const from = results.length;
    results.push(...(await Promise.all(group.map((one, n) => work(one, from + n)))));
    await nextTurn();
  }
  return results;
}
