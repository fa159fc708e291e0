import type { HoldTurn } from "./hold-turn.ts";
import { newId } from "./ids.ts";
import { threadNotFound } from "./not-found.ts";
import type { ThreadStore } from "./ports.ts";
import { type GraphOpening, type RememberedState, restingStatus, type Thread, type ThreadName } from "./thread.ts";
import { threadExists } from "./threads.ts";

export interface CopyThreadParts {
  readonly threads: Pick<ThreadStore, "find" | "insert">;
  readonly holdTurn: HoldTurn;
  readonly journals: JournalCopies;
  /** Where the thread stands; null without a checkpoint. */
  readonly readState: (thread: Thread) => Promise<RememberedState | null>;
  /** How a factory has made the thread's graph; undefined of any other graph. */
  readonly openingOf: (thread: Thread, graph: string) => Promise<GraphOpening | undefined>;
}

export interface JournalCopies {
  /** Copies all that the thread's journal holds into a new one, which expires unless it is kept. */
  copy(from: Thread, to: Thread, check: () => Promise<void>): Promise<void>;
  keepCopy(to: Thread): Promise<void>;
  discardCopy(to: Thread): Promise<void>;
}

export type CopyThread = (name: ThreadName, newThreadId: string) => Promise<Thread>;

/**
 * Makes a thread with the metadata, the state and the history of another one, and without its runs. The copy's record comes
 * last: a crash before that leaves no thread, and what was copied expires.
 */
export function createCopyThread({ threads, holdTurn, journals, readState, openingOf }: CopyThreadParts): CopyThread {
  return async (name, newThreadId) => {
    const copyName: ThreadName = { owner: name.owner, threadId: newThreadId };
    const source = await threads.find(name);
    if (!source || source.removing) throw threadNotFound(name.threadId);
    if (await threads.find(copyName)) throw threadExists("new_thread_id", newThreadId);
    return holdTurn(name, "copy", async ({ thread, check, confirm }) => {
      const state = thread.state ?? (await readState(thread)) ?? undefined;
      const opened = state && (await openingOf(thread, state.graph));
      const now = new Date();
      const copy: Thread = {
        ...copyName,
        journal: newId(),
        n: 0,
        metadata: thread.metadata,
        temporary: false,
        removing: false,
        status: restingStatus({ state }),
        // It stands for no run of the copy's.
        state: state && { ...state, n: 0 },
        opened: opened && { ...opened, graph: state.graph },
        createdAt: now,
        updatedAt: now,
      };
      let inserted = false;
      try {
        await journals.copy(thread, copy, check);
        // Nothing can have changed in the source while it was read.
        await confirm();
        await journals.keepCopy(copy);
        inserted = await threads.insert(copy);
      } finally {
        if (!inserted) await journals.discardCopy(copy);
      }
      if (!inserted) throw threadExists("new_thread_id", newThreadId);
      return copy;
    });
  };
}
