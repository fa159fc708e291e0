import type { Logger } from "pino";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { type Guards, guarded } from "../access/authorize.ts";
import type { Identity } from "../access/identity.ts";
import type { AuthFile } from "../access/langgraph/auth-file.ts";
import { createJudge } from "../access/langgraph/judge.ts";
import { judgedItems } from "../access/langgraph/judged-items.ts";
import type { Config } from "../config.ts";
import type { Runs } from "../create-runs.ts";
import type { AssistantName } from "../domain/assistant.ts";
import { isDomainError } from "../domain/errors.ts";
import { abortError, onClientGone } from "../server/client-gone.ts";
import { createAssistantService } from "../services/assistant-service.ts";
import type { Calls } from "../services/calls.ts";
import { judgedAssistants } from "../services/judged/judged-assistants.ts";
import { judgedOperations } from "../services/judged/judged-operations.ts";
import { judgedRuns } from "../services/judged/judged-runs.ts";
import { judgedThreads } from "../services/judged/judged-threads.ts";
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
  /** The deployment's auth file, which is asked what its users may do. */
  readonly authFile?: AuthFile | undefined;
  readonly shutdownSignal: AbortSignal;
  /** Whether a failure of the database is worth trying again. */
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: () => Promise<void>;
  readonly log: Logger;
}

export type Api = ReturnType<typeof createApi>;

/** The handlers of all RPCs, made once: the protocols of gRPC and the REST edge call the same ones. */
export function createApi(parts: ApiParts) {
  const { config, stores, runs, guards, authFile, shutdownSignal, isTransient, pause, log } = parts;
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
  const threadService = createThreadService({ ...runs, read: runs.readThreads, calls });
  const assistantService = createAssistantService(runs.assistants);
  const operationService = createOperationService(runs);
  const findAssistant = (name: AssistantName) =>
    runs.assistants.read.get(name).catch((error: unknown) => {
      if (!isDomainError(error, "ASSISTANT_NOT_FOUND")) throw error;
      return undefined;
    });
  const judge = authFile && createJudge({ file: authFile, lanes: stores.lanes, findAssistant });
  return {
    runs: guarded(RunService, judge ? judgedRuns(runService, judge) : runService, guards),
    threads: guarded(ThreadService, judge ? judgedThreads(threadService, judge) : threadService, guards),
    assistants: guarded(AssistantService, judge ? judgedAssistants(assistantService, judge) : assistantService, guards),
    itemsOf: ({ user }: Identity) => (authFile && user ? judgedItems(runs.items, authFile, user) : runs.items),
    operations: guarded(OperationService, judge ? judgedOperations(operationService, judge) : operationService, guards),
    watchers,
  };
}
