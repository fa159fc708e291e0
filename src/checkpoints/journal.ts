import type { FoundCheckpoint } from "../domain/run/checkpoints.ts";
import type { CheckpointName } from "../domain/run/run.ts";
import { JournalCollection, type JournalDatabase } from "../storage/journal.ts";
import { copySlots, dropSlots, keepSlots } from "../storage/journal-copies.ts";
import { anyToken } from "../storage/journal-documents.ts";
import { JournalQueries } from "../storage/journal-queries.ts";
import { key } from "../storage/keys.ts";
import { deleteRunFromJournal } from "./journal-deletion.ts";
import { fieldsOf } from "./journal-entries.ts";
import { fenceJournal } from "./journal-fence.ts";
import type { JournalPort } from "./journal-port.ts";
import { pruneJournal } from "./journal-pruning.ts";
import { createJournalReader } from "./journal-reader.ts";
import { type JournalWriter, openJournalWriter, type WriterOptions } from "./journal-writer.ts";

export type { JournalWriter, WriterOptions } from "./journal-writer.ts";

/**
 * The journals of all threads: the parent's half of the checkpoints. A journal is named by a server-made id of the thread's
 * incarnation, so that a thread that was deleted and created again starts afresh.
 */
export interface Journal {
  /** Rejects with a FencedError when the token is fenced already. */
  writer(options: WriterOptions): Promise<JournalWriter>;
  reader(journal: string): JournalPort;
  /** Once it resolves, nothing more is written with this token. Repeatable. */
  fence(journal: string, token: string, thread?: ThreadOfJournal): Promise<void>;
  /** Whether a run has put a checkpoint: its retry then goes on with input null. */
  hasCheckpoints(journal: string, runId: string): Promise<boolean>;
  /** Whether a run has stored anything: its answer, the result of one of its tasks, a checkpoint. */
  hasWritten(journal: string, runId: string): Promise<boolean>;
  /** A checkpoint, or the newest of its namespace when no id is given. */
  checkpoint(journal: string, name: Omit<CheckpointName, "checkpointMap">): Promise<FoundCheckpoint | undefined>;
  /** Where the thread stands: the newest checkpoint of the root namespace. */
  newest(journal: string): Promise<string | undefined>;
  /** See {@link deleteRunFromJournal}: for rollback and for DeleteRun. Repeatable. */
  deleteRun(journal: string, runId: string): Promise<void>;
  /** See {@link copySlots}. Nobody may know the new journal yet. `check` is asked before each write. */
  copy(journal: string, to: ThreadOfJournal & { readonly journal: string }, check: () => Promise<void>): Promise<void>;
  /** Of a copy: it no longer expires. */
  keepCopy(journal: string): Promise<void>;
  /** Of a copy that no thread has. */
  discardCopy(journal: string): Promise<void>;
  /** See {@link pruneJournal}. */
  keepLatest(journal: string, check: () => Promise<void>): Promise<void>;
  /** Of a thread that is deleted. No writer can add to it afterwards. Repeatable. */
  deleteJournal(journal: string): Promise<void>;
}

/** Whose journal it is. A journal that holds a slot already knows it. */
interface ThreadOfJournal {
  readonly owner: string;
  readonly threadId: string;
}

export function createJournal(db: JournalDatabase, now: () => Date): Journal {
  const collection = new JournalCollection(db);
  const queries = new JournalQueries(collection);

  async function fence(journal: string, token: string, thread?: ThreadOfJournal): Promise<void> {
    const { owner, thread_id } = thread
      ? { owner: thread.owner, thread_id: key(thread.owner, thread.threadId) }
      : ((await collection.home(journal)) ?? { owner: "", thread_id: "" });
    await fenceJournal(collection, { journal, owner, thread_id, fences: token });
  }

  return {
    writer: (options) => openJournalWriter(collection, options),
    reader: (journal) => createJournalReader(collection, journal),
    fence,
    hasCheckpoints: (journal, runId) => queries.hasCheckpoints(journal, runId),
    hasWritten: (journal, runId) => queries.hasWritten(journal, runId),
    async checkpoint(journal, { checkpointId, checkpointNs }) {
      for (const namespace of new Set([checkpointNs, checkpointNs.replace(/:[^|]*/g, "")])) {
        const placed =
          checkpointId === undefined
            ? await queries.newest(journal, namespace)
            : await queries.checkpoint(journal, checkpointId, { namespace });
        if (placed) return { checkpointId: placed.entry.id, checkpointNs: namespace, fields: fieldsOf(placed.entry) };
      }
      return undefined;
    },
    newest: async (journal) => (await queries.newest(journal, ""))?.entry.id,
    deleteRun: (journal, runId) => deleteRunFromJournal(collection, journal, runId),
    copy: (from, { journal, owner, threadId }, check) =>
      copySlots(collection, from, { journal, owner, thread_id: key(owner, threadId) }, now(), check),
    keepCopy: (journal) => keepSlots(collection, journal),
    discardCopy: (journal) => dropSlots(collection, journal),
    keepLatest: (journal, check) => pruneJournal(collection, journal, check),
    async deleteJournal(journal) {
      // The fence record comes first and the emptied slots stay for a day, so a writer that has been asleep finds no free slot. One
      // that sleeps longer writes into a journal whose name nobody knows.
      await fence(journal, anyToken);
      await collection.blankJournal(journal, now());
    },
  };
}
