import { rememberedCharacters } from "../domain/bounded.ts";
import { createReadRuns } from "../domain/run/read-runs.ts";
import { keyOfRun } from "../domain/run/run.ts";
import { createOwnerSecrets } from "../webhooks/owner-secrets.ts";
import { createPostWebhook } from "../webhooks/post-webhook.ts";
import { createWebhooks } from "../webhooks/webhooks.ts";
import { createDueRuns } from "../worker/due-runs.ts";
import { createExecutor } from "../worker/executor.ts";
import { createScheduler } from "../worker/scheduler.ts";
import { createSettle } from "../worker/settle.ts";
import { createTemporaryThreads } from "../worker/temporary-threads.ts";
import type { StartAttempt } from "./attempts.ts";
import type { Foundation } from "./foundation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";

export type Worker = ReturnType<typeof createWorker>;

/** Claims runs, executes them, writes their outcomes, and does what follows a run's end. */
export function createWorker(foundation: Foundation, states: States, lifecycle: Lifecycle, start: StartAttempt) {
  const { config, stores, host, self, signals, clock, executing, closing, log } = foundation;
  const { isTransient, whileAway, onError } = foundation;
  const { runs, threads, lanes, servers } = stores;
  const { act, children, findRun, removal } = lifecycle;

  /** Runs whose attempts here have ended without an outcome that could be written. */
  const unsettled = new Set<string>();
  const executor = createExecutor({
    executing,
    self: () => self().id,
    host,
    mostOf: (owner) => foundation.runsOf?.(owner).executing,
    findRecord: runs.find,
    start,
    settleWith: (reserve) =>
      createSettle({
        runs,
        act,
        reserve,
        isTransient,
        dropped: ({ runId }) =>
          log.warn({ run_id: runId }, "a late outcome was dropped: the run is somebody else's by now"),
      }),
    whileAway,
    failed(run, err) {
      unsettled.add(keyOfRun(run));
      log.error({ err, run_id: run.runId }, "an attempt has failed; its run will be taken up again");
    },
    missing(run) {
      unsettled.add(keyOfRun(run));
      log.warn({ run_id: run.runId }, "a run whose record is gone was claimed");
    },
    slotReturned: signals.slotReturned.emit,
  });
  signals.cancelStored.on((wish) => {
    if (wish.server === self().id) executor.cancelStored(wish);
  });

  const scheduler = createScheduler({
    lanes,
    hasOwners: foundation.accessControl ?? false,
    runs,
    act,
    children,
    reserve: executor.reserveForQueue,
    slotMissing: signals.slotMissing.emit,
    pollMs: config.pollMs,
    recordLimitMs: 2 * config.leaseMs,
    now: clock.now,
    onError: onError("claiming runs"),
  });
  signals.turnPassed.on(scheduler.wake);
  signals.slotReturned.on(scheduler.slotFree);
  signals.readyElsewhere.on(scheduler.wake);
  host.onFree(scheduler.slotFree);

  const dueRuns = createDueRuns({
    lanes,
    act,
    now: clock.now,
    pollMs: config.pollMs,
    onError: onError("letting delayed runs join"),
  });
  signals.due.on(dueRuns.expect);

  const temporaryThreads = createTemporaryThreads({
    lanes,
    act,
    server: () => self().id,
    servers: async () => (await servers.others(self().id)).map(({ id }) => id),
    remove: (name) => removal.finish(name, closing.signal),
    onError: onError("removing a temporary thread"),
  });
  signals.ended.on(temporaryThreads.ended);
  signals.newLife.on(temporaryThreads.renew);

  const readRuns = createReadRuns({
    findRun,
    lanes,
    runs,
    threads,
    recordsBroughtUp: lifecycle.recordsBroughtUp,
    readState: states.stateIfReadable,
    finalStateOf: lifecycle.finalStateOf,
  });
  const { webhookLimitMs: limitMs, webhookPauseMs: pauseMs } = config;
  const calls = createPostWebhook({ rules: foundation.receivers, limitMs });
  const webhooks = createWebhooks({
    store: stores.webhooks,
    insertTombstone: runs.insertTombstone,
    async valuesAtEnd(run) {
      const { values } = await readRuns.endState(run);
      return values !== undefined && values.length <= rememberedCharacters ? values : undefined;
    },
    post: calls.post,
    secretsOf: createOwnerSecrets({
      store: stores.webhookSecrets,
      now: clock.now,
      monotonicMs: foundation.monotonicMs,
    }),
    now: clock.now,
    limitMs,
    pauseMs,
    leaseMs: config.leaseMs,
    onError: onError("a webhook"),
    log,
  });
  signals.ended.on(webhooks.ended);

  return { unsettled, executor, scheduler, dueRuns, temporaryThreads, readRuns, webhooks, closeWebhooks: calls.close };
}
