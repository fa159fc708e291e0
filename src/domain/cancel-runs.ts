import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import type { Run, RunName } from "./run.ts";
import type { CancelRequest, RunStore, ThreadName } from "./stores.ts";
import type { CancelAction } from "./transitions.ts";

export interface CancelRunsParts {
  readonly runs: RunStore;
  readonly finish: FinishRun;
  /** Where the run's thread stands. */
  readonly newestCheckpoint: (name: ThreadName) => Promise<string | undefined>;
  /** Whether the run executes on this server, as far as this server can tell. */
  readonly executesHere: (runId: string) => boolean;
  /** Tells the worker that executes the run that a cancel is stored. Never fails: workers also look by themselves. */
  readonly signal: (run: Run) => void;
  /** Cancels the runs that nodes of these have created; see cancel-children.ts. */
  readonly cancelChildren: (runs: readonly Run[]) => Promise<void>;
}

/** A stored request: what the run was like right after it. */
export interface StoredCancel {
  readonly run: Run;
  /** The run did not execute: this request was its end. */
  readonly ended: boolean;
}

export interface CancelRuns {
  /**
   * Stores the wish to stop a run; from then on it will be cancelled whatever crashes. Throws RUN_NOT_FOUND, or
   * RUN_NOT_CANCELLABLE when the run ended otherwise. A repeat answers the run as it is.
   */
  cancel(name: RunName, request: CancelRequest): Promise<Run>;
  /**
   * The same for many runs of one call: all requests are stored, newest first, before the first run is signalled or its
   * thread's turn moves, so that stopping one never starts the next.
   */
  cancelAll(names: readonly RunName[], request: CancelRequest): Promise<Map<string, Run | DomainError>>;
}

const strength: Record<CancelAction, number> = { interrupt: 1, rollback: 2 };

export function createCancelRuns({
  runs,
  finish,
  newestCheckpoint,
  executesHere,
  signal,
  cancelChildren,
}: CancelRunsParts): CancelRuns {
  async function store(name: RunName, request: CancelRequest): Promise<StoredCancel> {
    if (executesHere(name.runId)) {
      // Most likely nobody has asked for it yet, so that it need not be looked at first: the node stops that much sooner.
      const stored = await runs.requestCancel(name, 0, request);
      if (stored) return { run: stored, ended: false };
    }
    for (;;) {
      const run = await runs.find(name);
      if (!run) return { run: await buried(name, request), ended: false };
      const decided = alreadyDecided(run, request);
      if (decided) return { run: decided, ended: false };
      const stored =
        run.phase === "waiting"
          ? await runs.cancelWaiting(run, request, await checkpointOf(run))
          : await runs.requestCancel(name, run.cancellation?.revision ?? 0, request);
      if (stored) return { run: stored, ended: run.phase === "waiting" };
      // The run changed in between: look again.
    }
  }

  /** A run that waits for another attempt has the turn, so nobody moves its thread. */
  const checkpointOf = async (run: Run) => (run.startedAt === undefined ? undefined : newestCheckpoint(run));

  /** A run that is gone: repeating the cancel that ended it answers its last record for as long as that is kept. */
  async function buried(name: RunName, request: CancelRequest): Promise<Run> {
    const last = request.refuseRepeat ? undefined : await runs.tombstone(name);
    if (last?.status !== "interrupted" || last.cancellation?.action !== request.action) throw runNotFound(name);
    return last;
  }

  async function follow({ run, ended }: StoredCancel): Promise<Run> {
    if (ended) return finish.finishRun(run);
    if (run.phase === "stopping") signal(run);
    return run;
  }

  /** The requests of one thread, newest run first. */
  async function storeInOrder(names: readonly RunName[], request: CancelRequest, results: Results): Promise<void> {
    const found = await runs.findMany(names);
    const number = new Map(found.map((run) => [run.runId, run.n]));
    const newestFirst = [...names].sort((a, b) => (number.get(b.runId) ?? 0) - (number.get(a.runId) ?? 0));
    for (const name of newestFirst) {
      const outcome = await store(name, request).catch((error: unknown) => {
        if (error instanceof DomainError) return error;
        throw error;
      });
      results.set(name.runId, outcome);
    }
  }

  return {
    async cancel(name, request) {
      const stored = await store(name, request);
      const run = await follow(stored);
      if (isStopping(stored)) await cancelChildren([run]);
      return run;
    },

    async cancelAll(names, request) {
      const stored: Results = new Map();
      const byThread = Map.groupBy(names, (name) => name.threadId);
      for (const group of chunked([...byThread.values()], 8)) {
        await Promise.all(group.map((ofThread) => storeInOrder(ofThread, request, stored)));
      }
      const results = new Map<string, Run | DomainError>();
      for (const group of chunked([...stored], 8)) {
        await Promise.all(
          group.map(async ([id, one]) => results.set(id, one instanceof DomainError ? one : await follow(one))),
        );
      }
      const stopping = [...stored.values()].filter((one) => !(one instanceof DomainError) && isStopping(one));
      await cancelChildren(stopping.map((one) => (one as StoredCancel).run));
      return results;
    },
  };
}

/** It executes; the children of one that ended are cancelled by its end. */
const isStopping = ({ run, ended }: StoredCancel): boolean => !ended && run.phase === "stopping";
/**
 * The run when a request would change nothing: it is over, or a request as strong is stored. Throws RUN_NOT_CANCELLABLE when
 * it ended otherwise, or repeats are refused.
 */
export function alreadyDecided(
  run: Run,
  { action, refuseRepeat }: Pick<CancelRequest, "action" | "refuseRepeat">,
): Run | undefined {
  const stored = run.cancellation?.action;
  if (run.phase === "over") {
    if (run.status === "interrupted" && stored === action && !refuseRepeat) return run;
    throw notCancellable(run);
  }
  if (run.phase === "rolling_back") return run;
  return stored !== undefined && strength[stored] >= strength[action] ? run : undefined;
}

type Results = Map<string, StoredCancel | DomainError>;

function chunked<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

export function runNotFound(name: RunName): DomainError {
  return new DomainError("RUN_NOT_FOUND", `run_id: thread ${name.threadId} has no run ${name.runId}`, {
    metadata: { run_id: name.runId, thread_id: name.threadId },
  });
}

function notCancellable(run: Run): DomainError {
  return new DomainError(
    "RUN_NOT_CANCELLABLE",
    `run ${run.runId} is over with status ${run.status.toUpperCase()}; only PENDING and RUNNING runs can be cancelled`,
    {
      metadata: { run_id: run.runId, status: run.status.toUpperCase() },
      run: { runId: run.runId, threadId: run.threadId, status: run.status },
    },
  );
}
