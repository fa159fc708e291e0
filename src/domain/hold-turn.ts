import type { DomainError } from "./errors.ts";
import type { FinishRun } from "./finish-run.ts";
import { newId } from "./ids.ts";
import { threadNotFound } from "./not-found.ts";
import type { RunStore, ThreadStore } from "./ports.ts";
import type { Run } from "./run.ts";
import type { Thread, ThreadName } from "./thread.ts";
import { threadBusy } from "./thread-busy.ts";

export interface HoldTurnParts {
  readonly runs: Pick<RunStore, "find" | "live">;
  readonly threads: Pick<ThreadStore, "find" | "takeTurn" | "keepTurn">;
  readonly finish: Pick<FinishRun, "releaseTurn">;
  /** A turn whose holder shows no life this long is taken from it. */
  readonly leaseMs: number;
}

/** The turn of a thread on which no run is live. */
export interface HeldTurn {
  readonly thread: Thread;
  /** To be called before each write: throws THREAD_BUSY when the turn may have been lost while this server slept. */
  check(): Promise<void>;
  /** Throws THREAD_BUSY unless the turn has been held without a break until now. */
  confirm(): Promise<void>;
}

/**
 * Does something with a thread that must not meet a run: `purpose` as in "the thread cannot be copied". The turn is kept
 * however long it takes, and released in any case; after a crash the sweep releases it. THREAD_NOT_FOUND; THREAD_BUSY with
 * the run that is live.
 */
export type HoldTurn = <T>(
  name: ThreadName,
  purpose: "copy" | "prune",
  work: (turn: HeldTurn) => Promise<T>,
) => Promise<T>;

export function createHoldTurn({ runs, threads, finish, leaseMs }: HoldTurnParts): HoldTurn {
  const renewMs = leaseMs / 3;

  return async (name, purpose, work) => {
    const holder = `${purpose} ${newId()}`;
    const thread = await threads.takeTurn(name, holder);
    if (!thread) throw await refusal(name);
    let keeping: NodeJS.Timeout | undefined;
    try {
      if (thread.removing) throw threadNotFound(name.threadId);
      // One that is delayed, or has not got its turn yet.
      const [live] = await runs.live({ ...name, status: "all" }, 1);
      if (live) throw busyWith(name, live);
      let keptAt = performance.now();
      const confirm = async () => {
        const since = performance.now();
        if (!(await threads.keepTurn(name, holder))) throw busyWith(name);
        keptAt = since;
      };
      // A failure shows at the next check.
      keeping = setInterval(() => void confirm().catch(() => undefined), renewMs);
      return await work({
        thread,
        confirm,
        check: async () => {
          if (performance.now() - keptAt > renewMs) await confirm();
        },
      });
    } finally {
      clearInterval(keeping);
      await finish.releaseTurn(name, holder);
    }
  };

  async function refusal(name: ThreadName): Promise<DomainError> {
    const thread = await threads.find(name);
    if (!thread || thread.removing) return threadNotFound(name.threadId);
    const run = thread.turn === undefined ? undefined : await runs.find({ ...name, runId: thread.turn });
    return busyWith(name, run);
  }
}

function busyWith({ threadId }: ThreadName, run?: Run): DomainError {
  return threadBusy({
    field: "thread_id",
    threadId,
    run,
    otherwise: "the removal or copying of what it holds",
    advice: "try again when that is over",
  });
}
