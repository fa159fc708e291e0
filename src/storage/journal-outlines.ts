import type { UpdateFilter } from "mongodb";
import type { JournalCollection } from "./journal.ts";
import { type CheckpointEntry, type JournalDocument, ofJournal, type WriteEntry } from "./journal-documents.ts";

/** What a slot holds, without the bytes. Fence records are left out. */
export type SlotOutline = Pick<JournalDocument, "_id" | "slot" | "kept"> & {
  readonly checkpoints?: readonly Pick<CheckpointEntry, "ns" | "id" | "parent" | "metadata" | "fields" | "values">[];
  readonly writes?: readonly Pick<WriteEntry, "ns" | "checkpoint" | "parts">[];
  readonly segments?: readonly { readonly id: string }[];
};

const outline = {
  slot: 1,
  kept: 1,
  "segments.id": 1,
  "checkpoints.ns": 1,
  "checkpoints.id": 1,
  "checkpoints.parent": 1,
  "checkpoints.metadata": 1,
  "checkpoints.fields": 1,
  "checkpoints.values.channel": 1,
  "checkpoints.values.parts": 1,
  "writes.ns": 1,
  "writes.checkpoint": 1,
  "writes.parts": 1,
} as const;

/** In the order of the slots. */
export function slotOutlines({ documents }: JournalCollection, journal: string): Promise<SlotOutline[]> {
  return documents
    .find({ ...ofJournal(journal), fences: { $exists: false } })
    .project<SlotOutline>(outline)
    .sort({ _id: 1 })
    .toArray();
}

/** What stays of a slot: the entries at these positions. */
export interface Remains {
  readonly checkpoints: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
  readonly segments: ReadonlySet<number>;
  /** They are the ancestors of what stays elsewhere, and no longer listed. */
  readonly isAncestor: boolean;
}

/** Data, or what was kept of it → less of it, but not nothing. The holder of the turn is the only one to change it. Guard: `_id`. */
export async function thinSlot(
  { documents }: JournalCollection,
  journal: string,
  _id: string,
  remains: Remains,
): Promise<void> {
  const slot = await documents.findOne({ _id, journal });
  if (!slot) return;
  const some = <T>(entries: readonly T[] | undefined, chosen: ReadonlySet<number>) =>
    entries?.filter((_, position) => chosen.has(position)) ?? [];
  const content = {
    checkpoints: some(slot.checkpoints, remains.checkpoints),
    writes: some(slot.writes, remains.writes),
    segments: some(slot.segments, remains.segments),
  };
  const entries = Object.entries(content);
  const update: UpdateFilter<JournalDocument> = {};
  const $set = Object.fromEntries(entries.filter(([, some]) => some.length > 0));
  const gone = entries.filter(([, some]) => some.length === 0).map(([field]) => field);
  if (remains.isAncestor) gone.push("run_id", "token", "flush_id");
  update.$set = { ...$set, ...(remains.isAncestor && { kept: "ancestors" }) };
  if (gone.length > 0) update.$unset = Object.fromEntries(gone.map((field) => [field, "" as const]));
  await documents.updateOne({ _id, journal }, update);
}
