import { type CheckpointSlot, checkpointSlot, type JournalCollection } from "./journal.ts";
import { type CheckpointEntry, type JournalDocument, ofJournal, type WriteEntry } from "./journal-documents.ts";

/** A checkpoint and where it stands. A later entry of a slot is the newer one. */
export interface PlacedCheckpoint {
  readonly slot: number;
  readonly position: number;
  readonly entry: CheckpointEntry;
}

/** Reads of checkpoints, newest first: by slot, never by clock or id. */
export class JournalQueries {
  readonly #documents: JournalCollection["documents"];

  constructor(journal: JournalCollection) {
    this.#documents = journal.documents;
  }

  /** The newest record of a checkpoint. Index: checkpoint_by_id. */
  async checkpoint(
    journal: string,
    id: string,
    { namespace, includeKept = false }: { readonly namespace?: string; readonly includeKept?: boolean } = {},
  ): Promise<PlacedCheckpoint | undefined> {
    const slots = await this.#documents
      .find({ journal, "checkpoints.id": id })
      .project<CheckpointSlot>(checkpointSlot)
      .toArray();
    const placed = slots.toSorted((a, b) => b.slot - a.slot).flatMap((slot) => newestFirst(slot, includeKept));
    return placed.find(({ entry }) => entry.id === id && (namespace === undefined || entry.ns === namespace));
  }

  /** Where a namespace stands. Index: checkpoints_of_namespace. */
  async newest(
    journal: string,
    namespace: string,
    { includeKept = false }: { readonly includeKept?: boolean } = {},
  ): Promise<PlacedCheckpoint | undefined> {
    const slot = await this.#documents.findOne<CheckpointSlot>(
      { journal, "checkpoints.ns": namespace, ...(!includeKept && { kept: { $exists: false } }) },
      { projection: checkpointSlot, sort: { slot: -1 } },
    );
    return slot ? newestOf(slot, namespace, includeKept) : undefined;
  }

  /**
   * Checkpoints of a namespace, or of all, before a place. Index: checkpoints_of_namespace.
   * A checkpoint that was put twice comes once, where it was put last.
   */
  async *history(
    journal: string,
    options: {
      readonly namespace?: string;
      readonly before?: Pick<PlacedCheckpoint, "slot" | "position">;
      readonly includeKept?: boolean;
    },
  ): AsyncGenerator<PlacedCheckpoint> {
    const { namespace, before, includeKept = false } = options;
    const slots =
      namespace === undefined
        ? this.#documents.find(ofJournal(journal, { to: before?.slot })).sort({ _id: -1 })
        : this.#documents
            .find({ journal, "checkpoints.ns": namespace, ...(before && { slot: { $lte: before.slot } }) })
            .sort({ slot: -1 });
    const seen = new Set<string>();
    for await (const slot of slots.project<CheckpointSlot>(checkpointSlot).batchSize(batchSize)) {
      for (const placed of newestFirst(slot, includeKept)) {
        const { entry } = placed;
        if (namespace !== undefined && entry.ns !== namespace) continue;
        if (before && placed.slot === before.slot && placed.position >= before.position) continue;
        const name = JSON.stringify([entry.ns, entry.id]);
        if (seen.has(name)) continue;
        seen.add(name);
        yield placed;
      }
    }
  }

  /**
   * Pending writes on these checkpoints, oldest first, and the bytes of these segments, as {@link segments} answers them. Indexes:
   * writes_of_checkpoint and segment_by_id.
   */
  async writes(
    journal: string,
    checkpointIds: readonly string[],
    segmentIds: ReadonlySet<string>,
    includeKept = false,
  ): Promise<{ writes: WriteEntry[]; segments: Map<string, Uint8Array> }> {
    const wanted = new Set(checkpointIds);
    const fields = { slot: 1, kept: 1, writes: 1 } as const;
    const places = [...wanted].map((id) => ["writes.checkpoint", id] as const);
    const slots = await this.#anyOf(journal, [...places, ...placesOf(segmentIds)], {
      ...fields,
      ...(segmentIds.size > 0 && { segments: 1 as const }),
    });
    const writes = slots
      .filter(({ kept }) => includeKept || kept === undefined)
      .toSorted((a, b) => a.slot - b.slot)
      .flatMap((slot) => (slot.writes ?? []).filter((write) => wanted.has(write.checkpoint)));
    return { writes, segments: bytesIn(slots, segmentIds) };
  }

  /** The bytes of segments by id; what is missing is left out. Index: segment_by_id. */
  async segments(journal: string, ids: ReadonlySet<string>): Promise<Map<string, Uint8Array>> {
    return bytesIn(await this.#anyOf(journal, placesOf(ids), { segments: 1 }), ids);
  }

  /** Documents that hold any of the values; see {@link ofJournal} for why this is not `$in`. */
  async #anyOf(
    journal: string,
    values: readonly Place[],
    projection: Partial<Record<keyof JournalDocument, 1>>,
  ): Promise<JournalDocument[]> {
    const found = new Map<string, JournalDocument>();
    for (let start = 0; start < values.length; start += valuesEach) {
      const $or = values.slice(start, start + valuesEach).map(([field, value]) => ({ journal, [field]: value }));
      for await (const document of this.#documents.find({ $or }, { projection })) found.set(document._id, document);
    }
    return [...found.values()];
  }

  /** Whether a run has put a checkpoint. Index: slots_of_run. */
  async hasCheckpoints(journal: string, runId: string): Promise<boolean> {
    const found = await this.#documents.findOne(
      { journal, run_id: runId, "checkpoints.0": { $exists: true } },
      { projection: { _id: 1 }, sort: { slot: 1 } },
    );
    return found !== null;
  }

  /** Whether a run has written anything. Index: slots_of_run. */
  async hasWritten(journal: string, runId: string): Promise<boolean> {
    const query = { journal, run_id: runId };
    return (await this.#documents.findOne(query, { projection: { _id: 1 }, sort: { slot: 1 } })) !== null;
  }
}

type Place = readonly [field: "writes.checkpoint" | "segments.id", value: string];

const placesOf = (segmentIds: ReadonlySet<string>): Place[] => [...segmentIds].map((id) => ["segments.id", id]);

function bytesIn(slots: readonly JournalDocument[], ids: ReadonlySet<string>): Map<string, Uint8Array> {
  const segments = slots.flatMap((slot) => slot.segments ?? []).filter(({ id }) => ids.has(id));
  return new Map(segments.map(({ id, bytes }) => [id, bytes]));
}

/** How many alternatives one query names. */
const valuesEach = 64;
/** Of a history: most readers want a page. */
const batchSize = 32;

/** A namespace's newest checkpoint in a slot. */
export const newestOf = (slot: CheckpointSlot, namespace: string, includeKept = false): PlacedCheckpoint | undefined =>
  newestFirst(slot, includeKept).find(({ entry }) => entry.ns === namespace);

function newestFirst({ slot, kept, checkpoints }: CheckpointSlot, includeKept: boolean): PlacedCheckpoint[] {
  if (kept !== undefined && !includeKept) return [];
  return (checkpoints ?? []).map((entry, position) => ({ slot, position, entry })).reverse();
}
