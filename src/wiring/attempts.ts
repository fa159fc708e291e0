import type { Run } from "../domain/run.ts";
import type { Thread } from "../domain/thread.ts";
import { type Attempt, type AttemptParts, startAttempt } from "../worker/attempt.ts";
import { openAttemptItems, writeLimits } from "../worker/attempt-items.ts";
import type { Foundation } from "./foundation.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";

export type StartAttempt = (run: Run, thread: Thread, isExtra: boolean) => Attempt;

/** How a claimed run is executed. */
export function createAttempts(foundation: Foundation, streams: Streams, { items }: States): StartAttempt {
  const { config, stores, journal, host, graphs, clock, isPassing, pause, whileAway, onError } = foundation;
  const { runs } = stores;
  const { limitMs, writeBy } = writeLimits(clock, config);

  const parts: Omit<AttemptParts, "isExtra"> = {
    host,
    journal,
    openEvents: streams.openEvents,
    openItems: ({ owner }) => openAttemptItems({ items, owner, limitMs, writeBy, now: clock.now, isPassing, pause }),
    isDedicated: (graph) => graphs.find((one) => one.name === graph)?.isolation === "dedicated",
    fence: streams.fence,
    stillMine: async (run, token) => (await runs.find(run))?.lease?.token === token,
    // Since the claim only a small part of a lease has passed, also by the clock that does not stop with the machine. The first
    // attempt begins when the run does; others look.
    isHeld: ({ lease, startedAt }) =>
      clock.now().getTime() < lease!.until.getTime() - config.leaseMs / 2 &&
      Date.now() - startedAt!.getTime() < config.leaseMs / 2,
    delivered: (run, token) => void runs.markDelivered(run, token).catch(onError("noting that a cancel was delivered")),
    isPassing,
    whileAway,
  };

  return (run, thread, isExtra) => startAttempt({ ...parts, isExtra }, run, thread);
}
