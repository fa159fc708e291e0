import { createCopyThread } from "../domain/copy-thread.ts";
import { createCreateBatch } from "../domain/create-batch.ts";
import { createCreateRun } from "../domain/create-run.ts";
import { createPreviewCancels } from "../domain/preview-cancels.ts";
import { createPruneThreads } from "../domain/prune-threads.ts";
import { createReadThreads } from "../domain/read-threads.ts";
import { createRequestIds } from "../domain/request-ids.ts";
import { createRunLimits } from "../domain/run-limits.ts";
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

/** What callers may ask for. */
export function createDomain(foundation: Foundation, states: States, lifecycle: Lifecycle, worker: Worker) {
  const { config, stores, journal, reports, signals, clock, monotonicMs, canonicalOf } = foundation;
  const { runs, threads } = stores;
  const { finish, cancels, children, supersede, order, data, holdTurn, removal } = lifecycle;
  const { findCheckpoint, graphOf, inspect, stateAtEnd, whereItStands } = states;
  const { reserve } = worker.executor;
  const turnPassed = signals.turnPassed.emit;

  const assistants = createAssistants(foundation);
  const createThread = createCreateThread(threads, config.maxMetadataBytes);
  const limits = createRunLimits({ ...config, runs, monotonicMs });
  const newRuns = createCreateRun({
    runs,
    threads,
    finish,
    supersede,
    createThread,
    resolveAssistant: assistants.resolve,
    findCheckpoint,
    nodesOf: (graph) => reports.find(({ name }) => name === graph),
    reserve,
    turnPassed,
    limits,
    maxMetadataBytes: config.maxMetadataBytes,
    delays: order,
    children,
    now: clock.now,
    attachedTo: worker.temporaryThreads.attachedTo,
  });

  return {
    assistants,
    cancels,
    removal,
    preview: createPreviewCancels(runs),
    items: states.items,
    readRuns: worker.readRuns,
    requestIds: createRequestIds({ requests: stores.requests, runs, createRun: newRuns.create, cancels, canonicalOf }),
    createBatch: createCreateBatch({
      runs,
      threads,
      batches: stores.batches,
      prepareRun: newRuns.prepare,
      reserve,
      turnPassed,
      limits,
      children,
      delays: order,
      maxBatch: config.maxBatch,
      leaseMs: config.leaseMs,
      monotonicMs,
      canonicalOf,
      done: signals.batchDone.emit,
    }),
    createThread,
    updateThread: createUpdateThread(threads, config.maxMetadataBytes),
    searchThreads: createSearchThreads(threads),
    copyThread: createCopyThread({
      threads,
      holdTurn,
      journals: data,
      readState: whereItStands,
      openingOf: states.lastOpening,
    }),
    pruneThreads: createPruneThreads({ runs, threads, removal, holdTurn, keepLatest: data.keepLatest }),
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
      runs,
      threads,
      finish,
      findCheckpoint,
      graphOf,
      readState: stateAtEnd,
      resolveAssistant: assistants.resolve,
      edit: createEditState({ inspect, journal, threads, renewMs: config.leaseMs / 3 }),
    }),
  };
}
