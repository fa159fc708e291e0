import type { ResolveAssistant, ResolvedAssistant } from "./assistants.ts";
import { hasAnswer } from "./check-command.ts";
import { invalid } from "./check-metadata.ts";
import { checkNodes, type GraphNodes } from "./check-nodes.ts";
import { checkSpec } from "./check-spec.ts";
import { type FindCheckpoint, namedCheckpoint, requireCheckpoint, requireGraph } from "./checkpoints.ts";
import type { ChildRuns } from "./child-runs.ts";
import { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import type { JoinOrder } from "./join-order.ts";
import type { NewRun } from "./new-run.ts";
import { checkpointNotFound, threadNotFound } from "./not-found.ts";
import { refusalOfAnswer } from "./open-questions.ts";
import type { Entry, RunStore, ThreadStore } from "./ports.ts";
import type { Lease, Run, RunName } from "./run.ts";
import type { RunLimits } from "./run-limits.ts";
import { checkThreadFields, threadOfStateless } from "./stateless-run.ts";
import { isSuperseding, type Supersede } from "./supersede.ts";
import type { Thread } from "./thread.ts";
import { threadBusy } from "./thread-busy.ts";
import type { CreateThread } from "./threads.ts";

export interface CreateRunParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  readonly finish: FinishRun;
  readonly supersede: Supersede;
  readonly createThread: CreateThread;
  /** The graph's name for an assistant; throws GRAPH_NOT_FOUND, ASSISTANT_NOT_FOUND or GRAPH_UNAVAILABLE. */
  readonly resolveAssistant: ResolveAssistant;
  readonly findCheckpoint: FindCheckpoint;
  /** The nodes of a graph; undefined when it is made anew for each run. */
  readonly nodesOf: (graph: string) => GraphNodes | undefined;
  /** A worker's place, if one is free: the run is then stored as claimed, which saves a write. */
  readonly reserve: (run: Run) => Reservation | undefined;
  /** The run was stored with its thread's turn, and waits for a worker. */
  readonly turnPassed: () => void;
  readonly limits: RunLimits;
  readonly maxMetadataBytes: number;
  readonly delays: Pick<JoinOrder, "delayed">;
  readonly children: ChildRuns;
  /** The time by the database's clock. */
  readonly now: () => Date;
  /** The servers in which somebody waits for the run that is about to be stored on a temporary thread. */
  readonly attachedTo: (run: RunName) => readonly string[];
}

/** A place at a worker, taken before the run is stored. Exactly one of the two must be called. */
export interface Reservation {
  lease(): Lease;
  /** `beforehand`: the run was stored as claimed. */
  start(run: Run, thread: Thread, claimed: "beforehand" | "later"): void;
  release(): void;
}

/** How long a run that is to be cancelled at once would wait if its server died just then. */
const doomedMs = 10_000;

export type CreateRun = (request: NewRun) => Promise<Run>;

/**
 * The run as it would be stored, but for its number and a worker's claim. Throws what refuses the request; nothing is changed
 * by it, not even the thread that the request would create.
 */
export type PrepareRun = (request: NewRun) => Promise<Run>;

/**
 * Stores a run: one guarded update of its thread, which gives it its number and, if it is free, the turn; then one insert.
 * Nothing is stored when it throws.
 */
export function createCreateRun(parts: CreateRunParts): { create: CreateRun; prepare: PrepareRun } {
  const { runs, threads } = parts;

  async function check(request: NewRun): Promise<ResolvedAssistant> {
    const resolved = await parts.resolveAssistant(request.spec.assistantId, request.owner);
    checkSpec(request.spec, resolved.assistant, parts.maxMetadataBytes);
    checkThreadFields(request);
    checkNodes(request.spec, resolved.graph, parts.nodesOf(resolved.graph));
    await checkStart(request, resolved.graph);
    if (request.isChosenId && (await isTaken(request))) throw runExists(request);
    await checkAnswer(request);
    return resolved;
  }

  /**
   * Refuses an answer to a question that is not open, as far as that is certain: while a run is live, or before its own time has
   * come, what will be open then is not known, and its execution looks. What the thread remembers must be of its newest checkpoint.
   */
  async function checkAnswer(request: NewRun): Promise<void> {
    const { spec, threadId } = request;
    const answer = spec.command?.resume;
    if (!spec.strictResume || !hasAnswer(answer) || spec.afterMs !== undefined) return;
    const thread = await threads.find(request);
    if (!thread && !request.createThread) throw threadNotFound(threadId);
    const start = namedCheckpoint(spec)?.name;
    if (thread?.status === "busy" || (start && start.checkpointId !== thread?.state?.checkpointId)) return;
    const refusal = refusalOfAnswer(answer, thread?.state?.interrupts.map(({ id }) => id) ?? []);
    if (refusal === undefined) return;
    const newest = thread && (await parts.findCheckpoint(thread, { checkpointNs: "" }));
    if (newest?.checkpointId !== thread?.state?.checkpointId) return;
    const field = "spec.command.resume";
    throw new DomainError("INTERRUPT_NOT_OPEN", `${field}: ${refusal}`, { metadata: { field, thread_id: threadId } });
  }

  async function checkStart(request: NewRun, graph: string): Promise<void> {
    const named = namedCheckpoint(request.spec, "spec.");
    if (!named) return;
    const { name, field } = named;
    const thread = await threads.find(request);
    if (!thread && !request.createThread) throw threadNotFound(request.threadId);
    if (!thread) throw checkpointNotFound(request.threadId, name, field);
    requireGraph(await requireCheckpoint(parts.findCheckpoint, thread, name, field), graph, field);
  }

  async function insert(run: Run, { thread, hasTurn }: Entry): Promise<Run> {
    const { supersede } = parts;
    // On a free thread without live runs it may start at once, like any other.
    const clearing = isSuperseding(run) && (!hasTurn || (await supersede.liveBefore(run)).length > 0);
    const place = hasTurn && !clearing ? parts.reserve(run) : undefined;
    const claimed: Partial<Run> = place
      ? { status: "running", phase: "running", attempt: 1, lease: place.lease(), startedAt: new Date() }
      : {};
    const stored: Run = { ...run, ...claimed, clearing };
    let live: Run[] = [];
    let superseded: Run | undefined;
    try {
      if (!(await runs.insert(stored, { ready: hasTurn && !place && !clearing }))) {
        // The thread that was made for it has no other run; a twin of this request may have stored this one.
        if (run.stateless && !(await runs.find(run))) await threads.remove(run);
        else if (hasTurn) await parts.finish.confirmTurn(run);
        throw runExists(run);
      }
      const [now, before] = await Promise.all([stillThere(thread), run.stateless ? [] : supersede.liveBefore(stored)]);
      if (!now) {
        await runs.withdraw(run);
        throw threadNotFound(run.threadId);
      }
      live = before;
      if (now.n > run.n) superseded = await supersede.byLater(stored);
    } catch (error) {
      place?.release();
      if (hasTurn) parts.turnPassed();
      throw error;
    }
    if (place) place.start(stored, thread, "beforehand");
    else if (hasTurn) parts.turnPassed();
    // The turn may have been freed before this run could be seen waiting.
    else if (!clearing) await parts.finish.promote(run);
    await supersede.carryOut(stored, live);
    return superseded ?? stored;
  }

  /**
   * A thread that was deleted since it was entered may have been looked through for runs before this one was stored; one that
   * was made for it, taken for left behind.
   */
  async function stillThere(entered: Thread): Promise<Thread | undefined> {
    const thread = await threads.find(entered);
    return thread && !thread.removing && thread.journal === entered.journal ? thread : undefined;
  }

  /** By a run of any thread, or by one of this thread that was rolled back. */
  const isTaken = async (name: RunName) =>
    (await runs.findMany([name])).length > 0 || (await runs.tombstone(name)) !== undefined;

  /** The thread is stored with the run's turn already: that saves a write. A repeated request finds it there. */
  async function enterOwn(run: Run): Promise<Entry> {
    const own = threadOfStateless(run, parts.attachedTo(run));
    const thread = (await threads.insert(own)) ? own : await threads.find(run);
    if (thread?.turn !== run.runId) throw threadNotFound(run.threadId);
    return { thread, hasTurn: true };
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
    return threadBusy({
      threadId: run.threadId,
      run: { runId, status: live?.status ?? "running" },
      advice: "wait for it or use ENQUEUE",
      metadata: { run_id: runId },
    });
  }

  const isReject = (run: Run) => run.spec.multitaskStrategy === "reject";

  async function store(run: Run): Promise<Run> {
    const entry = run.stateless
      ? await enterOwn(run)
      : await threads.enter(run, run.runId, { onlyFree: isReject(run), plain: true });
    if (!entry) throw await refused(run);
    if (!entry.hasTurn) await parts.limits.checkThread(run);
    return insert({ ...run, n: entry.thread.n }, entry);
  }

  async function storeDelayed(run: Run): Promise<Run> {
    if (run.stateless) await threads.insert(threadOfStateless(run, parts.attachedTo(run)));
    else await parts.limits.checkThread(run);
    const thread = await threads.enterDelayed(run, { onlyFree: isReject(run), plain: !run.stateless });
    if (!thread) throw await refused(run);
    try {
      const delayed = await insert({ ...run, n: thread.n }, { thread, hasTurn: false });
      await parts.delays.delayed(delayed);
      return delayed;
    } catch (error) {
      await parts.finish.rest(run);
      throw error;
    }
  }

  async function prepare(request: NewRun): Promise<Run> {
    const { graph, assistant } = await check(request);
    const { afterMs } = request.spec;
    const parent = request.parent && (await parts.children.parentOf(request.owner, request.parent));
    // One that is to be cancelled with its parent at once is kept from starting until that is done.
    const isDoomed = parent?.cancellation !== undefined && !request.parent!.independent;
    const delayMs = afterMs ?? (isDoomed ? doomedMs : undefined);
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
      parent: request.parent,
      request: request.request,
      stateless: request.stateless,
      dueAt: delayMs === undefined ? undefined : new Date(parts.now().getTime() + delayMs),
    };
  }

  async function create(request: NewRun): Promise<Run> {
    const run = await prepare(request);
    const refund = await parts.limits.admit();
    try {
      const { owner, threadId } = request;
      if (request.createThread) await parts.createThread({ owner, threadId, metadata: {}, ifExists: "do_nothing" });
      return await parts.children.adopted(run.dueAt ? await storeDelayed(run) : await store(run));
    } catch (error) {
      refund();
      throw error;
    }
  }

  return { create, prepare };
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
