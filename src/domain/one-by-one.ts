/** Does work of the same key one after the other, in the order in which it came. */
export type OneByOne = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createOneByOne(): OneByOne {
  /** By key: the end of the last work that has come. */
  const ends = new Map<string, Promise<unknown>>();

  return async (key, work) => {
    const before = ends.get(key);
    const { promise: end, resolve: finish } = Promise.withResolvers<void>();
    ends.set(key, end);
    try {
      await before;
      return await work();
    } finally {
      finish();
      if (ends.get(key) === end) ends.delete(key);
    }
  };
}
