import type { StoredThread } from "../ports.ts";
import type { ThreadName } from "../thread.ts";

/**
 * Threads as this server has last written them. A decision that is written may rest on one without another look, since the
 * write is guarded by the revision; nothing else may, as others write to threads as well.
 */
export interface KeptThreads {
  get(name: ThreadName): StoredThread | undefined;
  /** Undefined: it is not known any more. */
  put(name: ThreadName, thread: StoredThread | undefined): void;
  /** Where several servers decide, most of what one keeps would be old. */
  othersSeen(others: readonly unknown[]): void;
}

const maxThreads = 256;

export function createKeptThreads(): KeptThreads {
  const threads = new Map<string, StoredThread>();
  let isAlone = true;
  const keyOf = ({ owner, threadId }: ThreadName) => `${owner}/${threadId}`;

  return {
    get: (name) => threads.get(keyOf(name)),
    put(name, thread) {
      const key = keyOf(name);
      // What was written last stands last.
      threads.delete(key);
      if (!thread || !isAlone || !isWorthKeeping(thread)) return;
      threads.set(key, thread);
      if (threads.size > maxThreads) threads.delete(threads.keys().next().value!);
    },
    othersSeen(others) {
      isAlone = others.length === 0;
      if (!isAlone) threads.clear();
    },
  };
}

/** A temporary thread has no second run, and one that is being removed no next one. */
function isWorthKeeping({ control }: StoredThread): boolean {
  const { watchedBy, removing } = control;
  return watchedBy === undefined && !removing;
}
