import type { Journal } from "../checkpoints/journal.ts";
import type { JournalCopies, RunEventStore } from "../domain/ports.ts";
import type { RunData } from "../domain/thread/pay-debts.ts";
import type { Thread } from "../domain/thread.ts";

export interface ThreadData extends RunData, JournalCopies {
  /** Removes the thread's checkpoints and its runs' events. */
  removeThread(thread: Thread): Promise<void>;
  /** Removes the checkpoints before the newest ones; repeatable. `check` is asked before each write. */
  keepLatest(thread: Thread, check: () => Promise<void>): Promise<void>;
}

/** What threads and their runs have stored beside their records: checkpoints in the journal, and events. */
export function createThreadData(journal: Journal, events: RunEventStore): ThreadData {
  return {
    removeCheckpoints: (thread, run) => journal.deleteRun(thread.journal, run.runId),
    removeEvents: (run) => events.remove(run),
    async removeThread(thread) {
      await journal.deleteJournal(thread.journal);
      await events.removeAll(thread);
    },
    copy: (from, to, check) => journal.copy(from.journal, to, check),
    keepCopy: (to) => journal.keepCopy(to.journal),
    discardCopy: (to) => journal.discardCopy(to.journal),
    keepLatest: (thread, check) => journal.keepLatest(thread.journal, check),
  };
}
