import { checkMetadata } from "./check-metadata.ts";
import type { HoldThread } from "./hold-thread.ts";
import { newId } from "./ids.ts";
import { threadNotFound } from "./not-found.ts";
import type { JournalCopies, Lanes, StoredThread, ThreadStore } from "./ports.ts";
import { newControl } from "./thread/entry.ts";
import { threadOf } from "./thread/view.ts";
import type { GraphOpening, RememberedState, Thread, ThreadName } from "./thread.ts";
import { threadExists } from "./threads.ts";

export interface CopyThreadParts {
  readonly threads: Pick<ThreadStore, "find" | "whole">;
  readonly lanes: Pick<Lanes, "insert">;
  readonly holdThread: HoldThread;
  readonly now: () => Date;
  readonly journals: JournalCopies;
  /** Where the thread stands; null without a checkpoint. */
  readonly readState: (thread: Thread) => Promise<RememberedState | null>;
  /** How a factory has made the thread's graph; undefined of any other graph. */
  readonly openingOf: (thread: Thread, graph: string) => Promise<GraphOpening | undefined>;
}

/** `metadata`: what the copy has in place of its source's. */
export type CopyThread = (name: ThreadName, newThreadId: string, metadata?: Thread["metadata"]) => Promise<Thread>;

/**
 * Makes a thread with the metadata, the state and the history of another one, and without its runs. The copy's record comes
 * last: a crash before that leaves no thread, and what was copied expires.
 */
export function createCopyThread(parts: CopyThreadParts): CopyThread {
  const { threads, lanes, holdThread, journals, readState, openingOf, now } = parts;

  return async (name, newThreadId, metadata) => {
    if (metadata) checkMetadata(metadata, "metadata");
    const copyName: ThreadName = { owner: name.owner, threadId: newThreadId };
    const source = await threads.find(name);
    if (!source || source.removing) throw threadNotFound(name.threadId);
    if (await threads.find(copyName)) throw threadExists("new_thread_id", newThreadId);
    return holdThread(name, { kind: "copy" }, async ({ thread, last, check, confirm }) => {
      // What the last run has left may still be to be read.
      const known = last?.unread ? undefined : (await threads.whole(thread)).state;
      const state = known ?? (await readState(thread)) ?? undefined;
      const opened = state && (await openingOf(thread, state.graph));
      const createdAt = now().getTime();
      // The state stands for no run of the copy's.
      const kept = { metadata: metadata ?? thread.metadata, state: state && { ...state, n: 0 } };
      const born: StoredThread = {
        origin: { ...copyName, journal: newId(), opened: opened && { ...opened, graph: state.graph }, createdAt },
        control: newControl({ threadId: newThreadId, rev: newId(), ...kept }, createdAt),
      };
      const copy = threadOf(born);
      try {
        await journals.copy(thread, copy, check);
        // Nothing can have changed in the source while it was read.
        await confirm();
        await journals.keepCopy(copy);
      } catch (error) {
        await journals.discardCopy(copy);
        throw error;
      }
      // When the insert ends without an answer, the thread may be there, or come yet: then its journal stays.
      if (await lanes.insert(born)) return copy;
      await journals.discardCopy(copy);
      throw threadExists("new_thread_id", newThreadId);
    });
  };
}
