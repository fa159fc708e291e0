import { setTimeout as sleep } from "node:timers/promises";
import { FencedError } from "../checkpoints/journal-port.ts";
import { aborted } from "../domain/aborted.ts";
import type { WriteLimit } from "../domain/item.ts";
import type { Items } from "../domain/items.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { ItemAnswer, ItemOperation, ItemsPort } from "./protocol.ts";
import { type ItemRead, type ItemWrite, isWrite, readItems } from "./read-items.ts";

export interface AttemptItemsParts {
  readonly items: Items;
  readonly owner: string;
  /** How long a write may take at most, once the database has begun it. */
  readonly limitMs: number;
  /** By when a write that is sent now has to begin: so early that its end is within the lease. */
  readonly writeBy: () => Date;
  /** The database's time, never later than it is. */
  readonly now: () => Date;
  /** Whether an error means that the database is away for the moment. */
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: (signal: AbortSignal) => Promise<unknown>;
}

export interface AttemptItems extends ItemsPort {
  /** Accepts nothing more, and resolves when nothing of the attempt can land any more. Repeatable. */
  close(): Promise<void>;
}

/** How much time is left for a write is a part of the lease; a database that takes that long is as good as away. */
const longestWriteMs = 2_000;

export function writeLimits(
  clock: Pick<LeaseClock, "now" | "heldUntil">,
  { leaseMs }: { readonly leaseMs: number },
): Pick<AttemptItemsParts, "limitMs" | "writeBy"> {
  const limitMs = Math.min(longestWriteMs, leaseMs / 5);
  const writeBy = () => new Date(Math.min(clock.now().getTime() + limitMs, clock.heldUntil().getTime() - limitMs));
  return { limitMs, writeBy };
}

/**
 * The long-term memory as one attempt has it. Nothing that it writes lands when the attempt is over, wherever it was held up:
 * each write carries a time after which the database refuses it, and which is within the lease, so that it is over for a server
 * that takes the run over; and an end that does not know a write's fate waits for that time. A write that was refused for that
 * reason, or met a database that is away, is tried again as long as the attempt has the right to.
 */
export function openAttemptItems(parts: AttemptItemsParts): AttemptItems {
  const { items, owner, limitMs } = parts;
  const closing = new AbortController();
  const { signal } = closing;
  const underWay = new Set<Promise<unknown>>();
  /** The last write of each item: one after the other, as they were asked for. */
  const lastOf = new Map<string, Promise<unknown>>();
  /** When no write that was sent can land any more. */
  let sentUntil = 0;
  /** The same of writes of which no answer came. */
  let unknownUntil = 0;
  /** Whoever waits for an answer. */
  const waiting = new Set<(error: Error) => void>();
  let closed: Promise<void> | undefined;

  /** Does it, again and again, until the database has done it. */
  function insist<T>(what: (limit: WriteLimit) => Promise<{ done: T } | undefined>): Promise<T> {
    const tooLate = new Error("The database was asked too late, or the lease is all but over");
    const tryOnce = async (): Promise<T> => {
      if (signal.aborted) throw fenced();
      const limit = { by: parts.writeBy(), limitMs };
      if (limit.by <= parts.now()) throw tooLate;
      const until = limit.by.getTime() + limitMs;
      sentUntil = Math.max(sentUntil, until);
      try {
        const result = await what(limit);
        if (result) return result.done;
      } catch (error) {
        if (parts.isTransient(error)) unknownUntil = Math.max(unknownUntil, until);
        throw error;
      }
      throw tooLate;
    };
    return keepTrying(tryOnce, {
      isTransient: (error) => error === tooLate || parts.isTransient(error),
      pause: () => parts.pause(signal),
    });
  }

  const read = (operation: ItemRead): Promise<ItemAnswer> =>
    insist(async (write) => ({ done: await readItems(items, owner, operation, { write }) }));

  function write(operation: ItemWrite): Promise<void> {
    const name = nameOf(operation);
    const { namespace, key } = operation;
    const done = (lastOf.get(name) ?? Promise.resolve())
      .catch(() => {})
      .then(() =>
        insist(async (limit) => {
          const landed =
            operation.kind === "put"
              ? await items.put({ owner, namespace, key, value: operation.value }, limit)
              : await items.remove({ owner, namespace, key }, limit);
          return landed ? { done: undefined } : undefined;
        }),
      );
    lastOf.set(name, done);
    const forget = () => lastOf.get(name) === done && lastOf.delete(name);
    done.then(forget, forget);
    return done;
  }

  async function execute(operations: readonly ItemOperation[]): Promise<ItemAnswer[]> {
    const answers = await Promise.all(operations.map((one) => (isWrite(one) ? null : track(read(one)))));
    const writes = new Map(operations.filter(isWrite).map((one) => [nameOf(one), one]));
    await Promise.all([...writes.values()].map((one) => track(write(one))));
    return answers;
  }

  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work);
    const forget = () => underWay.delete(work);
    work.then(forget, forget);
    return work;
  }

  /** Resolves when the database's clock has passed the time, or the signal is aborted. */
  async function passing(until: () => number, enough?: AbortSignal): Promise<void> {
    for (let left = 1; left > 0 && !enough?.aborted; ) {
      left = until() - parts.now().getTime() + 1;
      if (left > 0) await sleep(left, undefined, { signal: enough }).catch(() => {});
    }
  }

  async function close(): Promise<void> {
    closing.abort(aborted);
    // An answer is not waited for while the database is away.
    for (const reject of waiting) reject(fenced());
    const settled = new AbortController();
    const all = Promise.allSettled(underWay).then(() => settled.abort(aborted));
    await Promise.race([all, passing(() => sentUntil, settled.signal)]);
    await passing(() => unknownUntil);
  }

  return {
    batch(operations) {
      if (signal.aborted) return Promise.reject(fenced());
      return new Promise((resolve, reject) => {
        waiting.add(reject);
        execute(operations)
          .then(resolve, reject)
          .finally(() => waiting.delete(reject));
      });
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

const nameOf = ({ namespace, key }: ItemWrite): string => JSON.stringify([namespace, key]);

const fenced = () => new FencedError("The attempt may not use the long-term memory any more");
