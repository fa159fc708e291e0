import type { ResolveAssistant, ResolvedAssistant } from "./assistants.ts";
import { checkSpec } from "./check-spec.ts";
import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import type { Lease, Run, RunName, RunSpec } from "./run.ts";
import type { Entry, RunStore, ThreadStore } from "./stores.ts";
import { isSuperseding, type Supersede } from "./supersede.ts";
import type { Thread } from "./thread.ts";
import { type CreateThread, threadNotFound } from "./threads.ts";

export interface NewRun {
  readonly owner: string;
  readonly threadId: string;
  readonly runId: string;
  /** The client chose the id, so that it may be taken. */
  readonly isChosenId: boolean;
  readonly spec: RunSpec;
  readonly createThread: boolean;
}

export interface CreateRunParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  readonly finish: FinishRun;
  readonly supersede: Supersede;
  readonly createThread: CreateThread;
  /** The graph's name for an assistant; throws GRAPH_NOT_FOUND or GRAPH_UNAVAILABLE. */
  readonly resolveAssistant: ResolveAssistant;
  readonly checkpointExists: (thread: Thread, checkpointId: string) => Promise<boolean>;
  /** A worker's place, if one is free: the run is then stored as claimed, which saves a write. */
  readonly reserve: (runId: string) => Reservation | undefined;
  /** The run was stored with its thread's turn, and waits for a worker. */
  readonly turnPassed: () => void;
}

/** A place at a worker, taken before the run is stored. Exactly one of the two must be called. */
export interface Reservation {
  lease(): Lease;
  start(run: Run, thread: Thread): void;
  release(): void;
}

export type CreateRun = (request: NewRun) => Promise<Run>;

/**
 * Stores a run: one guarded update of its thread, which gives it its number and, if it is free, the turn; then one insert.
 * Nothing is stored when it throws.
 */
export function createCreateRun(parts: CreateRunParts): CreateRun {
  const { runs, threads } = parts;

  /** What refuses the request; nothing is changed by it, not even the thread that the request would create. */
  async function check(request: NewRun): Promise<ResolvedAssistant> {
    const resolved = await parts.resolveAssistant(request.spec.assistantId);
    checkSpec(request.spec);
    const { checkpointId } = request.spec;
    if (checkpointId !== undefined) {
      const thread = await threads.find(request);
      if (!thread && !request.createThread) throw threadNotFound(request.threadId);
      if (!thread || !(await parts.checkpointExists(thread, checkpointId))) {
        throw new DomainError(
          "CHECKPOINT_NOT_FOUND",
          `checkpoint_id: thread ${request.threadId} has no checkpoint ${checkpointId}`,
          { metadata: { checkpoint_id: checkpointId } },
        );
      }
    }
    if (request.isChosenId && (await isTaken(request))) throw runExists(request);
    return resolved;
  }

  async function insert(run: Run, { thread, hasTurn }: Entry): Promise<Run> {
    const { supersede } = parts;
    // On a free thread without live runs it may start at once, like any other.
    const clearing = isSuperseding(run) && (!hasTurn || (await supersede.liveBefore(run)).length > 0);
    const place = hasTurn && !clearing ? parts.reserve(run.runId) : undefined;
    const claimed: Partial<Run> = place
      ? { status: "running", phase: "running", attempt: 1, lease: place.lease(), startedAt: new Date() }
      : {};
    const stored: Run = { ...run, ...claimed, clearing };
    let live: Run[] = [];
    let superseded: Run | undefined;
    try {
      if (!(await runs.insert(stored, { ready: hasTurn && !place && !clearing }))) {
        if (hasTurn) await parts.finish.releaseTurn(run, run.runId);
        throw runExists(run);
      }
      const [now, before] = await Promise.all([stillThere(thread), supersede.liveBefore(stored)]);
      if (!now) {
        await runs.withdraw(run);
        throw threadNotFound(run.threadId);
      }
      live = before;
      if (now.n > run.n) superseded = await supersede.byLater(stored);
    } catch (error) {
      place?.release();
      throw error;
    }
    if (place) place.start(stored, thread);
    else if (hasTurn) parts.turnPassed();
    // The turn may have been freed before this run could be seen waiting.
    else if (!clearing) await parts.finish.promote(run);
    await supersede.carryOut(stored, live);
    return superseded ?? stored;
  }

  /** A thread that was deleted since it was entered may have been looked through for runs before this one was stored. */
  async function stillThere(entered: Thread): Promise<Thread | undefined> {
    const thread = await threads.find(entered);
    return thread && !thread.removing && thread.journal === entered.journal ? thread : undefined;
  }

  /** By a run of any thread, or by one of this thread that was rolled back. */
  const isTaken = async (name: RunName) =>
    (await runs.findMany([name])).length > 0 || (await runs.tombstone(name)) !== undefined;

  async function refused(run: Run): Promise<DomainError> {
    const thread = await threads.find(run);
    if (!thread || thread.removing) return threadNotFound(run.threadId);
    const [live] = await runs.live({ owner: run.owner, threadId: run.threadId, status: "all" }, 1);
    const runId = thread.turn ?? live?.runId ?? "";
    return new DomainError(
      "THREAD_BUSY",
      `thread ${run.threadId} is busy with run ${runId}; wait for it or use ENQUEUE`,
      {
        metadata: { thread_id: run.threadId, run_id: runId },
        run: { runId, threadId: run.threadId, status: live?.status ?? "running" },
      },
    );
  }

  return async (request) => {
    const { graph, assistant } = await check(request);
    const run: Run = {
      owner: request.owner,
      runId: request.runId,
      threadId: request.threadId,
      graph,
      assistant,
      n: 0,
      spec: request.spec,
      status: "pending",
      phase: "waiting",
      attempt: 0,
      lostAttempts: 0,
      suspect: false,
      createdAt: new Date(),
      cleanupPending: false,
    };
    const { owner, threadId } = request;
    if (request.createThread) await parts.createThread({ owner, threadId, metadata: {}, ifExists: "do_nothing" });
    const onlyFree = request.spec.multitaskStrategy === "reject";
    const entry = await threads.enter(run, run.runId, { onlyFree });
    if (!entry) throw await refused(run);
    return insert({ ...run, n: entry.thread.n }, entry);
  };
}

function runExists(run: RunName): DomainError {
  return new DomainError(
    "RUN_EXISTS",
    `run_id: there is already a run ${run.runId}; choose another id, or get that run`,
    {
      metadata: { run_id: run.runId },
    },
  );
}
