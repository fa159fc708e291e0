import { setImmediate as turn } from "node:timers/promises";

/**
 * What one attempt still has under way in this process: functions that LangChain called for it, and graph loops. LangGraph
 * abandons both when a run is aborted, without telling when they really end; this is what knows.
 */
export class Activity {
  #functions = 0;
  readonly #loops = new Set<AsyncGenerator>();
  #sealed = false;
  #changed: (() => void) | undefined;
  readonly #pressure: () => Promise<void> | undefined;

  /** `pressure`: what a new function has to wait for before it begins (the reader of the output is behind). */
  constructor(pressure: () => Promise<void> | undefined = () => undefined) {
    this.#pressure = pressure;
  }

  /** Functions that have been called and have not settled. */
  get functions(): number {
    return this.#functions;
  }

  /** Calls the function and counts it until what it returns has settled. Once {@link settle} resolved, it is not called. */
  run<T>(work: () => T): T {
    // A promise that never settles stops the caller too; a rejection could be caught and followed by more work.
    if (this.#sealed) return new Promise(() => {}) as T;
    const pressure = this.#pressure();
    this.#functions++;
    let result: T;
    try {
      result = pressure === undefined ? work() : (pressure.then(work) as T);
    } catch (error) {
      this.#left();
      throw error;
    }
    if (isThenable(result)) {
      const left = () => this.#left();
      result.then(left, left);
    } else {
      this.#left();
    }
    return result;
  }

  /** Follows a graph's loop until it has ended, and the checkpoints that it puts off to its end with it. */
  follow<T>(loop: AsyncGenerator<T>): AsyncGenerator<T> {
    this.#loops.add(loop);
    const over = () => this.#loops.delete(loop);
    return {
      next: async (...args) => {
        try {
          const step = await loop.next(...args);
          if (step.done) over();
          return step;
        } catch (error) {
          over();
          throw error;
        }
      },
      return: async (value) => {
        try {
          return await loop.return(value);
        } finally {
          over();
        }
      },
      throw: (error) => loop.throw(error),
      [Symbol.asyncIterator]() {
        return this;
      },
      async [Symbol.asyncDispose]() {
        await this.return(undefined);
      },
    };
  }

  /**
   * Resolves when no function is under way and every loop is over; from then on {@link run} starts nothing. It waits as long
   * as that takes: a node that never settles is for the parent process to end.
   */
  async settle(): Promise<void> {
    for (;;) {
      while (this.#functions > 0) await new Promise<void>((resolve) => (this.#changed = resolve));
      // A loop whose reader left is suspended for ever; asking it to return lets it come to its end.
      for (const loop of this.#loops) {
        await loop.return(undefined).catch(() => {});
        this.#loops.delete(loop);
      }
      // What a settled function set off (the next link of a chain) gets its turn to begin.
      await turn();
      await turn();
      if (this.#functions === 0 && this.#loops.size === 0) break;
    }
    this.#sealed = true;
  }

  #left(): void {
    this.#functions--;
    this.#changed?.();
    this.#changed = undefined;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}
