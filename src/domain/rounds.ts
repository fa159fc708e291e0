/** Work that is done again and again, one round at a time. */
export interface Rounds {
  /** A round, or the one that is under way: resolves at its end, and never rejects. */
  join(): Promise<void>;
  /** There is something new to do: a round begins, at once or after the one that is under way. */
  wake(): void;
  readonly isUnderWay: boolean;
  /** No round begins any more. Resolves when the one that is under way has ended. */
  stop(): Promise<void>;
}

export interface RoundsOptions {
  /** A round begins so often by itself, unless one is under way. */
  readonly everyMs?: number;
  /** A round has failed. */
  readonly onError: (error: unknown) => void;
}

export function createRounds(round: () => Promise<void>, { everyMs, onError }: RoundsOptions): Rounds {
  let underWay: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  const timer = everyMs === undefined ? undefined : setInterval(() => void join(), everyMs);

  async function goRound(): Promise<void> {
    do {
      again = false;
      await round().catch(onError);
    } while (again && !stopped);
    // In the same breath as the last look at `again`, so that nobody wakes a round that has just ended.
    underWay = undefined;
  }

  function join(): Promise<void> {
    if (!stopped) underWay ??= goRound();
    return underWay ?? Promise.resolve();
  }

  return {
    join,
    wake() {
      if (underWay) again = true;
      else void join();
    },
    get isUnderWay() {
      return underWay !== undefined;
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await underWay;
    },
  };
}
