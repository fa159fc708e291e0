import type { StoredCheckpoint } from "./journal-port.ts";

/** Where a journal stands: its highest slot, and the newest checkpoint of the root namespace, null when there is none. */
export interface JournalPosition {
  readonly slot: number;
  readonly newest: StoredCheckpoint | null;
}

/** An incarnation of a thread. */
interface ThreadOfJournal {
  readonly owner: string;
  readonly threadId: string;
  readonly journal: string;
}

/**
 * Where journals stood when this server's last attempt on them ended, so that the next one need not look. Whoever writes to a journal
 * has decided about its thread before: a position counts as long as each decision since was this server's, and none let
 * anybody but an attempt write.
 */
export interface KeptJournals {
  /** A thread was born, so that its journal is empty. */
  born(thread: ThreadOfJournal): void;
  /** Where the journal stands, for the attempt that goes on from there. It is known no more until that one has ended. */
  take(thread: ThreadOfJournal): JournalPosition | undefined;
  put(thread: ThreadOfJournal, position: JournalPosition): void;
  /** Others may have written. */
  forget(thread: Pick<ThreadOfJournal, "owner" | "threadId">): void;
}

const maxJournals = 256;
/** A larger checkpoint is read again. */
export const maxKeptBytes = 64 * 1024;

export function createKeptJournals(): KeptJournals {
  const kept = new Map<string, JournalPosition & { readonly journal: string }>();
  const keyOf = ({ owner, threadId }: Pick<ThreadOfJournal, "owner" | "threadId">) => `${owner}/${threadId}`;

  function put(thread: ThreadOfJournal, { slot, newest }: JournalPosition): void {
    const key = keyOf(thread);
    // What was put last stands last.
    kept.delete(key);
    kept.set(key, { journal: thread.journal, slot, newest });
    if (kept.size > maxJournals) kept.delete(kept.keys().next().value!);
  }

  return {
    put,
    born: (thread) => put(thread, { slot: 0, newest: null }),
    take(thread) {
      const position = kept.get(keyOf(thread));
      kept.delete(keyOf(thread));
      return position?.journal === thread.journal ? position : undefined;
    },
    forget: (thread) => void kept.delete(keyOf(thread)),
  };
}
