import type { JournalCollection, SlotSummary } from "../storage/journal.ts";
import { fieldsOf, segmentsReferred } from "./journal-entries.ts";

/**
 * Removes what a run wrote: its checkpoints in every namespace, its pending writes (those on earlier checkpoints too) and
 * its bytes, but for what checkpoints of other runs build on. Slots stay taken. The run must be over (settled or fenced)
 * and the caller hold the thread's turn. Repeatable, also after a crash half-way.
 */
export async function deleteRunFromJournal(
  collection: JournalCollection,
  journal: string,
  runId: string,
): Promise<void> {
  const [ofRun, kept] = await Promise.all([collection.slotsOfRun(journal, runId), collection.keptSlots(journal)]);
  const candidates = [...kept, ...ofRun];
  const from = Math.min(...candidates.map(({ slot }) => slot));
  const needed = new Set<string>();
  let lastDelta = 0;
  if (candidates.length > 0) {
    for await (const survivor of collection.slotsAfter(journal, from)) {
      if (survivor.kept !== undefined || survivor.run_id === runId) continue;
      for (const id of segmentsReferred(survivor)) needed.add(id);
      if (isDelta(survivor)) lastDelta = Math.max(lastDelta, survivor.slot);
    }
  }
  const isAncestor = ({ slot, kept }: SlotSummary) => slot < lastDelta && kept !== "segments";
  for (const ancestor of candidates.filter(isAncestor)) for (const id of segmentsReferred(ancestor)) needed.add(id);

  if (lastDelta > 0) await collection.keepAncestors(journal, runId, lastDelta);
  for (const slot of candidates) {
    if (isAncestor(slot)) continue;
    const segments = (slot.segments ?? []).map(({ id }) => id).filter((id) => needed.has(id));
    if (slot.kept !== undefined || segments.length > 0) await collection.keepSegments(journal, slot._id, segments);
  }
  if (ofRun.length > 0) await collection.blankRun(journal, runId, ofRun[0]!.slot);
}

/**
 * Whether a checkpoint holds a channel only as the writes since its last snapshot (LangGraph's DeltaChannel): such a value is
 * rebuilt from the ancestors and their pending writes, so they must outlive their run.
 */
const isDelta = ({ checkpoints }: SlotSummary): boolean =>
  (checkpoints ?? []).some((entry) => fieldsOf(entry).counters_since_delta_snapshot !== undefined);
