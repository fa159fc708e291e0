import type { RunStore, ThreadStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
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
  const rounds = createRounds(look, { everyMs: pollMs, onError });
  /** Claims under way. One that hangs holds up no other. */
  const claims = new Set<Promise<void>>();
  /** The last look has found more than there were slots for; a free slot changes nothing otherwise. */
  let crowded = true;

  async function look(): Promise<void> {
    crowded = false;
    for (const run of await claimable()) {
      const claimed = claim(run).catch(onError);
      claims.add(claimed);
      void claimed.then(() => claims.delete(claimed));
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
      rounds.wake();
    } catch (error) {
      place.release();
      throw error;
    }
  }

  return {
    wake: rounds.wake,
    slotFree() {
      if (crowded || rounds.isUnderWay) rounds.wake();
    },
    async stop() {
      await rounds.stop();
      await Promise.all(claims);
    },
  };
}
