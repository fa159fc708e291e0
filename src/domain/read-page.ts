/**
 * What the entries of one answer may have together, as JSON text: as protobuf values they may have six times as much, and gRPC clients
 * refuse answers of more than 4 MB by default.
 */
export const answerBytes = 512 * 1024;

export interface PageOptions<T> {
  /** The most entries of the page. */
  readonly limit: number;
  /** Entries in order, at most `limit` of them, from behind one that was read before. */
  readonly read: (limit: number, last: T | undefined) => Promise<T[]>;
  /** An entry's bytes of JSON in the answer: the page ends before they are too many. As long as `limit` says when absent. */
  readonly sizeOf?: (entry: T) => number;
}

/** How many entries are read first of a page that may end early. */
const firstRead = 25;

/** Reads a page in parts that grow, so that one which ends early has read little more than it holds. */
export async function readPage<T>({ limit, read, sizeOf }: PageOptions<T>): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let bytes = 0;
  for (let part = sizeOf ? firstRead : limit; ; part *= 4) {
    const wanted = Math.min(part, limit - items.length);
    // One more shows whether there are others behind the page.
    const found = await read(wanted + 1, items.at(-1));
    for (const entry of found.slice(0, wanted)) {
      bytes += sizeOf?.(entry) ?? 0;
      if (items.length > 0 && bytes > answerBytes) return { items, more: true };
      items.push(entry);
    }
    if (found.length <= wanted) return { items, more: false };
    if (items.length === limit) return { items, more: true };
  }
}
