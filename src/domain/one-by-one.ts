/** Does work of the same key one after the other, in the order in which it came. */
export type OneByOne = <T>(key: string, work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

/** Work whose signal aborts before it has begun is not begun, and rejects with the signal's reason. */
export function createOneByOne(): OneByOne {
  /** By key: the end of the last work that has come. */
  const ends = new Map<string, Promise<void>>();

  return async (key, work, signal) => {
    const before = ends.get(key);
    const { promise: own, resolve: finish } = Promise.withResolvers<void>();
    // Work that gives up while it waits ends no earlier than what it has waited for.
    const end = before ? before.then(() => own) : own;
    ends.set(key, end);
    try {
      signal?.throwIfAborted();
      if (before) await unlessAborted(before, signal);
      return await work();
    } finally {
      finish();
      if (ends.get(key) === end) ends.delete(key);
    }
  };
}

async function unlessAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return wait;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([wait, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
