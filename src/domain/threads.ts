import { boundedState } from "./bounded.ts";
import { checkMetadata } from "./check-metadata.ts";
import { DomainError, ifMerely, isDomainError } from "./errors.ts";
import type { HeldThread, HoldThread } from "./hold-thread.ts";
import { newId } from "./ids.ts";
import { runNotFound, threadNotFound } from "./not-found.ts";
import type { Lanes, RunStore, StoredThread, ThreadStore } from "./ports.ts";
import type { Run, RunName } from "./run/run.ts";
import type { Act } from "./thread/act.ts";
import { entryOf, isEnded, type LastOutcome, lean, liveEntries, newControl } from "./thread/entry.ts";
import { shortError } from "./thread/entry-text.ts";
import type { KeptThreads } from "./thread/kept-threads.ts";
import type { RunData, StateAtEnd } from "./thread/pay-debts.ts";
import { threadOf } from "./thread/view.ts";
import type { Thread, ThreadName } from "./thread.ts";

interface ThreadRequest extends ThreadName {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly ifExists: "raise" | "do_nothing";
  readonly ttlMs?: number;
}

export type CreateThread = (request: ThreadRequest) => Promise<Thread>;

export interface CreateThreadParts {
  readonly threads: Pick<ThreadStore, "whole">;
  readonly kept: Pick<KeptThreads, "born">;
  readonly lanes: Pick<Lanes, "read" | "insert">;
  readonly maxMetadataBytes?: number;
  readonly now: () => Date;
}

/** Creates a thread; THREAD_EXISTS when the id is taken, unless the one that is there will do. */
export function createCreateThread({ lanes, threads, kept, maxMetadataBytes, now }: CreateThreadParts): CreateThread {
  return async ({ owner, threadId, metadata, ifExists, ttlMs }) => {
    checkMetadata(metadata, "metadata", maxMetadataBytes);
    const name = { owner, threadId };
    const createdAt = now().getTime();
    const born: StoredThread = {
      origin: { ...name, journal: newId(), createdAt },
      control: newControl({ threadId, rev: newId(), metadata, ttlMs }, createdAt),
    };
    const mayBeThere = ifExists === "do_nothing";
    // Whoever says do_nothing expects it to be there: a look costs less than an insert that fails.
    const there = mayBeThere ? await lanes.read(name) : undefined;
    if (!there && (await lanes.insert(born))) {
      kept.born(born);
      return threadOf(born);
    }
    if (mayBeThere) return threads.whole(threadOf(there ?? (await lanes.read(name)) ?? born));
    throw threadExists("thread_id", threadId);
  };
}

export interface RemovalParts {
  readonly threads: Pick<ThreadStore, "whole">;
  readonly lanes: Pick<Lanes, "read" | "remove">;
  readonly runs: RunStore;
  readonly act: Act;
  readonly holdThread: HoldThread;
  readonly data: RunData & { removeThread(thread: Thread): Promise<void> };
  readonly wait: (name: RunName, signal: AbortSignal) => Promise<Run | undefined>;
  readonly readState: (thread: Thread, graph: string) => Promise<StateAtEnd>;
}

/** Who removes what may still be live. */
export interface Stopper {
  /** '' where nobody is known. */
  readonly actor: string;
  /** Otherwise what is live is refused with PERMISSION_DENIED. */
  readonly mayStop: boolean;
}

export interface Removal {
  /** Repeatable until it is done; afterwards the thread is not found. Its live runs are stopped first. */
  deleteThread(name: ThreadName, stopper: Stopper, signal: AbortSignal): Promise<void>;
  /**
   * Removes a thread that is marked as being removed, when its runs have come to their ends. Without a signal it does not wait for
   * them, and leaves a thread with live runs to a later time: who looks after what others have left may not wait for them. Repeatable.
   */
  finish(name: ThreadName, signal?: AbortSignal): Promise<void>;
  /** A run that is live is rolled back: nothing builds on it yet, so the same is left of it. */
  deleteRun(name: RunName, stopper: Stopper, signal: AbortSignal): Promise<void>;
  /** Removes what a deleted run has stored, under a hold of its thread. Repeatable. */
  removeRun(held: HeldThread, run: Run): Promise<void>;
}

/** Removing runs and threads. A live run is first stopped for real. */
export function createRemoval(parts: RemovalParts): Removal {
  const { lanes, runs, act, data } = parts;

  async function deleteThread(name: ThreadName, { actor, mayStop }: Stopper, signal: AbortSignal): Promise<void> {
    const wish = { action: "interrupt", reason: "thread deleted", by: "client", actor } as const;
    const remove = mayStop ? ({ when: "stop", wish } as const) : ({ when: "idle" } as const);
    const acted = await act.act(name, { kind: "change", remove }).catch((error) => {
      throw !mayStop && isDomainError(error, "THREAD_BUSY") ? stopsLive("the thread has live runs", error) : error;
    });
    if (!acted) throw threadNotFound(name.threadId);
    await finish(name, signal);
  }

  async function finish(name: ThreadName, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const stored = await lanes.read(name);
      if (!stored?.control.removing) return;
      const { owner, threadId } = name;
      const live = liveEntries(stored.control.lane);
      if (live.length > 0) {
        if (!signal) return;
        for (const { run } of live) await untilEnded({ owner, threadId, runId: run }, signal);
        continue;
      }
      // What has ended just now may still have to be told.
      if (stored.control.owes) await act.payDebts(name);
      const now = await lanes.read(name);
      // Another server may have removed it meanwhile, and somebody have created it anew.
      const isSame = now?.origin.journal === stored.origin.journal;
      if (now && isSame && !now.control.owes && (await removeAll(now))) return;
      if (!signal) return;
      signal.throwIfAborted();
    }
  }

  /** The thread goes last: as long as it is there, whoever comes goes on with the rest. */
  async function removeAll(stored: StoredThread): Promise<boolean> {
    const thread = threadOf(stored);
    for (const run of await runs.outliving(thread)) await runs.insertTombstone(run, await valuesOf(thread, run));
    await data.removeThread(thread);
    await runs.removeAll(thread);
    return lanes.remove(thread, stored.control.rev);
  }

  /** For the run's webhook, if they are still at hand. */
  const valuesOf = async (thread: Thread, { n, webhook }: Run) =>
    webhook && thread.state?.n === n ? (await parts.threads.whole(thread)).state?.values : undefined;

  async function deleteRun(name: RunName, { actor, mayStop }: Stopper, signal: AbortSignal): Promise<void> {
    if (await isLive(name)) {
      if (!mayStop) throw stopsLive("the run is live");
      const wish = { action: "rollback", reason: "run deleted", by: "client", actor } as const;
      await act.act(name, { kind: "requestCancel", runs: [name.runId], wish });
      await untilEnded(name, signal);
      if (!(await runs.find(name))) return;
    }
    const run = await runs.find(name);
    if (!run) throw runNotFound(name);
    await parts.holdThread(name, { kind: "delete", target: name.runId }, (held) => removeRun(held, run));
  }

  /** Also one whose end is not told yet. */
  async function isLive(name: RunName): Promise<boolean> {
    const stored = await lanes.read(name);
    // The thread will return to what an earlier run has left, which that run's record must say by then.
    if (stored?.control.owes) await act.payDebts(name);
    const entry = stored && entryOf(stored.control, name.runId);
    if (!entry) return false;
    return !isEnded(entry);
  }

  async function removeRun({ thread, last: outcome, check, leave }: HeldThread, run: Run): Promise<void> {
    await check();
    await data.removeCheckpoints(thread, run);
    await check();
    await data.removeEvents(run);
    await check();
    await runs.insertTombstone(run, await valuesOf(thread, run));
    await runs.remove(run);
    const last = await runs.lastStarted(thread, run.runId);
    // Somebody may be reading at this moment what an end has left that is not told yet, and that is being removed here.
    const mayChange = outcome?.unread === true || isOf(run, thread);
    const state = mayChange ? await stateOf(thread, run, last) : undefined;
    leave({ state, last: outcome?.n === run.n ? outcomeOf(last) : undefined });
  }

  /** Also when a later run has left the thread where this one had brought it. */
  const isOf = ({ n, endCheckpointId }: Run, { state }: Thread): boolean =>
    state !== undefined && (state.n === n || state.checkpointId === endCheckpointId);

  async function untilEnded(name: RunName, signal: AbortSignal): Promise<void> {
    await parts.wait(name, signal).catch(ifMerely("RUN_NOT_FOUND"));
  }

  /** What the journal shows now, as the state of the last run that is left: null without a checkpoint. */
  async function stateOf(thread: Thread, run: Run, last: Run | undefined) {
    const { n, graph } = last ?? { n: 0, graph: run.graph };
    const read = await parts.readState(thread, graph);
    const assistantId = last?.assistant.assistantId;
    return read.checkpointId === undefined ? null : boundedState({ ...read, n, graph, assistantId });
  }

  return { deleteThread, finish, deleteRun, removeRun };
}

const outcomeOf = (run: Run | undefined): LastOutcome | null =>
  run ? lean({ n: run.n, status: run.status, error: run.error && shortError(run.error) }) : null;

const stopsLive = (what: string, cause?: unknown): DomainError =>
  new DomainError("PERMISSION_DENIED", `${what}: to delete it takes the scope "cancel" as well`, {
    metadata: { scope: "cancel" },
    cause,
  });

export function threadExists(field: string, threadId: string): DomainError {
  return new DomainError("THREAD_EXISTS", `${field}: there is already a thread ${threadId}`, {
    metadata: { thread_id: threadId },
  });
}
