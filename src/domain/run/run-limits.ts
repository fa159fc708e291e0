import { DomainError } from "../errors.ts";
import type { RunStore } from "../ports.ts";

export interface RunLimitsParts {
  readonly runs: Pick<RunStore, "countLive">;
  /** Live runs of the whole queue. */
  readonly maxLiveRuns: number;
  /** How old the count of the whole queue may be where there is not plenty of room. */
  readonly pollMs: number;
  readonly monotonicMs: () => number;
}

/**
 * How many runs may be live. They keep a runaway client from filling the database, and are no exact quota: runs that are being
 * created at the same time are not counted yet.
 */
export interface RunLimits {
  /** Throws TOO_MANY_RUNS when the queue is full. The answer must be called when no run is stored after all. */
  admit(): Promise<() => void>;
}

/** As long as so small a part of the room is taken, a count may be so many times as old. */
const plentyShare = 0.1;
const plentyFactor = 60;

export function createRunLimits(parts: RunLimitsParts): RunLimits {
  const { runs, maxLiveRuns, pollMs } = parts;
  /** What the database said last, which may be old, and what this server has created since. */
  let counted: number | undefined;
  let created = 0;
  let countedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;

  async function count(): Promise<void> {
    const before = created;
    const startedAt = parts.monotonicMs();
    counted = await runs.countLive(maxLiveRuns);
    countedAt = startedAt;
    created -= before;
  }

  function recount(): Promise<void> {
    counting ??= count().finally(() => (counting = undefined));
    return counting;
  }

  return {
    async admit() {
      const hasPlenty = counted !== undefined && counted + created < maxLiveRuns * plentyShare;
      if (parts.monotonicMs() - countedAt >= pollMs * (hasPlenty ? plentyFactor : 1)) {
        const recounted = recount();
        // While there is plenty of room nobody waits for the count.
        if (counted === undefined || counted + created >= maxLiveRuns * 0.9) await recounted;
        else recounted.catch(() => undefined);
      }
      if (counted! + created >= maxLiveRuns) {
        throw tooMany(`the queue has ${maxLiveRuns} live runs, the most that it may have`, maxLiveRuns);
      }
      created += 1;
      return () => {
        created = Math.max(0, created - 1);
      };
    },
  };
}

const tooMany = (sentence: string, limit: number): DomainError =>
  new DomainError("TOO_MANY_RUNS", `${sentence}; wait until some are over, or cancel some`, {
    metadata: { limit: String(limit) },
  });
