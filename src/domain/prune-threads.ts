import { DomainError } from "./errors.ts";
import type { HoldTurn } from "./hold-turn.ts";
import type { RunStore, ThreadStore } from "./ports.ts";
import type { Thread, ThreadName } from "./thread.ts";
import type { Removal } from "./threads.ts";

export interface PruneThreadsParts {
  readonly runs: Pick<RunStore, "live">;
  readonly threads: Pick<ThreadStore, "find" | "markRemoving">;
  readonly removal: Pick<Removal, "deleteThread">;
  readonly holdTurn: HoldTurn;
  /** Removes every checkpoint but the newest of each namespace. `check` before each write. Repeatable. */
  readonly keepLatest: (thread: Thread, check: () => Promise<void>) => Promise<void>;
}

export type PruneStrategy = "delete" | "keep_latest";

export interface Pruned {
  readonly pruned: readonly string[];
  readonly busy: readonly string[];
}

export type PruneThreads = (
  owner: string,
  threadIds: readonly string[],
  strategy: PruneStrategy,
  signal: AbortSignal,
) => Promise<Pruned>;

/** Threads that do not exist, or are busy, are passed over. Repeatable. */
export function createPruneThreads(parts: PruneThreadsParts): PruneThreads {
  const { runs, threads, holdTurn } = parts;

  async function remove(name: ThreadName, signal: AbortSignal): Promise<void> {
    // Also a run that is delayed is live, and has no turn.
    const live = await runs.live({ ...name, status: "all" }, 1);
    const marked = live.length === 0 && (await threads.markRemoving(name, { onlyFree: true }));
    if (marked) return parts.removal.deleteThread(name, signal);
    throw new DomainError((await threads.find(name)) ? "THREAD_BUSY" : "THREAD_NOT_FOUND", name.threadId);
  }

  const keepLatest = (name: ThreadName) =>
    holdTurn(name, "prune", ({ thread, check }) => parts.keepLatest(thread, check));

  return async (owner, threadIds, strategy, signal) => {
    const [pruned, busy]: [string[], string[]] = [[], []];
    for (const threadId of threadIds) {
      signal.throwIfAborted();
      try {
        await (strategy === "delete" ? remove({ owner, threadId }, signal) : keepLatest({ owner, threadId }));
        pruned.push(threadId);
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        if (error.reason === "THREAD_BUSY") busy.push(threadId);
        else if (error.reason !== "THREAD_NOT_FOUND") throw error;
      }
    }
    return { pruned, busy };
  };
}
