import type { Batch, BatchName } from "../domain/batch.ts";
import type { RunStore, ThreadStore } from "../domain/ports.ts";
import type { Run } from "../domain/run.ts";
import { runName } from "../domain/run.ts";
import type { Thread, ThreadName } from "../domain/thread.ts";
import type { Attachment } from "../stream/attachment.ts";

export interface TemporaryThreadsParts {
  readonly runs: Pick<RunStore, "find" | "list">;
  readonly threads: Pick<ThreadStore, "attach" | "detach" | "abandon" | "idleTemporary">;
  /** This server's id. */
  readonly server: string;
  /** The servers that are known to be there. */
  readonly servers: () => Promise<readonly string[]>;
  /** Removes a thread that is marked as being removed. */
  readonly remove: (thread: Thread) => Promise<void>;
  /** Whether the batch has created all of its runs, so that nobody creates this one again. */
  readonly isBatchDone: (batch: BatchName) => Promise<boolean>;
  /** What could not be done is left to a later sweep. */
  readonly onError: (error: unknown) => void;
}

/** The threads of stateless runs, which disappear when their run is over and nobody is attached to it in any server. */
export interface TemporaryThreads {
  /** Counts a caller in this server, at no cost for plain threads. */
  open(name: ThreadName): Attachment;
  /** What the thread of a run that is about to be created must be stored with; see {@link Thread.attached}. */
  attachedTo(name: ThreadName): readonly string[];
  /** The run is over for everybody. */
  over(run: Run): void;
  /** All runs of the batch are created. */
  batchDone(batch: Batch): void;
  /** Removes what a crash, or a database that was away, has left. */
  sweep(unchangedSince: Date): Promise<void>;
  /** Resolves when what is under way is done; the rest is left to the servers that go on. */
  stop(): Promise<void>;
}

interface Callers {
  count: number;
  /** The thread's document names this server. */
  stored: boolean;
  over: Run | undefined;
}

/** Removals at a time: they must not take the database from the runs. */
const removalsAtATime = 4;

export function createTemporaryThreads(parts: TemporaryThreadsParts): TemporaryThreads {
  const { runs, threads, server } = parts;
  const callersOf = new Map<string, Callers>();
  const key = ({ owner, threadId }: ThreadName) => `${owner}/${threadId}`;
  /** Detachments under way: who comes now attaches after them. */
  const detaching = new Map<string, Promise<void>>();
  /** Runs that are over before all runs of their batch are created. */
  const deferred = new Map<string, Run>();
  const queue: (() => Promise<void>)[] = [];
  const working = new Set<Promise<void>>();

  function begin(work: () => Promise<void>): void {
    queue.push(work);
    next();
  }

  function next(): void {
    if (working.size >= removalsAtATime) return;
    const work = queue.shift();
    if (!work) return;
    const done = work()
      .catch(parts.onError)
      .finally(() => {
        working.delete(done);
        next();
      });
    working.add(done);
  }

  /** The last caller in this server has gone, unless another has come since. */
  async function leave(name: ThreadName, callers: Callers): Promise<void> {
    const successors = callersOf.get(key(name));
    if (successors) {
      successors.stored ||= callers.stored;
      successors.over ??= callers.over;
      return;
    }
    if (callers.stored) {
      const detached = threads.detach(name, server);
      const settled = detached.catch(() => undefined).then(() => void detaching.delete(key(name)));
      detaching.set(key(name), settled);
      await detached;
    }
    const known = callers.over ?? (await newestRun(name));
    if (known) await removeIfOver(known);
  }

  const newestRun = async ({ owner, threadId }: ThreadName) => (await runs.list({ owner, threadId }, { limit: 1 }))[0];

  /** A run that is rolled back has no record any more. */
  async function removeIfOver(run: Run): Promise<void> {
    const now = await runs.find(runName(run));
    if (now && (now.phase !== "over" || now.cleanupPending)) return;
    await remove(now ?? run);
  }

  async function remove(run: Run): Promise<void> {
    const batchId = run.stateless?.batch;
    if (batchId !== undefined && !(await parts.isBatchDone({ owner: run.owner, batchId }))) {
      deferred.set(key(run), run);
      return;
    }
    deferred.delete(key(run));
    const thread = await threads.abandon(run);
    if (thread) await parts.remove(thread);
  }

  async function sweepThread(thread: Thread, alive: ReadonlySet<string>): Promise<void> {
    for (const holder of thread.attached ?? []) {
      const isHere = holder === server;
      if (isHere ? callersOf.has(key(thread)) : alive.has(holder)) return;
      await threads.detach(thread, holder);
    }
    const found = await runs.list({ owner: thread.owner, threadId: thread.threadId }, { limit: 2 });
    if (found.some((run) => run.phase !== "over" || run.cleanupPending)) return;
    if (found[0]) return remove(found[0]);
    const gone = await threads.abandon(thread);
    if (gone) await parts.remove(gone);
  }

  return {
    open(name) {
      const callers = callersOf.get(key(name)) ?? { count: 0, stored: false, over: undefined };
      callersOf.set(key(name), callers);
      callers.count += 1;
      let closed = false;
      return {
        async keep(run) {
          if (!run.stateless?.temporary) return true;
          await detaching.get(key(name));
          if (callers.stored) return true;
          if (!(await threads.attach(run, server))) return false;
          callers.stored = true;
          return true;
        },
        close() {
          if (closed) return;
          closed = true;
          callers.count -= 1;
          if (callers.count > 0) return;
          callersOf.delete(key(name));
          if (callers.stored || callers.over) begin(() => leave(name, callers));
        },
      };
    },

    attachedTo(name) {
      const callers = callersOf.get(key(name));
      if (!callers) return [];
      callers.stored = true;
      return [server];
    },

    over(run) {
      if (!run.stateless?.temporary) return;
      const callers = callersOf.get(key(run));
      if (callers) callers.over = run;
      else begin(() => removeIfOver(run));
    },

    batchDone(batch) {
      for (const name of batch.runs) {
        const run = deferred.get(key(name));
        if (run && deferred.delete(key(name))) begin(() => removeIfOver(run));
      }
    },

    async sweep(unchangedSince) {
      const idle = await threads.idleTemporary(unchangedSince);
      if (idle.length === 0) return;
      const alive = new Set(await parts.servers());
      for (const thread of idle) await sweepThread(thread, alive).catch(parts.onError);
    },

    async stop() {
      queue.length = 0;
      while (working.size > 0) await Promise.all(working);
    },
  };
}
