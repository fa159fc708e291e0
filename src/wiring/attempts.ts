import { entryOf } from "../domain/thread/entry.ts";
import { type Attempt, type AttemptParts, type Execution, startAttempt } from "../worker/attempt.ts";
import { openAttemptItems, writeLimits } from "../worker/attempt-items.ts";
import type { Foundation } from "./foundation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";

export type StartAttempt = (execution: Execution) => Attempt;

/** How a claimed run is executed. */
export function createAttempts(
  foundation: Foundation,
  streams: Streams,
  { items }: States,
  { act, isAlive }: Lifecycle,
): StartAttempt {
  const { config, stores, journal, keptJournals, host, graphs, clock, isTransient, pause, whileAway, onError } =
    foundation;
  const { limitMs, writeBy } = writeLimits(clock, config);

  const parts: AttemptParts = {
    host,
    journal,
    keptJournals,
    openEvents: streams.openEvents,
    openItems: ({ owner }) => openAttemptItems({ items, owner, limitMs, writeBy, now: clock.now, isTransient, pause }),
    withGiven: async (run) => (await stores.runs.withGiven([run]))[0]!,
    isDedicated: (graph) => graphs.find((one) => one.name === graph)?.isolation === "dedicated",
    fence: streams.fence,
    async stillMine(run, token) {
      const stored = await stores.lanes.read(run);
      const lease = stored && entryOf(stored.control, run.runId)?.lease;
      return lease?.token === token && !lease.tokensToFence;
    },
    // By the wall clock as well, since the monotonic one may stop while the machine sleeps.
    isHeld: (claimedAtMs) => isAlive() && Date.now() - claimedAtMs < config.leaseMs / 2,
    delivered: (run, token, at) =>
      void act
        .act(run, { kind: "delivered", run: run.runId, token, deliveredAt: at.getTime() })
        .catch(onError("noting that a cancel was delivered")),
    now: clock.now,
    isTransient,
    whileAway,
  };

  return (execution) => startAttempt(parts, execution);
}
