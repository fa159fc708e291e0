import { DomainError } from "../domain/errors.ts";
import { longestTimerMs } from "../domain/longest-timer.ts";
import { runDeleted } from "../domain/not-found.ts";
import type { RunStore } from "../domain/ports.ts";
import { keyOfRun, type Run, type RunName } from "../domain/run/run.ts";

interface Waiters {
  readonly settle: Set<PromiseWithResolvers<Run | undefined>>;
  /** Somebody knows that there is such a run: it is looked for. */
  exists: boolean;
}

/** Somebody who listens for the end of a run that is about to be created or cancelled. */
interface EndListener {
  /** The same as {@link Outcomes.wait} for the run as it was just created or decided about, without a first look at it. */
  end(known: Run, signal: AbortSignal, timeoutMs?: number): Promise<Run | undefined>;
  close(): void;
}

export interface Outcomes {
  /**
   * The run once it is over for everybody, undefined while it lives. Throws RUN_NOT_FOUND for one that is gone without a
   * trace.
   */
  ended(name: RunName): Promise<Run | undefined>;
  /**
   * The run at its end, or undefined when `timeoutMs` has passed. Rejects with the signal's reason, and frees what it holds
   * then; throws RUN_NOT_FOUND for a run that was deleted meanwhile.
   */
  wait(name: RunName, signal: AbortSignal, timeoutMs?: number): Promise<Run | undefined>;
  /** Listens for the end of a run from before it is created or cancelled; until it is closed. */
  listen(name: RunName): EndListener;
  /** Wakes the waiters in this server. */
  announce(run: Run): void;
  /** Looks whether the run has ended, or gone, in another server. */
  look(name: RunName): Promise<void>;
}

/**
 * Waiting for runs to be over. A run is over for everybody when its outcome is written and its thread knows of it; a rolled
 * back one when it is gone, and then its last record is the outcome. `follow` is told of each who waits, and what it answers of
 * its end: whoever follows runs in other servers asks for a look.
 */
export function createOutcomes(
  runs: Pick<RunStore, "find" | "tombstone">,
  follow: (run: RunName) => () => void = () => () => undefined,
): Outcomes {
  const waiting = new Map<string, Waiters>();

  const isOver = (run: Run) => run.phase === "over";

  async function ended(name: RunName): Promise<Run | undefined> {
    const run = await runs.find(name);
    if (run) return isOver(run) ? run : undefined;
    const last = await runs.tombstone(name);
    if (last) return last;
    throw runDeleted(name);
  }

  function settle(name: RunName, how: (one: PromiseWithResolvers<Run | undefined>) => void): void {
    const waiters = waiting.get(keyOfRun(name));
    waiting.delete(keyOfRun(name));
    waiters?.settle.forEach(how);
  }

  const announce = (run: Run): void => settle(run, (one) => one.resolve(run));

  async function look(name: RunName): Promise<void> {
    if (!waiting.get(keyOfRun(name))?.exists) return;
    try {
      const run = await ended(name);
      if (run) announce(run);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      settle(name, (one) => one.reject(error));
    }
  }

  /** Registers somebody who waits. */
  function register(name: RunName) {
    const waiters = waiting.get(keyOfRun(name)) ?? { settle: new Set(), exists: false };
    waiting.set(keyOfRun(name), waiters);
    const mine = Promise.withResolvers<Run | undefined>();
    mine.promise.catch(() => undefined);
    waiters.settle.add(mine);
    const unfollow = follow(name);
    return {
      mine,
      /** The run is there now. */
      exists: () => {
        waiters.exists = true;
      },
      close() {
        unfollow();
        waiters.settle.delete(mine);
        if (waiters.settle.size === 0 && waiting.get(keyOfRun(name)) === waiters) waiting.delete(keyOfRun(name));
      },
    };
  }

  /** Does it, unless the signal aborts first. */
  async function until<T>(signal: AbortSignal, mine: PromiseWithResolvers<T>, what: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const aborted = () => mine.reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      return await what();
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  }

  const giveUpAfter = (ms: number | undefined, mine: PromiseWithResolvers<Run | undefined>) =>
    ms === undefined ? undefined : setTimeout(() => mine.resolve(undefined), Math.min(ms, longestTimerMs));

  async function wait(name: RunName, signal: AbortSignal, timeoutMs?: number): Promise<Run | undefined> {
    signal.throwIfAborted();
    const { mine, exists, close } = register(name);
    exists();
    const timeout = giveUpAfter(timeoutMs, mine);
    try {
      // Registered first, so that an end between the look and the wait is not missed.
      return await until(signal, mine, async () => (await ended(name)) ?? mine.promise);
    } finally {
      clearTimeout(timeout);
      close();
    }
  }

  return {
    ended,
    announce,
    look,
    wait,
    listen(name) {
      const { mine, exists, close } = register(name);
      let isAnnounced = false;
      const announced = () => {
        isAnnounced = true;
      };
      mine.promise.then(announced, announced);
      return {
        async end(known, signal, timeoutMs) {
          // A request that is repeated may have been done with another id. And what was told by now may be the end of a run that
          // was deleted, and whose id this one has taken.
          if (keyOfRun(known) !== keyOfRun(name) || isAnnounced) return wait(known, signal, timeoutMs);
          exists();
          const isLive = known.phase !== "over" && known.phase !== "rolling_back";
          const timeout = giveUpAfter(timeoutMs, mine);
          try {
            return await until(signal, mine, async () => (isLive ? undefined : await ended(name)) ?? mine.promise);
          } finally {
            clearTimeout(timeout);
          }
        },
        close,
      };
    },
  };
}
