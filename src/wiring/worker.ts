import { rememberedCharacters } from "../domain/bounded.ts";
import { createReadRuns } from "../domain/read-runs.ts";
import { ifMerely } from "../domain/threads.ts";
import { createDueRuns } from "../worker/due-runs.ts";
import { createExecutor } from "../worker/executor.ts";
import { createScheduler } from "../worker/scheduler.ts";
import { createSettle } from "../worker/settle.ts";
import { createTemporaryThreads } from "../worker/temporary-threads.ts";
import { postWebhook } from "../worker/webhook-post.ts";
import { createWebhooks } from "../worker/webhooks.ts";
import type { StartAttempt } from "./attempts.ts";
import type { Foundation } from "./foundation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";

export type Worker = ReturnType<typeof createWorker>;

/** Claims runs, executes them, writes their outcomes, and does what follows a run's end. */
export function createWorker(foundation: Foundation, states: States, lifecycle: Lifecycle, start: StartAttempt) {
  const { config, stores, host, server, signals, clock, executing, closing, log } = foundation;
  const { isPassing, whileAway, onError } = foundation;
  const { runs, threads, servers } = stores;
  const { finish, order, removal } = lifecycle;

  const settle = createSettle({
    runs,
    finish,
    isPassing,
    handedBack: signals.turnPassed.emit,
    dropped: (run) => log.warn({ run_id: run.runId }, "a late outcome was dropped: the run is somebody else's by now"),
  });

  /** Runs whose attempts here have ended without an outcome that could be written. */
  const unsettled = new Set<string>();
  const executor = createExecutor({
    executing,
    host,
    server,
    leaseEnd: clock.leaseEnd,
    start,
    settle: (run, token, { result, state, ...end }, before) =>
      whileAway(() => settle(run, token, result, end, { state, before })),
    failed(run, err) {
      unsettled.add(run.runId);
      log.error({ err, run_id: run.runId }, "an attempt has failed; its run will be taken up again");
    },
    placeReturned: signals.placeReturned.emit,
  });
  signals.cancelStored.on(executor.cancelStored);

  const scheduler = createScheduler({
    runs,
    threads,
    executing,
    executor,
    pollMs: config.pollMs,
    onError: onError("claiming runs"),
  });
  signals.turnPassed.on(scheduler.wake);
  signals.placeReturned.on(scheduler.wake);
  host.onFree(scheduler.slotFree);

  const dueRuns = createDueRuns({
    runs,
    join: order.join,
    now: clock.now,
    pollMs: config.pollMs,
    onError: onError("letting delayed runs join"),
  });
  signals.due.on(dueRuns.expect);

  const temporaryThreads = createTemporaryThreads({
    runs,
    threads,
    server,
    servers: async () => (await servers.others(server)).map(({ id }) => id),
    remove: (thread) => removal.deleteThread(thread, closing.signal).catch(ifMerely("THREAD_NOT_FOUND")),
    isBatchDone: stores.batches.isBatchDone,
    onError: onError("removing a temporary thread"),
  });
  signals.over.on(temporaryThreads.over);
  signals.batchDone.on(temporaryThreads.batchDone);

  const readRuns = createReadRuns({
    runs,
    threads,
    readState: states.stateIfReadable,
    stateLeft: finish.stateLeft,
  });
  const webhooks = createWebhooks({
    store: stores.webhooks,
    entomb: runs.entomb,
    async valuesAtEnd(run) {
      const { values } = await readRuns.endState(run);
      return values !== undefined && values.length <= rememberedCharacters ? values : undefined;
    },
    post: postWebhook,
    now: clock.now,
    limitMs: config.webhookLimitMs,
    pauseMs: config.webhookPauseMs,
    leaseMs: config.leaseMs,
    onError: onError("a webhook"),
    log,
  });
  signals.over.on(webhooks.over);

  return { settle, unsettled, executor, scheduler, dueRuns, temporaryThreads, readRuns, webhooks };
}
