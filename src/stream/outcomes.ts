import { DomainError } from "../domain/errors.ts";
import type { Run, RunName } from "../domain/run.ts";
import type { RunStore } from "../domain/stores.ts";

interface Waiters {
  readonly run: RunName;
  readonly settle: Set<PromiseWithResolvers<Run | undefined>>;
}

/** A longer time would make Node's timers fire at once. */
const longestTimerMs = 2 ** 31 - 1;

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
  /** Wakes the waiters in this server. */
  announce(run: Run): void;
  stop(): void;
}

/**
 * Waiting for runs to be over. A run is over for everybody when its outcome is written and its thread knows of it; a rolled
 * back one when it is gone, and then its last record is the outcome. Ends in this server wake their waiters at once; for
 * those in other servers one query a poll asks for all runs that have waiters.
 */
export function createOutcomes(
  runs: RunStore,
  options: { pollMs: number; onPollError: (error: unknown) => void },
): Outcomes {
  const waiting = new Map<string, Waiters>();
  const id = (run: RunName) => `${run.owner}/${run.runId}`;
  let timer: NodeJS.Timeout | undefined;
  let polling = false;

  const isOver = (run: Run) => run.phase === "over" && !run.cleanupPending;

  async function ended(name: RunName): Promise<Run | undefined> {
    const run = await runs.find(name);
    if (run) return isOver(run) ? run : undefined;
    const last = await runs.tombstone(name);
    if (last) return last;
    throw new DomainError("RUN_NOT_FOUND", `run ${name.runId} was deleted`, { metadata: { run_id: name.runId } });
  }

  function settle(name: RunName, how: (one: PromiseWithResolvers<Run | undefined>) => void): void {
    const waiters = waiting.get(id(name));
    waiting.delete(id(name));
    waiters?.settle.forEach(how);
  }

  const announce = (run: Run): void => settle(run, (one) => one.resolve(run));

  async function poll(): Promise<void> {
    if (polling || waiting.size === 0) return;
    polling = true;
    try {
      const names = [...waiting.values()].map((waiters) => waiters.run);
      const found = await runs.findMany(names);
      const alive = new Set(found.filter((run) => !isOver(run)).map(id));
      for (const name of names.filter((one) => !alive.has(id(one)) && waiting.has(id(one)))) {
        await ended(name).then(
          (run) => run && announce(run),
          (error) => {
            if (!(error instanceof DomainError)) throw error;
            settle(name, (one) => one.reject(error));
          },
        );
      }
    } catch (error) {
      options.onPollError(error);
    } finally {
      polling = false;
    }
  }

  return {
    ended,
    announce,
    async wait(name, signal, timeoutMs) {
      signal.throwIfAborted();
      timer ??= setInterval(() => void poll(), options.pollMs).unref();
      const waiters = waiting.get(id(name)) ?? { run: name, settle: new Set() };
      waiting.set(id(name), waiters);
      const mine = Promise.withResolvers<Run | undefined>();
      mine.promise.catch(() => undefined);
      waiters.settle.add(mine);
      const aborted = () => mine.reject(signal.reason);
      signal.addEventListener("abort", aborted, { once: true });
      const timeout =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => mine.resolve(undefined), Math.min(timeoutMs, longestTimerMs));
      try {
        // Registered first, so that an end between the look and the wait is not missed.
        return (await ended(name)) ?? (await mine.promise);
      } finally {
        signal.removeEventListener("abort", aborted);
        clearTimeout(timeout);
        waiters.settle.delete(mine);
        if (waiters.settle.size === 0 && waiting.get(id(name)) === waiters) waiting.delete(id(name));
      }
    },
    stop() {
      clearInterval(timer);
    },
  };
}
