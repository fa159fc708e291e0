import type { Logger } from "pino";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { type Guards, guarded } from "../access/authorize.ts";
import type { Config } from "../config.ts";
import type { Runs } from "../create-runs.ts";
import { abortError, onClientGone } from "../server/client-gone.ts";
import { createAssistantService } from "../services/assistant-service.ts";
import type { Calls } from "../services/calls.ts";
import { createOperationService } from "../services/operation-service.ts";
import { createRunService } from "../services/run-service.ts";
import { createThreadService } from "../services/thread-service.ts";
import { createWatchers } from "../services/watchers.ts";
import type { Stores } from "../storage/stores.ts";
import { disconnected } from "../worker/take-over.ts";

export interface ApiParts {
  readonly config: Config;
  readonly stores: Stores;
  readonly runs: Runs;
  readonly guards: Guards;
  readonly shutdownSignal: AbortSignal;
  /** Whether a failure of the database is worth trying again. */
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: () => Promise<void>;
  readonly log: Logger;
}

export type Api = ReturnType<typeof createApi>;

/** The handlers of all RPCs, made once: the protocols of gRPC and the REST edge call the same ones. */
export function createApi(parts: ApiParts) {
  const { config, stores, runs, guards, shutdownSignal, isTransient, pause, log } = parts;
  const calls: Calls = {
    onClientGone: (context, callback) => onClientGone(context, shutdownSignal, callback),
    abortError: (context) => abortError(context, shutdownSignal),
  };
  const watchers = createWatchers({
    calls,
    store: (id, run, ifLast, actor) => stores.servers.watch(id, runs.server(), run, { ifLast, actor }),
    forget: (id) => stores.servers.unwatch(id),
    bar: (id) => stores.servers.barWatch(id),
    markLeft: (id) => stores.servers.markLeft(id),
    async stored(run) {
      const watches = await stores.servers.watchesOfRun(run);
      const left = watches.filter((watch) => watch.left).map((watch) => watch.id);
      return { left, elsewhere: watches.some((watch) => !watch.left && watch.server !== runs.server()) };
    },
    isEnding: () => shutdownSignal.aborted,
    cancel: async (run, actor) => void (await runs.cancels.cancel(run, { ...disconnected, actor })),
    // What cannot be done before the end is left to the server that comes next: it finds the watch.
    isTransient: (error) => isTransient(error) && !shutdownSignal.aborted,
    pause,
    lookAgainMs: config.leaseMs,
    log,
  });
  runs.onNewLife(watchers.storeAnew);
  const { cancelLimit } = config;
  const runService = createRunService({ ...runs, read: runs.readRuns, openWatcher: watchers.open, calls, cancelLimit });
  return {
    runs: guarded(RunService, runService, guards),
    threads: guarded(ThreadService, createThreadService({ ...runs, read: runs.readThreads, calls }), guards),
    assistants: guarded(AssistantService, createAssistantService(runs.assistants), guards),
    operations: guarded(OperationService, createOperationService(runs), guards),
    watchers,
  };
}
