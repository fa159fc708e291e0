import type { RestingThread, RunStore, ThreadStore } from "./ports.ts";
import type { Run, RunName } from "./run.ts";
import { runName } from "./run.ts";
import { isRun, type RememberedState, restingStatus, type Thread, type ThreadName } from "./thread.ts";

/** What is removed when a run is rolled back or deleted. Each step is repeatable. */
export interface RunData {
  /** Removes the run's checkpoints and pending writes; what other runs' checkpoints build on stays. */
  removeCheckpoints(thread: Thread, run: Run): Promise<void>;
  removeEvents(run: Run): Promise<void>;
}

/** What an execution or a look reports; whose graph and run it is, its user knows. */
export type StateAtEnd = Omit<RememberedState, "n" | "graph" | "assistantId">;

/** What its own server knows of a run that executed there. */
export interface BeforeEnd {
  /** The thread as it was when the run began: with the turn. */
  readonly thread: Thread;
  /** It was there to be seen waiting before it executed. */
  readonly hasWaited: boolean;
}

export interface FinishRunParts {
  readonly runs: RunStore;
  readonly threads: ThreadStore;
  readonly data: RunData;
  /** Reads the thread's state with its graph; when that cannot be done, what is known without it. */
  readonly readState: (thread: Thread, graph: string) => Promise<StateAtEnd>;
  readonly newestCheckpoint: (thread: Thread) => Promise<string | undefined>;
  /** A run got its turn: workers should look. */
  readonly turnPassed: () => void;
  /**
   * The run is over and was cancelled: so are the runs that its nodes have created. Those that are over at once are finished by
   * `finish`. Repeatable.
   */
  readonly cancelChildren: (run: Run, finish: Pick<FinishRun, "finishRun">) => Promise<void>;
  /** The run is over for everybody. */
  readonly announce: (run: Run) => void;
}

export interface FinishRun {
  /**
   * What follows from a run's end: the thread's state and status, the removal of what a rolled back run stored, and the
   * turn. `state` is what the execution itself reported at its end; without it the state is read from the journal. Derived
   * from what is stored and repeatable at every step, so that a crash in between loses nothing: the sweep calls it again for
   * each run whose `cleanupPending` is still set. What is known from `before` need not be asked again.
   */
  finishRun(run: Run, state?: StateAtEnd, before?: BeforeEnd): Promise<Run>;
  /** The state that the run left, for whoever was handed this very object when it was announced. */
  stateLeft(over: Run): StateAtEnd | undefined;
  /** Hands the turn of `holder` to the waiting run with the smallest number, or frees it. Repeatable. */
  releaseTurn(name: ThreadName, holder: string, change?: TurnChange): Promise<void>;
  /** Gives a free turn to the run that has waited longest. Repeatable. */
  promote(name: ThreadName): Promise<void>;
  /** Tells workers of a run that was given the turn while it was being stored; the turn goes on if the run cannot use it. */
  confirmTurn(run: RunName): Promise<void>;
  /** Computes the status of a thread whose turn is free again: a delayed run has come or gone. Repeatable. */
  rest(name: ThreadName): Promise<void>;
}

export interface TurnChange {
  /** The thread's new state; null when it has none any more; unchanged when undefined. */
  readonly state?: RememberedState | null;
  /** A run that has started, whose record is about to go, and which no longer counts. */
  readonly leaving?: string;
  /** The last run that started, when the caller knows it. */
  readonly lastStarted?: Run;
  /** The thread as it was at some time since the holder had the turn. */
  readonly seen?: Thread;
}

export function createFinishRun(parts: FinishRunParts): FinishRun {
  const { runs, threads } = parts;
  const statesLeft = new WeakMap<Run, StateAtEnd>();

  async function finishRun(run: Run, state?: StateAtEnd, before?: BeforeEnd): Promise<Run> {
    // Before the turn moves on, which one of them may be waiting for.
    if (run.cancellation) await parts.cancelChildren(run, { finishRun });
    if (run.phase === "rolling_back") return finishRollback(run);
    const seen = before?.thread;
    if (run.startedAt === undefined) await releaseTurn(run, run.runId);
    else await releaseTurn(run, run.runId, { state: await stateAfter(run, state), lastStarted: run, seen });
    await runs.cleanupDone(run);
    const over: Run = { ...run, cleanupPending: false };
    if (state) statesLeft.set(over, state);
    parts.announce(over);
    if (before?.hasWaited !== false) await releaseTurnGivenLate(run);
    return over;
  }

  /** Somebody who saw it waiting before it executed may have given it the turn once more, after it had handed it on. */
  async function releaseTurnGivenLate(run: Run): Promise<void> {
    if (run.startedAt !== undefined) await releaseTurn(run, run.runId);
  }

  async function finishRollback(run: Run): Promise<Run> {
    const thread = await threads.find(run);
    if (thread) await parts.data.removeCheckpoints(thread, run);
    await parts.data.removeEvents(run);
    // A run that never started leaves the thread where whoever has the turn brings it.
    const endCheckpointId = thread && run.startedAt && (await parts.newestCheckpoint(thread));
    const last: Run = { ...run, endCheckpointId, status: "interrupted", phase: "over", cleanupPending: false };
    await runs.entomb(last);
    await releaseTurn(run, run.runId, run.startedAt && { leaving: run.runId });
    await runs.remove(run);
    const over = (await runs.tombstone(run)) ?? last;
    parts.announce(over);
    await releaseTurnGivenLate(run);
    return over;
  }

  async function stateAfter(run: Run, reported?: StateAtEnd): Promise<RememberedState | undefined> {
    const of = { n: run.n, graph: run.graph, assistantId: run.assistant.assistantId };
    if (reported) return { ...reported, ...of };
    const thread = await threads.find(run);
    // Without the turn the thread has already been told.
    if (thread?.turn !== run.runId) return undefined;
    return { ...(await parts.readState(thread, run.graph)), ...of };
  }

  async function releaseTurn(name: ThreadName, holder: string, change: TurnChange = {}): Promise<void> {
    let from = holder;
    let told = change;
    for (let seen = change.seen; ; seen = undefined) {
      const thread = seen ?? (await threads.find(name));
      // A run without the turn matters to the thread only as the delayed run that keeps it busy.
      if (thread && thread.turn === undefined && thread.status === "busy") return rest(name, told.leaving);
      if (thread?.turn !== from) return;
      // The thread's number tells of runs that have come since it was read. Beside its first one there is nobody to look for.
      const isOnly = thread.n === 1 && isRun(from);
      const next = isOnly ? undefined : await runs.firstWaiting(name);
      if (next === undefined || next.dueAt) {
        const facts = await resting(thread, told, next !== undefined);
        if (!(await threads.freeTurn(thread, from, thread.n, facts))) continue;
        await delayedIsThere(name, facts);
        // A run that was stored since the look has found the turn taken.
        return isOnly ? undefined : promote(name);
      } else if (await threads.passTurn(thread, from, next.runId, told.state)) {
        if (await takesTurn(next)) return;
        from = next.runId;
        // The thread has been told; whoever gives that run the turn once more may know of a newer state by then.
        told = { leaving: change.leaving };
      }
    }
  }

  async function resting(thread: Thread, change: TurnChange, hasDelayed: boolean): Promise<RestingThread> {
    if (hasDelayed) return { status: "busy", state: change.state, ttlMs: thread.ttlMs };
    const last = change.lastStarted ?? (await runs.lastStarted(thread, change.leaving));
    const state = change.state === undefined ? thread.state : change.state;
    // A run whose record has expired still counts by what the thread remembers of it.
    const error = last || change.leaving !== undefined ? last?.error : thread.error;
    const lastStarted = last?.status ?? (error && "error");
    const status = restingStatus({ lastStarted, state: state ?? undefined });
    return { status, error: status === "error" ? error : undefined, state: change.state, ttlMs: thread.ttlMs };
  }

  async function rest(name: ThreadName, leaving?: string): Promise<void> {
    for (;;) {
      const thread = await threads.find(name);
      if (!thread || thread.turn !== undefined) return;
      const facts = await resting(thread, { leaving }, await runs.hasDelayed(name));
      if (facts.status === thread.status) return;
      if (await threads.rest(thread, facts)) return delayedIsThere(name, facts);
    }
  }

  /** A delayed run that ended while its thread was being written as busy on its account did not find that to correct. */
  async function delayedIsThere(name: ThreadName, { status }: RestingThread): Promise<void> {
    if (status === "busy" && !(await runs.hasDelayed(name))) await rest(name);
  }

  async function promote(name: ThreadName): Promise<void> {
    const next = await runs.firstWaiting(name);
    if (!next || next.dueAt) return;
    const thread = (await threads.takeTurn(name, next.runId)) ?? (await threads.find(name));
    if (thread?.turn !== next.runId) return;
    if (!(await takesTurn(next))) await releaseTurn(name, next.runId);
  }

  /**
   * Tells workers of a run that has got the turn. False when it was cancelled in between, so that the turn goes on from it;
   * one that a worker has taken in between, since somebody else told, keeps it. So does one that has executed before, until
   * its end is complete: what it stored may still have to be removed.
   */
  async function takesTurn(next: RunName): Promise<boolean> {
    if (await runs.markReady(runName(next))) {
      parts.turnPassed();
      return true;
    }
    const now = await runs.find(next);
    if (now?.startedAt !== undefined) return now.phase !== "over" || now.cleanupPending;
    return now !== undefined && now.phase !== "over" && now.phase !== "rolling_back";
  }

  async function confirmTurn(run: RunName): Promise<void> {
    if (!(await takesTurn(run))) return releaseTurn(run, run.runId);
    // It may just be at its end, and have handed the turn on before.
    const now = await runs.find(run);
    if (now?.phase === "over") await (now.cleanupPending ? finishRun(now) : releaseTurn(run, run.runId));
  }

  return {
    finishRun,
    releaseTurn,
    promote,
    confirmTurn,
    rest: (name) => rest(name),
    stateLeft: (over) => statesLeft.get(over),
  };
}
