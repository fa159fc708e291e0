import { setImmediate } from "node:timers/promises";
import { cancelChildren } from "./cancel-children.ts";
import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import { runNotFound } from "./not-found.ts";
import type { CancelRequest, RunStore } from "./ports.ts";
import type { Run, RunName } from "./run.ts";
import type { ThreadName } from "./thread.ts";
import type { CancelAction } from "./transitions.ts";

export interface CancelRunsParts {
  readonly runs: RunStore;
  readonly finish: Pick<FinishRun, "finishRun">;
  /** Where the run's thread stands. */
  readonly newestCheckpoint: (name: ThreadName) => Promise<string | undefined>;
  /** Whether the run executes on this server, as far as this server can tell. */
  readonly executesHere: (runId: string) => boolean;
  /** Tells the worker that executes the run that a cancel is stored. Never fails: workers also look by themselves. */
  readonly signal: (run: Run) => void;
  /** The children of a run could not be cancelled: that is done when the run settles, since its own cancel is stored. */
  readonly childrenLeft: (error: unknown) => void;
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
  childrenLeft,
}: CancelRunsParts): CancelRuns {
  /** `seen` is the run as it has been read already. */
  async function store(name: RunName, request: CancelRequest, seen?: Run): Promise<StoredCancel> {
    if (!seen && executesHere(name.runId)) {
      // Most likely nobody has asked for it yet, so that it need not be looked at first: the node stops that much sooner.
      const stored = await runs.requestCancel(name, 0, request);
      if (stored) return { run: stored, ended: false };
    }
    for (let read = seen; ; read = undefined) {
      const run = read ?? (await runs.find(name));
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
    return lastRecord(last, name, request);
  }

  async function follow({ run, ended }: StoredCancel): Promise<Run> {
    if (ended) return finish.finishRun(run);
    if (run.phase === "stopping") signal(run);
    return run;
  }

  /** The requests of one thread, newest run first. */
  async function storeInOrder(found: readonly Run[], request: CancelRequest, results: Results): Promise<void> {
    for (const run of [...found].sort((a, b) => b.n - a.n)) {
      const outcome = await store(run, request, run).catch((error: unknown) => {
        if (error instanceof DomainError) return error;
        throw error;
      });
      results.set(run.runId, outcome);
    }
  }

  async function cancel(name: RunName, request: CancelRequest): Promise<Run> {
    const stored = await store(name, request);
    const run = await follow(stored);
    if (isStopping(stored)) await withChildren([run]);
    return run;
  }

  async function cancelAll(names: readonly RunName[], request: CancelRequest): Promise<Map<string, Run | DomainError>> {
    const stored: Results = new Map();
    const { live, gone } = await lookUp(runs, names);
    for await (const [name, last] of inSlices(gone)) {
      const run = orError(() => lastRecord(request.refuseRepeat ? undefined : last, name, request));
      stored.set(name.runId, run instanceof DomainError ? run : { run, ended: false });
    }
    const byThread = Map.groupBy(live, (run) => run.threadId);
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
    await withChildren(stopping.map((one) => (one as StoredCancel).run));
    return results;
  }

  async function withChildren(stopping: readonly Run[]): Promise<void> {
    await cancelChildren({ runs, cancelAll }, stopping).catch(childrenLeft);
  }

  return { cancel, cancelAll };
}

/** Names of one look-up. */
const atOnce = 1000;

/** Where runs stand: those that have a record, and of the others the last one, while that is kept. */
export async function lookUp(
  runs: Pick<RunStore, "findMany" | "tombstones">,
  names: readonly RunName[],
): Promise<{ live: Run[]; gone: [RunName, Run | undefined][] }> {
  const live: Run[] = [];
  const gone: [RunName, Run | undefined][] = [];
  for (const some of chunked(names, atOnce)) {
    const found = byName(await runs.findMany(some));
    const missing = some.filter((name) => !found.has(keyOf(name)));
    const last = missing.length > 0 ? byName(await runs.tombstones(missing)) : new Map<string, Run>();
    live.push(...some.flatMap((name) => found.get(keyOf(name)) ?? []));
    gone.push(...missing.map((name): [RunName, Run | undefined] => [name, last.get(keyOf(name))]));
  }
  return { live, gone };
}

/** The items of a list; an error for each, with its stack, would hold up everybody else. */
export async function* inSlices<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const some of chunked(items, atOnce)) {
    yield* some;
    await setImmediate();
  }
}

const keyOf = ({ owner, threadId, runId }: RunName): string => JSON.stringify([owner, threadId, runId]);
const byName = (found: readonly Run[]): Map<string, Run> => new Map(found.map((run) => [keyOf(run), run]));

/** The last record of a run that is gone, for whoever repeats the cancel that ended it. Throws RUN_NOT_FOUND for anybody else. */
export function lastRecord(last: Run | undefined, name: RunName, { action }: Pick<CancelRequest, "action">): Run {
  if (last?.status !== "interrupted" || last.cancellation?.action !== action) throw runNotFound(name);
  return last;
}

/** What it answers, or the domain's error. */
export function orError<T>(answer: () => T): T | DomainError {
  try {
    return answer();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
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
