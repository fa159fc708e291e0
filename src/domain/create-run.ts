import type { ResolveAssistant, ResolvedAssistant } from "./assistants.ts";
import { invalid } from "./check-metadata.ts";
import { checkSpec } from "./check-spec.ts";
import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import type { Lease, Run, RunName, RunSpec, StatelessRun } from "./run.ts";
import { checkThreadFields, type GivenFields, threadOfStateless } from "./stateless-run.ts";
import type { Entry, RunStore, ThreadStore } from "./stores.ts";
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
  /** Without a thread of the client's: `threadId` names the one that is made for it. */
  readonly stateless?: StatelessRun;
  readonly given?: GivenFields;
}

export interface CreateRunParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  readonly finish: FinishRun;
  readonly createThread: CreateThread;
  /** The graph's name for an assistant; throws GRAPH_NOT_FOUND or GRAPH_UNAVAILABLE. */
  readonly resolveAssistant: ResolveAssistant;
  readonly checkpointExists: (thread: Thread, checkpointId: string) => Promise<boolean>;
  /** A worker's place, if one is free: the run is then stored as claimed, which saves a write. */
  readonly reserve: (runId: string) => Reservation | undefined;
  /** The run was stored with its thread's turn, and waits for a worker. */
  readonly turnPassed: () => void;
  /** The servers in which somebody waits for the run that is about to be stored on a temporary thread. */
  readonly attachedTo: (run: RunName) => readonly string[];
}

/** A place at a worker, taken before the run is stored. Exactly one of the two must be called. */
export interface Reservation {
  lease(): Lease;
  start(run: Run, thread: Thread): void;
  release(): void;
}

export interface CreateRun {
  (request: NewRun): Promise<Run>;
  /** What refuses the request; nothing is changed by it, not even the thread that the request would create. */
  check(request: NewRun): Promise<ResolvedAssistant>;
  /** The run as it is stored, but for its number and a worker's claim. */
  record(request: NewRun, resolved: ResolvedAssistant): Run;
}

/**
 * Stores a run: one guarded update of its thread, which gives it its number and, if it is free, the turn; then one insert.
 * Nothing is stored when it throws.
 */
export function createCreateRun(parts: CreateRunParts): CreateRun {
  const { runs, threads } = parts;

  async function check(request: NewRun): Promise<ResolvedAssistant> {
    const resolved = await parts.resolveAssistant(request.spec.assistantId);
    checkSpec(request.spec);
    checkThreadFields(request);
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
    const place = hasTurn ? parts.reserve(run.runId) : undefined;
    const claimed: Partial<Run> = place
      ? { status: "running", phase: "running", attempt: 1, lease: place.lease(), startedAt: new Date() }
      : {};
    const stored: Run = { ...run, ...claimed };
    try {
      if (!(await runs.insert(stored, { ready: hasTurn && !place }))) {
        // The thread that was made for it has no other run.
        if (run.stateless) await threads.remove(run);
        else if (hasTurn) await parts.finish.releaseTurn(run, run.runId);
        throw runExists(run);
      }
      if (!(await isThere(thread))) {
        await runs.withdraw(run);
        throw threadNotFound(run.threadId);
      }
    } catch (error) {
      place?.release();
      throw error;
    }
    if (place) place.start(stored, thread);
    else if (hasTurn) parts.turnPassed();
    // The turn may have been freed before this run could be seen waiting.
    else await parts.finish.promote(run);
    return stored;
  }

  /**
   * A thread that was deleted since it was entered may have been looked through for runs before this one was stored; one that
   * was made for it, taken for left behind.
   */
  async function isThere(entered: Thread): Promise<boolean> {
    const thread = await threads.find(entered);
    return thread !== undefined && !thread.removing && thread.journal === entered.journal;
  }

  /** By a run of any thread, or by one of this thread that was rolled back. */
  const isTaken = async (name: RunName) =>
    (await runs.findMany([name])).length > 0 || (await runs.tombstone(name)) !== undefined;

  /** The thread is stored with the run's turn already: that saves a write. */
  async function enterOwn(run: Run): Promise<Entry | undefined> {
    const thread = threadOfStateless(run, parts.attachedTo(run));
    if (!(await threads.insert(thread))) throw new Error(`the new id ${run.threadId} is taken`);
    return thread.turn === run.runId ? { thread, hasTurn: true } : threads.enter(run, run.runId, { onlyFree: false });
  }

  async function refused(run: Run): Promise<DomainError> {
    const thread = await threads.find(run);
    if (!thread || thread.removing) return threadNotFound(run.threadId);
    if (thread.temporary) {
      return invalid(
        "thread_id",
        `thread ${run.threadId} is the temporary one of a stateless run and takes no other run`,
      );
    }
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

  function record(request: NewRun, { graph, assistant }: ResolvedAssistant): Run {
    return {
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
      stateless: request.stateless,
    };
  }

  async function create(request: NewRun): Promise<Run> {
    const run = record(request, await check(request));
    const { owner, threadId } = request;
    if (request.createThread) await parts.createThread({ owner, threadId, metadata: {}, ifExists: "do_nothing" });
    const onlyFree = request.spec.multitaskStrategy === "reject";
    const entry = request.stateless
      ? await enterOwn(run)
      : await threads.enter(run, run.runId, { onlyFree, plain: true });
    if (!entry) throw await refused(run);
    return insert({ ...run, n: entry.thread.n }, entry);
  }

  return Object.assign(create, { check, record });
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
