import { DomainError } from "../errors.ts";
import type { RunStore } from "../ports.ts";

export interface RunLimitsParts {
  readonly runs: Pick<RunStore, "countLive">;
  /** Live runs of the whole queue. */
  readonly maxLiveRuns: number;
  /** The most of an owner's. */
  readonly maxOf: (owner: string) => number | undefined;
  /** How old the count of the whole queue may be where there is not plenty of room. */
  readonly pollMs: number;
  readonly monotonicMs: () => number;
}

/**
 * How many runs may be live. They keep a runaway client from filling the database, and are no exact quota: runs that are being
 * created at the same time are not counted yet.
 */
export interface RunLimits {
  /** Throws TOO_MANY_RUNS when the queue is full, or its owner's share. The answer must be called when no run is stored after all. */
  admit(owner: string): Promise<() => void>;
}

/** As long as so small a part of the room is taken, a count may be so many times as old. */
const plentyShare = 0.1;
const plentyFactor = 60;

/** A count that says that there is no room is made anew once it is so old. */
const fullMs = 250;
/** Owners whose counts are kept. */
const mostOwners = 10_000;

export function createRunLimits(parts: RunLimitsParts): RunLimits {
  const { runs, maxLiveRuns } = parts;
  const ofAll = createCount(parts, maxLiveRuns, (most) => runs.countLive(most), "the queue has");
  const ofOwner = new Map<string, Count>();

  function countOf(owner: string): Count | undefined {
    const most = parts.maxOf(owner);
    if (most === undefined) return undefined;
    const known = ofOwner.get(owner);
    if (known) return known;
    if (ofOwner.size >= mostOwners) ofOwner.delete(ofOwner.keys().next().value!);
    const count = createCount(parts, most, (limit) => runs.countLive(limit, owner), "this owner has");
    ofOwner.set(owner, count);
    return count;
  }

  return {
    async admit(owner) {
      const refundOwner = await countOf(owner)?.admit();
      try {
        const refund = await ofAll.admit();
        return () => {
          refund();
          refundOwner?.();
        };
      } catch (error) {
        refundOwner?.();
        throw error;
      }
    },
  };
}

interface Count {
  admit(): Promise<() => void>;
}

/** What the database said last, which may be old, and what this server has created since. */
function createCount(
  { pollMs, monotonicMs }: Pick<RunLimitsParts, "pollMs" | "monotonicMs">,
  most: number,
  countLive: (most: number) => Promise<number>,
  who: string,
): Count {
  let counted: number | undefined;
  let created = 0;
  let countedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;

  async function count(): Promise<void> {
    const before = created;
    const startedAt = monotonicMs();
    counted = await countLive(most);
    countedAt = startedAt;
    created -= before;
  }

  function recount(): Promise<void> {
    counting ??= count().finally(() => (counting = undefined));
    return counting;
  }

  const isFull = () => counted !== undefined && counted + created >= most;
  const age = () => monotonicMs() - countedAt;

  return {
    async admit() {
      const hasPlenty = counted !== undefined && counted + created < most * plentyShare;
      if (age() >= pollMs * (hasPlenty ? plentyFactor : 1)) {
        const recounted = recount();
        // While there is plenty of room nobody waits for the count.
        if (counted === undefined || counted + created >= most * 0.9) await recounted;
        else recounted.catch(() => undefined);
      }
      if (isFull() && age() >= fullMs) await recount();
      if (isFull()) throw tooMany(`${who} ${most} live runs, the most that it may have`, most);
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
