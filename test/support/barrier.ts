/** A place where the code under test stops until the test lets it go on. */
export interface Barrier {
  /** Resolves when somebody has arrived. */
  readonly reached: Promise<void>;
  /** Arrives; resolves when the barrier is open. */
  pass(): Promise<void>;
  open(): void;
}

export function createBarrier(): Barrier {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    pass() {
      reached.resolve();
      return opened.promise;
    },
    open: () => opened.resolve(),
  };
}

type AsyncMethods<T> = { [K in keyof T]: T[K] extends (...args: never[]) => Promise<unknown> ? K : never }[keyof T];

/**
 * The same object, with something done before and after one of its methods. `before` may throw in its place; `after` runs when
 * it has succeeded and before its caller learns of it.
 */
export function around<T extends object, K extends AsyncMethods<T>>(
  target: T,
  method: K,
  hooks: { before?: (...args: unknown[]) => unknown; after?: (result: unknown) => unknown },
): T {
  const original = target[method] as (...args: unknown[]) => Promise<unknown>;
  const wrapped = async (...args: unknown[]) => {
    await hooks.before?.(...args);
    const result = await original.apply(target, args);
    await hooks.after?.(result);
    return result;
  };
  return { ...target, [method]: wrapped };
}
