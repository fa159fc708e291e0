import { cancelChildren } from "../domain/cancel-children.ts";
import { createCancelRuns } from "../domain/cancel-runs.ts";
import { createChildRuns } from "../domain/child-runs.ts";
import { createFinishRun, type FinishRun } from "../domain/finish-run.ts";
import { createHoldTurn } from "../domain/hold-turn.ts";
import { createJoinOrder } from "../domain/join-order.ts";
import { createSupersede } from "../domain/supersede.ts";
import { createRemoval } from "../domain/threads.ts";
import type { Foundation } from "./foundation.ts";
import type { States } from "./states.ts";
import type { Streams } from "./streams.ts";
import { createThreadData } from "./thread-data.ts";

export type Lifecycle = ReturnType<typeof createLifecycle>;

/** How runs stop and end, and what follows for their threads. */
export function createLifecycle(foundation: Foundation, { outcomes }: Streams, states: States) {
  const { config, stores, journal, signals, executing, onError } = foundation;
  const { runs, threads, events } = stores;
  const { newestCheckpoint } = states;
  const data = createThreadData(journal, events);

  const cancelsWith = ({ finishRun }: Pick<FinishRun, "finishRun">) =>
    createCancelRuns({
      runs,
      finish: { finishRun },
      async newestCheckpoint(name) {
        const thread = await threads.find(name);
        return thread && newestCheckpoint(thread);
      },
      executesHere: executing.knows,
      signal: signals.cancelStored.emit,
      childrenLeft: onError("cancelling runs with their parent"),
    });
  const finish = createFinishRun({
    runs,
    threads,
    data,
    readState: states.stateAtEnd,
    newestCheckpoint,
    turnPassed: signals.turnPassed.emit,
    // Each needs the other: a child that is cancelled may be over at once.
    cancelChildren: (run, self) => cancelChildren({ runs, cancelAll: cancelsWith(self).cancelAll }, [run]),
    announce: signals.over.emit,
  });
  const cancels = cancelsWith(finish);

  return {
    data,
    finish,
    cancels,
    children: createChildRuns({ runs, cancels }),
    supersede: createSupersede({ runs, cancels, finish }),
    order: createJoinOrder({
      runs,
      threads,
      finish,
      turnPassed: signals.turnPassed.emit,
      dueAt: signals.due.emit,
    }),
    holdTurn: createHoldTurn({ runs, threads, finish, leaseMs: config.leaseMs }),
    removal: createRemoval({
      runs,
      threads,
      cancels,
      finish,
      data,
      wait: outcomes.wait,
      readState: states.stateAtEnd,
      keepTurnMs: config.leaseMs / 3,
    }),
  };
}
