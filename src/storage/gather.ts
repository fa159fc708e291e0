import { setImmediate as nextTurn } from "node:timers/promises";
import { BSON, type Document } from "mongodb";
import { isDatabaseUnavailable } from "./database.ts";

export interface GatherOptions<I> {
  /** What an item adds to a command; by default it is a document. */
  readonly documentOf?: (item: I) => Document;
  /** Two items with the same key never share a command. */
  readonly keyOf?: (item: I) => string;
  /** Whom an item is of: see {@link crowd}; by default its key. */
  readonly whose?: (item: I) => string;
  /** So many items share one at most. */
  readonly most?: number;
  /** In a crowd as well a command begins as soon as the last one is answered. */
  readonly isUrgent?: boolean;
}

/**
 * So many that have asked within so many milliseconds are a crowd: then a command begins so long after the last one at the earliest,
 * so that each waits a moment, and all cost less. Fewer never wait.
 */
export const crowd = { size: 6, withinMs: 40, everyMs: 6 } as const;

/** A command carries so many bytes at most: what stands behind it in the line waits for all of it. */
const maxBytes = 512 * 1024;
/** What is as large as that goes by itself, past the others, whom it would only hold up. */
const largeBytes = 64 * 1024;

interface Waiting<I, R> {
  readonly item: I;
  readonly bytes: number;
  readonly key: string | undefined;
  readonly answered: PromiseWithResolvers<R>;
}

/**
 * Group commit: one command is under way at a time, and what gathers meanwhile goes with the next. The first waits for one
 * turn of the event loop. A command costs an engine more than most of what it carries.
 *
 * `send` carries all of them out, and answers what came of each, in their order; an error in its answer is of that item alone.
 */
export function createGather<I, R>(
  send: (items: readonly I[]) => Promise<readonly (R | Error)[]>,
  { documentOf = (item) => item as Document, keyOf, whose = keyOf, most = 32, isUrgent = false }: GatherOptions<I> = {},
): (item: I) => Promise<R> {
  let line: Waiting<I, R>[] = [];
  let isBusy = false;
  let begunAt = Number.NEGATIVE_INFINITY;
  /** When each has asked last, those first that have not for longest. */
  const askers = new Map<string, number>();

  function note(asker: string | undefined): void {
    if (asker === undefined) return;
    askers.delete(asker);
    askers.set(asker, performance.now());
  }

  function isCrowded(now: number): boolean {
    for (const [asker, at] of askers) {
      if (now - at <= crowd.withinMs) break;
      askers.delete(asker);
    }
    return askers.size >= crowd.size;
  }

  return (item) => {
    const bytes = BSON.calculateObjectSize(documentOf(item));
    const one: Waiting<I, R> = { item, bytes, key: keyOf?.(item), answered: Promise.withResolvers() };
    if (bytes >= largeBytes) void carry([one]);
    else {
      if (!isUrgent) note(whose?.(item));
      line.push(one);
      if (!isBusy) void pump();
    }
    return one.answered.promise;
  };

  async function pump(): Promise<void> {
    isBusy = true;
    await nextTurn();
    while (line.length > 0) {
      const now = performance.now();
      const leftMs = begunAt + crowd.everyMs - now;
      if (leftMs > 0 && isCrowded(now)) await new Promise((resolve) => setTimeout(resolve, leftMs));
      begunAt = performance.now();
      await carry(takeNext());
    }
    isBusy = false;
  }

  /** Those that have come first, as far as they fit. */
  function takeNext(): Waiting<I, R>[] {
    const taken: Waiting<I, R>[] = [];
    const left: Waiting<I, R>[] = [];
    const keys = new Set<string>();
    let bytes = 0;
    for (const one of line) {
      const isTwin = one.key !== undefined && keys.has(one.key);
      if (isTwin || taken.length >= most || bytes + one.bytes > maxBytes) {
        left.push(one);
        continue;
      }
      taken.push(one);
      bytes += one.bytes;
      if (one.key !== undefined) keys.add(one.key);
    }
    line = left;
    return taken;
  }

  async function carry(items: readonly Waiting<I, R>[]): Promise<void> {
    try {
      const answers = await send(items.map(({ item }) => item));
      for (const [place, { answered }] of items.entries()) {
        const answer = answers[place]!;
        if (answer instanceof Error) answered.reject(answer);
        else answered.resolve(answer);
      }
    } catch (error) {
      // One of them may have stopped the rest: by itself each hears of its own.
      if (items.length > 1 && !isDatabaseUnavailable(error)) for (const one of items) await carry([one]);
      else for (const { answered } of items) answered.reject(error);
    }
  }
}
