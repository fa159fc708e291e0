import { monitorEventLoopDelay } from "node:perf_hooks";

/** What this thread did while it was watched, in ms. */
export interface ThreadWork {
  /** The longest time for which the event loop stood still; other processes that keep the processors busy lengthen it. */
  readonly stall: number;
  /** The most processor time that was used before others were heard again. */
  readonly atOnce: number;
  /** All processor time. */
  readonly work: number;
}

const { threadCpuUsage = () => ({ user: 0, system: 0 }) } = process as unknown as {
  threadCpuUsage?: () => { user: number; system: number };
};

const usedMs = (): number => {
  const { user, system } = threadCpuUsage();
  return (user + system) / 1000;
};

/** Watches this thread until the function returned is called. */
export function watchThread(): () => ThreadWork {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const before = usedMs();
  let last = before;
  let atOnce = 0;
  const look = () => {
    const now = usedMs();
    atOnce = Math.max(atOnce, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  return () => {
    clearInterval(timer);
    delay.disable();
    look();
    return { stall: delay.max / 1e6, atOnce, work: last - before };
  };
}
