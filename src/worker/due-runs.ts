import { longestTimerMs } from "../domain/longest-timer.ts";
import { pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Act } from "../domain/thread/act.ts";

export interface DueRunsParts {
  readonly lanes: Pick<Lanes, "due">;
  readonly act: Pick<Act, "act">;
  /** The time by the database's clock. */
  readonly now: () => Date;
  /** How often to look for delays of which this server does not know, for example another server's. */
  readonly pollMs: number;
  readonly onError: (error: unknown) => void;
}

/** Lets delayed runs join their threads when their delay ends. */
export interface DueRuns {
  /** A run's delay ends then. */
  expect(time: Date): void;
  stop(): Promise<void>;
}

/** Threads of one look. */
const chunk = 100;
/** Times that are kept in mind; the poll finds what lies behind them. */
const keptTimes = 1000;

export function createDueRuns({ lanes, act, now, pollMs, onError }: DueRunsParts): DueRuns {
  /** When delays end that this server knows of, the earliest first. */
  let times: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const rounds = createRounds(look, { everyMs: pollMs, onError });

  /** Threads that cannot be decided about stand behind the others in the next page. */
  async function look(): Promise<void> {
    for await (const due of pagesOf<FoundThread>(chunk, (page) => lanes.due(now().getTime(), page))) {
      await Promise.all(due.map((thread) => act.act(thread, { kind: "due" }).catch(onError)));
      if (stopped) return;
    }
  }

  function setTimer(): void {
    clearTimeout(timer);
    if (times.length === 0 || stopped) return;
    // Not a moment too early, lest the look finds nothing.
    const ms = Math.ceil(times[0]! - now().getTime()) + 1;
    timer = setTimeout(onTimer, Math.min(Math.max(ms, 0), longestTimerMs));
  }

  function onTimer(): void {
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
