import { createCopyThread } from "../domain/copy-thread.ts";
import { createPruneThreads } from "../domain/prune-threads.ts";
import { createReadThreads } from "../domain/read-threads.ts";
import { createCreateBatch } from "../domain/run/create-batch.ts";
import { createCreateRun } from "../domain/run/create-run.ts";
import { createPreviewCancels } from "../domain/run/preview-cancels.ts";
import { createRequestIds } from "../domain/run/request-ids.ts";
import { createRetryWebhook } from "../domain/run/retry-webhook.ts";
import { createRunLimits } from "../domain/run/run-limits.ts";
import { createStoreRun } from "../domain/run/store-run.ts";
import { createSearchThreads } from "../domain/search-threads.ts";
import { createCreateThread } from "../domain/threads.ts";
import { createUpdateState } from "../domain/update-state.ts";
import { createUpdateThread } from "../domain/update-thread.ts";
import { toState } from "../worker/attempt.ts";
import { createEditState } from "../worker/edit-state.ts";
import type { StateReport } from "../worker/protocol.ts";
import { createAssistants } from "./assistants.ts";
import type { Foundation } from "./foundation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { States } from "./states.ts";
import type { Worker } from "./worker.ts";

export type Domain = ReturnType<typeof createDomain>;

/** The count of all live runs is at most so old. */
const countedMs = 1_000;

/** What callers may ask for. */
export function createDomain(foundation: Foundation, states: States, lifecycle: Lifecycle, worker: Worker) {
  const { config, stores, journal, reports, clock, kept, monotonicMs, canonicalOf } = foundation;
  const { runs, threads, lanes } = stores;
  const { act, cancels, children, data, findRun, holdThread, removal } = lifecycle;
  const { findCheckpoint, graphOf, inspect, stateAtEnd, whereItStands } = states;
  const { now } = clock;

  const assistants = createAssistants({ ...foundation, now });
  const limits = createRunLimits({
    ...config,
    maxOf: (owner) => foundation.runsOf?.(owner).live,
    pollMs: Math.min(config.pollMs, countedMs),
    runs,
    monotonicMs,
  });
  const storeRun = createStoreRun({
    lanes,
    kept,
    runs,
    findRun,
    act,
    children,
    reserve: worker.executor.reserve,
    watchersOf: worker.temporaryThreads.watchersOf,
    maxThreadRuns: config.maxThreadRuns,
    leaseMs: config.leaseMs,
    monotonicMs,
  });
  const newRuns = createCreateRun({
    runs,
    findThread: threads.find,
    storeRun,
    resolveAssistant: assistants.resolve,
    findCheckpoint,
    nodesOf: (graph) => reports.find(({ name }) => name === graph),
    limits,
    maxMetadataBytes: config.maxMetadataBytes,
    refusalOfReceiver: foundation.receivers.refusalOf,
    children,
    now,
  });

  return {
    assistants,
    cancels,
    removal,
    preview: createPreviewCancels(runs, lanes),
    items: states.items,
    readRuns: worker.readRuns,
    requestIds: createRequestIds({ requests: stores.requests, findRun, runs, createRun: newRuns.create, canonicalOf }),
    createBatch: createCreateBatch({
      batches: stores.batches,
      runs,
      findRun,
      prepareRun: newRuns.prepare,
      storeRun,
      limits,
      maxBatch: config.maxBatch,
      canonicalOf,
      now,
      onError: foundation.onError("a batch"),
    }),
    retryWebhook: createRetryWebhook({ webhooks: stores.webhooks, findRun, runs, pending: worker.webhooks.ended }),
    createThread: createCreateThread({ lanes, threads, kept, maxMetadataBytes: config.maxMetadataBytes, now }),
    updateThread: createUpdateThread({ act: act.act, threads }, config.maxMetadataBytes),
    searchThreads: createSearchThreads(threads),
    copyThread: createCopyThread({
      threads,
      lanes,
      holdThread,
      journals: data,
      readState: whereItStands,
      openingOf: states.lastOpening,
      now,
    }),
    pruneThreads: createPruneThreads({ act, removal, holdThread, keepLatest: data.keepLatest }),
    readThreads: createReadThreads<StateReport>({
      threads,
      findCheckpoint,
      graphOf,
      readState: states.readState,
      readHistory: states.readHistory,
      toRemember: toState,
      emptyState: { checkpointNs: "", next: [], tasks: [], interrupts: [] },
    }),
    updateState: createUpdateState({
      threads,
      holdThread,
      findCheckpoint,
      graphOf,
      readState: stateAtEnd,
      resolveAssistant: assistants.resolve,
      edit: createEditState({ inspect, journal, lanes }),
    }),
  };
}
