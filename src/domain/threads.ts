import type { CancelRuns } from "./cancel-runs.ts";
import { checkMetadata } from "./check-metadata.ts";
import { DomainError, type ErrorReason } from "./errors.ts";
import type { FinishRun, RunData, StateAtEnd } from "./finish-run.ts";
import { newId } from "./ids.ts";
import { runNotFound, threadNotFound } from "./not-found.ts";
import type { RunStore, ThreadStore } from "./ports.ts";
import type { Run, RunName } from "./run.ts";
import type { Thread, ThreadName } from "./thread.ts";
import { threadBusy } from "./thread-busy.ts";

export interface NewThread extends ThreadName {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly ifExists: "raise" | "do_nothing";
  readonly ttlMs?: number;
}

export type CreateThread = (request: NewThread) => Promise<Thread>;

/** Creates a thread; THREAD_EXISTS when the id is taken, unless the one that is there will do. */
export function createCreateThread(threads: ThreadStore, maxMetadataBytes?: number): CreateThread {
  return async (request) => {
    checkMetadata(request.metadata, "metadata", maxMetadataBytes);
    const now = new Date();
    const thread: Thread = {
      owner: request.owner,
      threadId: request.threadId,
      journal: newId(),
      n: 0,
      status: "idle",
      metadata: request.metadata,
      createdAt: now,
      updatedAt: now,
      ttlMs: request.ttlMs,
      temporary: false,
      removing: false,
    };
    // Where it is likely to be there it is looked for first; an insert that fails costs more.
    const there = request.ifExists === "do_nothing" ? await threads.find(request) : undefined;
    if (!there && (await threads.insert(thread))) return thread;
    if (request.ifExists === "do_nothing") return there ?? (await threads.find(request)) ?? thread;
    throw threadExists("thread_id", request.threadId);
  };
}

export interface RemovalParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  readonly cancels: CancelRuns;
  readonly finish: FinishRun;
  readonly data: RunData & { removeThread(thread: Thread): Promise<void> };
  readonly wait: (name: RunName, signal: AbortSignal) => Promise<Run | undefined>;
  readonly readState: (thread: Thread, graph: string) => Promise<StateAtEnd>;
  /** How often the holder of a turn shows that it is at work, lest the turn be taken from it. */
  readonly keepTurnMs: number;
}

export interface Removal {
  /** Repeatable until it is done; afterwards the thread is not found. */
  deleteThread(name: ThreadName, signal: AbortSignal): Promise<void>;
  /** A run that is live is rolled back: nothing builds on it yet, so the same is left of it. */
  deleteRun(name: RunName, signal: AbortSignal): Promise<void>;
}

/** Removing runs and threads. A live run is first stopped for real. */
export function createRemoval(parts: RemovalParts): Removal {
  const { runs, threads, cancels, finish, data } = parts;

  async function deleteThread(name: ThreadName, signal: AbortSignal): Promise<void> {
    const thread = await threads.markRemoving(name);
    if (!thread) throw threadNotFound(name.threadId);
    for (;;) {
      const live = await runs.live({ owner: name.owner, threadId: name.threadId, status: "all" }, 1000);
      if (live.length === 0) break;
      await cancels.cancelAll(live, { action: "interrupt", reason: "thread deleted", requestedBy: "client" });
      for (const run of live) await over(run, signal);
    }
    for (const run of await runs.outliving(thread)) await runs.entomb(run, valuesOf(thread, run));
    await data.removeThread(thread);
    await runs.removeAll(thread);
    await threads.remove(name);
  }

  /** For the run's webhook, if they are still at hand. */
  const valuesOf = ({ state }: Thread, run: Run) => (state?.n === run.n ? state.values : undefined);

  async function deleteRun(name: RunName, signal: AbortSignal): Promise<void> {
    let run = await runs.find(name);
    // Also one whose thread does not know of its end yet: it still has the turn.
    if (run && (run.phase !== "over" || run.cleanupPending)) {
      await cancels
        .cancel(name, { action: "rollback", reason: "run deleted", requestedBy: "client" })
        .catch(ifMerely("RUN_NOT_CANCELLABLE", "RUN_NOT_FOUND"));
      await over(name, signal);
      run = await runs.find(name);
      if (!run) return;
    }
    if (!run) throw runNotFound(name);
    const holder = `delete ${newId()}`;
    const thread = await threads.takeTurn(name, holder);
    if (!thread) throw await busy(name);
    const keeping = setInterval(() => void threads.keepTurn(name, holder).catch(() => undefined), parts.keepTurnMs);
    try {
      await data.removeCheckpoints(thread, run);
      await data.removeEvents(run);
      await runs.entomb(run, valuesOf(thread, run));
    } finally {
      try {
        const state = thread.state?.n === run.n ? await stateOf(thread, run) : undefined;
        await finish.releaseTurn(name, holder, { state, leaving: run.startedAt && run.runId });
      } finally {
        clearInterval(keeping);
      }
    }
    await runs.remove(run);
  }

  async function over(name: RunName, signal: AbortSignal): Promise<void> {
    await parts.wait(name, signal).catch(ifMerely("RUN_NOT_FOUND"));
  }

  /** What the journal shows now, as the state of the last run that is left: null without a checkpoint. */
  async function stateOf(thread: Thread, run: Run) {
    const last = await runs.lastStarted(thread, run.runId);
    const { n, graph } = last ?? { n: 0, graph: run.graph };
    const read = await parts.readState(thread, graph);
    const assistantId = last?.assistant.assistantId;
    return read.checkpointId === undefined ? null : { ...read, n, graph, assistantId };
  }

  async function busy(name: RunName): Promise<DomainError> {
    const thread = await threads.find(name);
    if (!thread) return threadNotFound(name.threadId);
    const { threadId } = name;
    const live = thread.turn === undefined ? undefined : await runs.find({ ...name, runId: thread.turn });
    return threadBusy({
      threadId,
      run: live,
      otherwise: "the deletion of a run",
      advice: "its other runs can be deleted when that is over",
    });
  }

  return { deleteThread, deleteRun };
}

/** Takes these errors as done: the run ended, or was removed, by itself in between. */
export const ifMerely =
  (...reasons: ErrorReason[]) =>
  (error: unknown): void => {
    if (!(error instanceof DomainError && reasons.includes(error.reason))) throw error;
  };

export function threadExists(field: string, threadId: string): DomainError {
  return new DomainError("THREAD_EXISTS", `${field}: there is already a thread ${threadId}`, {
    metadata: { thread_id: threadId },
  });
}
