import { newId } from "../domain/ids.ts";
import type { StoredThread } from "../domain/ports.ts";
import { keyOfRun, type Run, type RunName } from "../domain/run/run.ts";
import type { Slot } from "../domain/run/store-run.ts";
import type { StopWish } from "../domain/thread/act.ts";
import type { Entry } from "../domain/thread/entry.ts";
import { asInLane } from "../domain/thread/project.ts";
import { threadOf } from "../domain/thread/view.ts";
import type { Attempt, Execution } from "./attempt.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Pending } from "./child-shares.ts";
import type { Executing } from "./executing.ts";
import type { Settle } from "./settle.ts";

export interface ExecutorParts {
  readonly executing: Executing;
  /** This server's present name. */
  readonly self: () => string;
  readonly host: Pick<AttemptHost, "hasRoom" | "want">;
  /** Runs of an owner that this server executes at a time; undefined for as many as there is room for. */
  readonly mostOf: (owner: string) => number | undefined;
  readonly findRecord: (name: RunName) => Promise<Run | undefined>;
  readonly start: (execution: Execution) => Attempt;
  /** How outcomes are written, with a slot for the run that is next. */
  readonly settleWith: (reserve: (run: { readonly owner: string }) => Slot | undefined) => Settle;
  /** Does it as soon as the database is there. */
  readonly whileAway: <T>(what: () => Promise<T>) => Promise<T>;
  readonly failed: (run: RunName, error: unknown) => void;
  /** A run was claimed of which there is no record: it counts as lost, so that it comes to an end. */
  readonly missing: (run: RunName) => void;
  /** A borrowed slot was given back, or a reserved one was not needed: whoever waits for one may have it. */
  readonly slotReturned: () => void;
}

/** Begins, stops and follows the attempts of this server. */
export interface Executor {
  /**
   * Takes a slot for a run that is about to be claimed; undefined when there is none. A run whose parent executes here may
   * borrow the parent's: the parent may be waiting for it. One run at a time does.
   */
  reserve(run: Child): Slot | undefined;
  /** The same for the scheduler, which need not be woken for a slot that it gives back itself. */
  reserveForQueue: Executor["reserve"];
  /** Writes an outcome. */
  readonly settle: Settle;
  /** A cancel is stored: stops the run if it executes here, or as soon as it does. */
  cancelStored(wish: Omit<StopWish, "server">): void;
  /** Ends everything that executes, at once; resolves when nothing of it runs any more. */
  killAll(): Promise<void>;
  /** No new attempts; hands those that are under way back at their next step, and kills what is left after the grace. */
  drain(graceMs: number): Promise<void>;
}

export function createExecutor(parts: ExecutorParts): Executor {
  const { attempts, claiming, early } = parts.executing;
  const working = new Set<Promise<void>>();
  /** The tokens of runs that have their parent's slot, by the parent. */
  const borrowers = new Map<string, string>();
  /** Attempts that are not in their process yet, by their owner. */
  const starting = new Map<string, number>();
  let draining = false;
  // There may be no run that is next: none is a reason for another process.
  const settle = parts.settleWith(({ owner }) => returning(slotFor({ owner })));

  /** Whether the run may have the slot of its parent, which executes here. */
  function canBorrow(parent: string | undefined): parent is string {
    return parent !== undefined && attempts.has(parent) && !borrowers.has(parent);
  }

  function giveBack(token: string): void {
    for (const [parent, borrower] of borrowers) {
      if (borrower !== token) continue;
      borrowers.delete(parent);
      parts.slotReturned();
    }
  }

  function release(token: string): void {
    claiming.delete(token);
    if (claiming.size === 0) early.clear();
    giveBack(token);
  }

  async function follow(attempt: Attempt, claimed: StoredThread): Promise<void> {
    const { run, token } = attempt;
    try {
      const { result, ...left } = await attempt.ended;
      await parts.whileAway(() => settle(run, token, result, { ...left, record: run }, claimed));
    } catch (error) {
      parts.failed(run, error);
    } finally {
      if (attempts.get(keyOfRun(run)) === attempt) attempts.delete(keyOfRun(run));
      giveBack(token);
      // Whose runs were as many as they may be may have another one now.
      if (parts.mostOf(run.owner) !== undefined) parts.slotReturned();
    }
  }

  /** The run as its record says, brought up to the claimed entry. */
  async function begin(token: string, claimed: Claimed, known?: Run): Promise<void> {
    const { owner, threadId } = claimed.origin;
    const { entry } = claimed;
    const name: RunName = { owner, threadId, runId: entry.run };
    try {
      const record = known ?? (await parts.findRecord(name));
      // Without a record there is nothing to execute; the heartbeat finds the lease.
      if (!record) {
        parts.missing(name);
        return release(token);
      }
      start(token, claimed, record);
    } catch (error) {
      release(token);
      parts.failed(name, error);
    }
  }

  function start(token: string, claimed: Claimed, record: Run): void {
    const { entry } = claimed;
    // Claimed in a life that is over by now: others have taken it over, and this server may be executing it anew.
    if (entry.lease?.server !== parts.self()) {
      release(token);
      return;
    }
    const isExtra = [...borrowers.values()].includes(token);
    const attempt = parts.start({ ...executionOf(token, claimed, record), isExtra });
    const key = keyOfRun(record);
    attempts.set(key, attempt);
    const { owner } = record;
    starting.set(owner, (starting.get(owner) ?? 0) + 1);
    void attempt.placed.then(() => {
      const left = starting.get(owner)! - 1;
      if (left === 0) starting.delete(owner);
      else starting.set(owner, left);
    });
    const cancel = entry.cancel ?? early.get(key);
    early.delete(key);
    claiming.delete(token);
    if (claiming.size === 0) early.clear();
    if (cancel) attempt.cancel(cancel.action, cancel.reason);
    if (draining) attempt.drain();
    track(follow(attempt, claimed));
  }

  function track(work: Promise<void>): void {
    const done = work.finally(() => working.delete(done));
    working.add(done);
  }

  /** Attempts that have no place in a process yet, by their owner. */
  function pending(): Pending {
    const counts = new Map(starting);
    for (const owner of claiming.values()) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return counts;
  }

  const reserve = (run: Child): Slot | undefined => returning(reserveForQueue(run));

  function reserveForQueue(run: Child): Slot | undefined {
    const slot = slotFor(run);
    if (!slot && !draining && !hasMost(run.owner)) parts.host.want(run.owner);
    return slot;
  }

  function returning(slot: Slot | undefined): Slot | undefined {
    if (!slot) return undefined;
    return {
      ...slot,
      release() {
        slot.release();
        parts.slotReturned();
      },
    };
  }

  function hasMost(owner: string): boolean {
    const most = parts.mostOf(owner);
    if (most === undefined) return false;
    let count = 0;
    for (const { run } of attempts.values()) if (run.owner === owner) count += 1;
    for (const other of claiming.values()) if (other === owner) count += 1;
    return count >= most;
  }

  function slotFor(run: Child): Slot | undefined {
    if (draining) return undefined;
    const token = newId();
    if (hasMost(run.owner) || !parts.host.hasRoom(run.owner, pending())) {
      const parent = parentOf(run);
      if (!canBorrow(parent)) return undefined;
      borrowers.set(parent, token);
    }
    claiming.set(token, run.owner);
    return {
      token,
      start: (claimed, known) => {
        // At once where the record is at hand.
        if (known) start(token, claimed, known);
        else track(begin(token, claimed));
      },
      release: () => release(token),
    };
  }

  return {
    reserve,
    reserveForQueue,
    settle,

    cancelStored({ run, action, reason }) {
      const attempt = attempts.get(keyOfRun(run));
      if (attempt) attempt.cancel(action, reason);
      else if (claiming.size > 0) early.set(keyOfRun(run), { action, reason });
    },

    async killAll() {
      const all = [...attempts.values()];
      for (const attempt of all) attempt.kill();
      await Promise.allSettled(all.map(({ ended }) => ended));
    },

    async drain(graceMs) {
      draining = true;
      for (const attempt of attempts.values()) attempt.drain();
      const timer = setTimeout(() => {
        for (const attempt of attempts.values()) attempt.kill();
      }, graceMs);
      while (working.size > 0) await Promise.all(working);
      clearTimeout(timer);
    },
  };
}

/** A run that may have a parent of the same owner. */
type Child = Pick<Run, "owner" | "parent">;

const parentOf = ({ owner, parent }: Child): string | undefined =>
  parent && keyOfRun({ owner, threadId: parent.threadId, runId: parent.runId });

type Claimed = StoredThread & { readonly entry: Entry };

const executionOf = (token: string, claimed: Claimed, record: Run) => ({
  run: asInLane(record, claimed.entry),
  thread: threadOf(claimed),
  token,
  alone: claimed.entry.alone === true,
});
