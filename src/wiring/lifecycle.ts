import { setTimeout as sleep } from "node:timers/promises";
import { createHoldThread } from "../domain/hold-thread.ts";
import { newId } from "../domain/ids.ts";
import { createCancelRuns } from "../domain/run/cancel-runs.ts";
import { createChildRuns } from "../domain/run/child-runs.ts";
import { keyOfRun, type Run } from "../domain/run/run.ts";
import { createAct } from "../domain/thread/act.ts";
import { createDecide } from "../domain/thread/decide.ts";
import { createLiveRecords } from "../domain/thread/live-records.ts";
import type { StateAtEnd } from "../domain/thread/pay-debts.ts";
import { createRemoval } from "../domain/threads.ts";
import type { Foundation } from "./foundation.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";
import { createThreadData } from "./thread-data.ts";

export type Lifecycle = ReturnType<typeof createLifecycle>;

/** How threads are decided about: how runs stop and end, what holds a thread, and what is removed. */
export function createLifecycle(foundation: Foundation, { outcomes }: Streams, states: States) {
  const {
    config,
    stores,
    journal,
    signals,
    clock,
    self,
    holds,
    executing,
    kept,
    findRun,
    isTransient,
    pause,
    onError,
  } = foundation;
  const { runs, lanes, threads, events } = stores;
  const data = createThreadData(journal, events);
  /** What runs have left that have just ended here, by the very object that was announced. */
  const left = new WeakMap<Run, StateAtEnd>();

  const records = createLiveRecords(runs, onError("bringing a record up to its run"));

  const act = createAct({
    decide: createDecide({
      lanes,
      kept,
      self,
      now: () => clock.now().getTime(),
      newRev: newId,
      random: Math.random,
      sleep,
      isTransient,
      pause,
    }),
    self,
    lanes,
    runs,
    data,
    readState: states.stateAtEnd,
    newestCheckpoint: states.newestCheckpoint,
    ended(run, state) {
      if (state) left.set(run, state);
      signals.ended.emit(run);
    },
    tell: {
      stop: signals.cancelStored.emit,
      offer: signals.turnPassed.emit,
      due: signals.due.emit,
    },
    records,
    failed: onError("what follows from a parent's cancel"),
  });
  signals.othersSeen.on(kept.othersSeen);
  // A small part of a lease at most may have passed since the last heartbeat.
  const isAlive = () => clock.now().getTime() < clock.heldUntil().getTime() - config.leaseMs / 2;
  const holdThread = createHoldThread({ act, lanes, holds, isAlive, isTransient });

  return {
    act,
    data,
    findRun,
    isAlive,
    recordsBroughtUp: records.broughtUp,
    finalStateOf: (over: Run) => left.get(over),
    cancels: createCancelRuns({
      runs,
      act,
      recordAtHand: (name) => executing.attempts.get(keyOfRun(name))?.run,
    }),
    children: createChildRuns({ runs, lanes }),
    holdThread,
    removal: createRemoval({
      lanes,
      threads,
      runs,
      act,
      holdThread,
      data,
      wait: outcomes.wait,
      readState: states.stateAtEnd,
    }),
  };
}
