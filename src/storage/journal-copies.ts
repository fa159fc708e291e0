import { BSON } from "mongodb";
import type { JournalCollection } from "./journal.ts";
import { type JournalDocument, ofJournal, slotKey } from "./journal-documents.ts";
import { after } from "./keys.ts";

/** Whose the copy is. */
export interface CopiedJournal {
  readonly journal: string;
  readonly owner: string;
  readonly thread_id: string;
}

const batchBytes = 2 * 1024 * 1024;
/** Far longer than a copy takes. */
const unfinishedKeptMs = 24 * 60 * 60 * 1000;

/**
 * Every slot that holds something, in order, into a journal that nobody knows yet. The copies name neither run nor token, so
 * that nothing which is done about the source's runs is done to them. They expire until {@link keepSlots}.
 */
export async function copySlots(
  { documents }: JournalCollection,
  from: string,
  to: CopiedJournal,
  now: Date,
  check: () => Promise<void>,
): Promise<void> {
  const expire_at = after(now, unfinishedKeptMs);
  let slot = 0;
  let batch: JournalDocument[] = [];
  let bytes = 0;
  const insert = async () => {
    if (batch.length === 0) return;
    await check();
    await documents.insertMany(batch);
    batch = [];
    bytes = 0;
  };
  const source = documents.find({ ...ofJournal(from), fences: { $exists: false } }).sort({ _id: 1 });
  for await (const { checkpoints, writes, segments, kept, flush_id } of source.batchSize(16)) {
    if (!checkpoints && !writes && !segments) continue;
    slot += 1;
    const content = { checkpoints, writes, segments, kept, flush_id };
    const given = Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined));
    const copied: JournalDocument = { _id: slotKey(to.journal, slot), slot, ...to, ...given, expire_at };
    batch.push(copied);
    bytes += BSON.calculateObjectSize(copied);
    if (bytes > batchBytes) await insert();
  }
  await insert();
}

/** A copy → a journal like any other. A crash between this and the insert of its thread leaves it for good, seen by nobody. */
export async function keepSlots({ documents }: JournalCollection, journal: string): Promise<void> {
  await documents.updateMany(ofJournal(journal), { $unset: { expire_at: "" } });
}

/** Of a journal that nobody knows. */
export async function dropSlots({ documents }: JournalCollection, journal: string): Promise<void> {
  await documents.deleteMany(ofJournal(journal));
}
