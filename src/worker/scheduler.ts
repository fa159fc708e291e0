import type { RunStore, ThreadStore } from "../domain/ports.ts";
import type { Run } from "../domain/run.ts";
import type { Executing } from "./executing.ts";
import type { Executor } from "./executor.ts";

export interface SchedulerParts {
  readonly runs: Pick<RunStore, "ready" | "readyChildren" | "claim">;
  readonly threads: Pick<ThreadStore, "find">;
  readonly executing: Pick<Executing, "attempts">;
  readonly executor: Pick<Executor, "reserve">;
  /** How often to look for runs of which no word came, for example from another server. */
  readonly pollMs: number;
  readonly onError: (error: unknown) => void;
}

/** Claims runs that have their thread's turn, oldest first, whenever there is a place. */
export interface Scheduler {
  /** There may be something to claim: a turn has passed. */
  wake(): void;
  /** A slot is free: whoever waits for one may be claimed now. */
  slotFree(): void;
  stop(): Promise<void>;
}

/** Candidates of one look. Another server may take some of them first. */
const candidates = 32;

export function createScheduler({ runs, threads, executing, executor, pollMs, onError }: SchedulerParts): Scheduler {
  let stopped = false;
  let again = false;
  let looking: Promise<void> | undefined;
  /** Claims under way. One that hangs holds up no other. */
  const claims = new Set<Promise<void>>();
  const timer = setInterval(wake, pollMs);
  /** The last look has found more than there were slots for; a free slot changes nothing otherwise. */
  let crowded = true;

  function wake(): void {
    again = true;
    if (!stopped) looking ??= look().finally(() => (looking = undefined));
  }

  async function look(): Promise<void> {
    while (again && !stopped) {
      again = false;
      try {
        crowded = false;
        for (const run of await claimable()) {
          const claimed = claim(run).catch(onError);
          claims.add(claimed);
          void claimed.then(() => claims.delete(claimed));
        }
      } catch (error) {
        onError(error);
      }
    }
  }

  /** Runs that may borrow their parent's place do not stand behind those that must wait for a free one. */
  async function claimable(): Promise<Run[]> {
    const ready = await runs.ready(candidates);
    if (ready.length < candidates) return ready;
    const parents = [...executing.attempts.values()].map((attempt) => attempt.run);
    return [...ready, ...(await runs.readyChildren(parents, candidates))];
  }

  /** Does nothing when there is no place, or somebody else was faster. */
  async function claim(run: Run): Promise<void> {
    const place = executor.reserve(run);
    if (!place) {
      crowded = true;
      return;
    }
    try {
      const thread = await threads.find(run);
      const claimed = thread && (await runs.claim(run, place.lease()));
      if (!claimed) return place.release();
      place.start(claimed, thread, "later");
      // There may be more than one look shows.
      wake();
    } catch (error) {
      place.release();
      throw error;
    }
  }

  return {
    wake,
    slotFree() {
      if (crowded || looking) wake();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await looking;
      await Promise.all(claims);
    },
  };
}
