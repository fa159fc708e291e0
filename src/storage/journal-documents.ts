import { type IndexDefinition, indexesOf } from "./index-definition.ts";

/**
 * One slot of a thread's journal. A slot is taken once and for good: whatever happens to its content, the document stays, so
 * that a late insert of an old writer can never fill a hole. Three kinds share the collection: data (`flush_id`), fence records
 * (`fences`) and blanks (neither).
 */
export interface JournalDocument {
  /** See {@link slotKey}. */
  readonly _id: string;
  /** The thread's incarnation. The collection's shard key: every query names it. */
  readonly journal: string;
  /** From 1, without a gap. */
  readonly slot: number;
  readonly owner: string;
  readonly thread_id: string;
  /** The run that wrote it; absent for an update from outside a run, a fence record and a blank. */
  readonly run_id?: string;
  /** The lease token it was written with. */
  readonly token?: string;
  /** The flush and the number of the document in it. */
  readonly flush_id?: string;
  readonly checkpoints?: readonly CheckpointEntry[];
  readonly writes?: readonly WriteEntry[];
  readonly segments?: readonly SegmentEntry[];
  /** A fence record: no writer with this token passes it. */
  readonly fences?: string;
  /** Of a deleted run, and kept since later checkpoints build on it: bytes only, or unlisted ancestors as well. */
  readonly kept?: "segments" | "ancestors";
  /** Set when the thread is deleted. */
  readonly expire_at?: Date;
}

export interface ValueEntry {
  readonly type: string;
  /** Inline; otherwise `parts`. */
  readonly bytes?: Uint8Array;
  readonly parts?: readonly { readonly segment: string; readonly length: number }[];
}

export interface CheckpointEntry {
  readonly ns: string;
  readonly id: string;
  readonly parent?: string;
  readonly checkpoint: ValueEntry;
  readonly metadata: ValueEntry;
  /**
   * The metadata's fields for filters, where they are not all that it says: JSON text, since the names in it are the users' (dots and
   * dollar signs included).
   */
  readonly fields?: string;
  readonly values: readonly (ValueEntry & { readonly channel: string })[];
}

export interface WriteEntry extends ValueEntry {
  readonly ns: string;
  readonly checkpoint: string;
  readonly task: string;
  readonly path: string;
  readonly index: number;
  readonly channel: string;
}

interface SegmentEntry {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** A fence record for every token: it stands in the journal of a deleted thread. */
export const anyToken = "*";

/** Twelve digits, so that the keys of a journal sort like its slots. */
export const slotKey = (journal: string, slot: number): string => `${journal}:${String(slot).padStart(12, "0")}`;

/**
 * The slots of a journal in a range, by `_id`; sort by `_id` for their order. The journal is named as well for the sake of
 * sharding. Ranges of keys and equal values are what every engine finds by an index: one of them answers a list (`$in`) or a
 * range of a compound index's second field by reading the whole collection.
 */
export const ofJournal = (journal: string, { from = 1, to = maxSlot }: { from?: number; to?: number } = {}) => ({
  _id: { $gte: slotKey(journal, from), $lte: slotKey(journal, to) },
  journal,
});

export const maxSlot = 999_999_999_999;

const index = indexesOf("checkpoints");

const where = (field: keyof JournalDocument) => ({ partialFilterExpression: { [field]: { $exists: true } } });

/** For what {@link ofJournal} does not serve. None is unique: uniqueness is asked of `_id` alone. */
export const journalIndexes: readonly IndexDefinition[] = [
  index(
    "checkpoints_of_namespace",
    { journal: 1, "checkpoints.ns": 1, slot: -1 },
    "the newest checkpoint and the history of a namespace",
  ),
  index("checkpoint_by_id", { journal: 1, "checkpoints.id": 1 }, "a checkpoint by its id"),
  index("writes_of_checkpoint", { journal: 1, "writes.checkpoint": 1 }, "the pending writes of a checkpoint"),
  index("segment_by_id", { journal: 1, "segments.id": 1 }, "the bytes that a checkpoint refers to"),
  index("slots_of_run", { journal: 1, run_id: 1, slot: 1 }, "rollback and deletion of a run"),
  index("gates_of_token", { journal: 1, fences: 1, slot: 1 }, "whether a lease token is fenced", where("fences")),
  index("kept_slots", { journal: 1, kept: 1, slot: 1 }, "what deleted runs left for later checkpoints", where("kept")),
  index("expired_slots", { expire_at: 1 }, "the removal of a deleted thread's slots", { expireAfterSeconds: 0 }),
];
