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
  /** The thread was created with this very write. */
  born(thread: StoredThread): void;
  /** Others may have decided since this server last has, or are about to write what belongs to the thread. */
  mayHaveChanged(name: ThreadName): void;
  /** Where several servers decide, most of what one keeps would be old. */
  othersSeen(others: readonly unknown[]): void;
}

const maxThreads = 256;

/** What else is known of a thread as long as this server alone decides about it. */
export interface KeptBeside {
  born(thread: StoredThread["origin"]): void;
  forget(name: ThreadName): void;
}

export function createKeptThreads(beside?: KeptBeside): KeptThreads {
  const threads = new Map<string, StoredThread>();
  let isAlone = true;
  const keyOf = ({ owner, threadId }: ThreadName) => `${owner}/${threadId}`;

  function put(name: ThreadName, thread: StoredThread | undefined): void {
    const key = keyOf(name);
    // What was written last stands last.
    threads.delete(key);
    if (!thread || !isAlone || !isWorthKeeping(thread)) return;
    threads.set(key, thread);
    if (threads.size > maxThreads) threads.delete(threads.keys().next().value!);
  }

  return {
    get: (name) => threads.get(keyOf(name)),
    put,
    born(thread) {
      put(thread.origin, thread);
      beside?.born(thread.origin);
    },
    mayHaveChanged: (name) => beside?.forget(name),
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
