import { DomainError } from "./errors.ts";
import type { HoldThread } from "./hold-thread.ts";
import { threadNotFound } from "./not-found.ts";
import type { Act } from "./thread/act.ts";
import type { Thread, ThreadName } from "./thread.ts";
import type { Removal } from "./threads.ts";

export interface PruneThreadsParts {
  readonly act: Pick<Act, "act">;
  readonly removal: Pick<Removal, "finish">;
  readonly holdThread: HoldThread;
  /** Removes every checkpoint but the newest of each namespace. `check` before each write. Repeatable. */
  readonly keepLatest: (thread: Thread, check: () => Promise<void>) => Promise<void>;
}

type PruneStrategy = "delete" | "keep_latest";

interface Pruned {
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
  async function remove(name: ThreadName, signal: AbortSignal): Promise<void> {
    const acted = await parts.act.act(name, { kind: "change", remove: { when: "idle" } });
    if (!acted) throw threadNotFound(name.threadId);
    await parts.removal.finish(name, signal);
  }

  const keepLatest = (name: ThreadName) =>
    parts.holdThread(name, { kind: "prune" }, ({ thread, check }) => parts.keepLatest(thread, check));

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
