import { longestTimerMs } from "../domain/longest-timer.ts";
import type { RunStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Run } from "../domain/run.ts";

export interface DueRunsParts {
  readonly runs: Pick<RunStore, "due">;
  /** Gives the run its place in its thread's order; false when that cannot be done. Repeatable. */
  readonly join: (run: Run) => Promise<boolean>;
  /** The time by the database's clock. */
  readonly now: () => Date;
  /** How often to look for runs of which this server does not know, for example another server's. */
  readonly pollMs: number;
  readonly onError: (error: unknown) => void;
}

/** Lets delayed runs join their threads when their delay ends. */
export interface DueRuns {
  /** A run's delay ends then. */
  expect(time: Date): void;
  stop(): Promise<void>;
}

/** Runs of one look. */
const chunk = 100;
/** Times that are kept in mind; the poll finds what lies behind them. */
const keptTimes = 1000;

export function createDueRuns({ runs, join, now, pollMs, onError }: DueRunsParts): DueRuns {
  /** When delays end that this server knows of, the earliest first. */
  let times: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const rounds = createRounds(look, { everyMs: pollMs, onError });

  async function look(): Promise<void> {
    const due = await runs.due(now(), chunk);
    const byThread = Map.groupBy(due, (run) => `${run.owner}/${run.threadId}`);
    const joined = await Promise.all([...byThread.values()].map(joinInOrder));
    // There may be more than one look shows.
    if (due.length === chunk && joined.includes(true)) rounds.wake();
  }

  /** Runs of one thread, in the order in which their delays end. What fails is found again by the next look. */
  async function joinInOrder(due: readonly Run[]): Promise<boolean> {
    try {
      let joined = false;
      for (const run of due) joined = (await join(run)) || joined;
      return joined;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  function setTimer(): void {
    clearTimeout(timer);
    if (times.length === 0 || stopped) return;
    // Not a moment too early, lest the look finds nothing.
    const ms = Math.ceil(times[0]! - now().getTime()) + 1;
    timer = setTimeout(ring, Math.min(Math.max(ms, 0), longestTimerMs));
  }

  function ring(): void {
    const time = now().getTime();
    times = times.filter((one) => one > time);
    rounds.wake();
    setTimer();
  }

  return {
    expect(time) {
      times.push(time.getTime());
      times.sort((a, b) => a - b).splice(keptTimes);
      setTimer();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await rounds.stop();
    },
  };
}
