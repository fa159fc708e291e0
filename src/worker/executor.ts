import type { Reservation } from "../domain/create-run.ts";
import type { BeforeEnd } from "../domain/finish-run.ts";
import { newId } from "../domain/ids.ts";
import type { Lease, Run } from "../domain/run.ts";
import type { Thread } from "../domain/thread.ts";
import type { Attempt, AttemptEnded } from "./attempt.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Executing } from "./executing.ts";

export interface ExecutorParts {
  readonly executing: Executing;
  readonly host: Pick<AttemptHost, "freeSlots">;
  readonly server: string;
  /** When a lease that begins now ends, by the database's clock. */
  readonly leaseEnd: () => Date;
  /** `isExtra`: the run has its parent's place beside it. */
  readonly start: (run: Run, thread: Thread, isExtra: boolean) => Attempt;
  /** Writes the outcome; keeps trying while the database is away. */
  readonly settle: (run: Run, token: string, ended: AttemptEnded, before: BeforeEnd) => Promise<void>;
  readonly failed: (run: Run, error: unknown) => void;
  /** A borrowed place was given back. */
  readonly placeReturned: () => void;
}

/** Begins, stops and follows the attempts of this server. */
export interface Executor {
  /**
   * Takes a place for a run that is about to be claimed; undefined when there is none. A run whose parent executes here may
   * borrow the parent's: the parent may be waiting for it. One run at a time does.
   */
  reserve(run: Pick<Run, "runId" | "parent">): Reservation | undefined;
  /** A cancel is stored: stops the run if it executes here, or as soon as it does. */
  cancelStored(run: Run): void;
  /** No new attempts; hands those that are under way back at their next step, and kills what is left after the grace. */
  drain(graceMs: number): Promise<void>;
}

export function createExecutor(parts: ExecutorParts): Executor {
  const { attempts, expected } = parts.executing;
  const settling = new Set<Promise<void>>();
  /** Runs that have their parent's place, by the parent. */
  const borrowers = new Map<string, string>();
  /** Attempts that are not in their process yet. */
  let starting = 0;
  let draining = false;

  function cancel(attempt: Attempt, run: Run): void {
    const { action, reason } = run.cancellation!;
    attempt.cancel(action, reason);
  }

  function borrows(runId: string): boolean {
    return [...borrowers.values()].includes(runId);
  }

  /** Whether the run may have the place of its parent, which executes here. */
  function canBorrow(parent: Run["parent"]): boolean {
    return parent !== undefined && attempts.has(parent.runId) && !borrowers.has(parent.runId);
  }

  function giveBack(runId: string): void {
    for (const [parent, borrower] of borrowers) {
      if (borrower !== runId) continue;
      borrowers.delete(parent);
      parts.placeReturned();
    }
  }

  async function follow(attempt: Attempt, before: BeforeEnd): Promise<void> {
    const { run, token } = attempt;
    try {
      await parts.settle(run, token, await attempt.ended, before);
    } catch (error) {
      parts.failed(run, error);
    } finally {
      if (attempts.get(run.runId) === attempt) {
        attempts.delete(run.runId);
        giveBack(run.runId);
      }
    }
  }

  function start(run: Run, thread: Thread, claimed: "beforehand" | "later"): void {
    const attempt = parts.start(run, thread, borrows(run.runId));
    attempts.set(run.runId, attempt);
    starting += 1;
    void attempt.placed.then(() => {
      starting -= 1;
    });
    const early = expected.get(run.runId);
    expected.delete(run.runId);
    if (early) cancel(attempt, early);
    if (draining) attempt.drain();
    const before: BeforeEnd = { thread, hasWaited: claimed === "later" };
    const done = follow(attempt, before).finally(() => settling.delete(done));
    settling.add(done);
  }

  return {
    reserve({ runId, parent }) {
      if (draining || parts.executing.knows(runId)) return undefined;
      if (parts.host.freeSlots - expected.size - starting <= 0) {
        if (!canBorrow(parent)) return undefined;
        borrowers.set(parent!.runId, runId);
      }
      expected.set(runId, undefined);
      const lease: Lease = { token: newId(), server: parts.server, until: parts.leaseEnd(), unfenced: [] };
      return {
        lease: () => lease,
        start,
        release() {
          expected.delete(runId);
          giveBack(runId);
        },
      };
    },

    cancelStored(run) {
      const attempt = attempts.get(run.runId);
      if (attempt) cancel(attempt, run);
      else if (expected.has(run.runId)) expected.set(run.runId, run);
    },

    async drain(graceMs) {
      draining = true;
      for (const attempt of attempts.values()) attempt.drain();
      const timer = setTimeout(() => {
        for (const attempt of attempts.values()) attempt.kill();
      }, graceMs);
      while (settling.size > 0) await Promise.all(settling);
      clearTimeout(timer);
    },
  };
}
