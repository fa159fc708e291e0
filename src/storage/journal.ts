import {
  type Collection,
  type Db,
  type Filter,
  MongoBulkWriteError,
  MongoServerError,
  MongoWriteConcernError,
} from "mongodb";
import { isDatabaseUnavailable } from "./database.ts";
import { createGather } from "./gather.ts";
import { insertEach, insertFree } from "./insert-each.ts";
import { anyToken, type JournalDocument, ofJournal, slotKey } from "./journal-documents.ts";
import { after } from "./keys.ts";

export type JournalDatabase = Db;

/** `unknown`: the connection or the majority failed; it may have landed. */
export type InsertOutcome = "inserted" | "taken" | "unknown";

/** A slot without its bytes. */
export type SlotSummary = Pick<
  JournalDocument,
  "_id" | "slot" | "run_id" | "kept" | "checkpoints" | "writes" | "segments"
>;

/** A slot as its checkpoints are read. */
export type CheckpointSlot = Pick<JournalDocument, "slot" | "kept" | "checkpoints">;
export const checkpointSlot = { slot: 1, kept: 1, checkpoints: 1 } as const;

const summary = {
  slot: 1,
  run_id: 1,
  kept: 1,
  "checkpoints.metadata": 1,
  "checkpoints.fields": 1,
  "checkpoints.values.parts": 1,
  "writes.parts": 1,
  "segments.id": 1,
} as const;

const dataOnly = { fences: { $exists: false } } as const;
const deletedThreadKeptMs = 24 * 60 * 60 * 1000;

/** The `checkpoints` collection: single guarded inserts, and updates that empty a slot but never free it. */
export class JournalCollection {
  readonly documents: Collection<JournalDocument>;
  /** Of all journals. */
  readonly #gathered = createGather((slots: readonly JournalDocument[]) => insertEach(this.documents, slots), {
    whose: ({ journal }) => journal,
  });

  constructor(db: JournalDatabase) {
    this.documents = db.collection("checkpoints", {
      promoteBuffers: true,
      writeConcern: { w: "majority", journal: true },
    });
  }

  /** Free slot → data. Guard: `_id`. Throws only when the server refused the document as such. */
  async insert(document: JournalDocument): Promise<InsertOutcome> {
    try {
      return await this.#gathered(document);
    } catch (error) {
      if (isAmbiguous(error)) return "unknown";
      throw error;
    }
  }

  /** What stands in a slot for good; undefined as long as no majority has it. */
  async at(journal: string, slot: number): Promise<Pick<JournalDocument, "flush_id" | "fences" | "token"> | undefined> {
    const found = await this.documents.findOne(
      { _id: slotKey(journal, slot), journal },
      { projection: { flush_id: 1, fences: 1, token: 1 }, readConcern: "majority" },
    );
    return found ?? undefined;
  }

  /** The highest slot that is taken, 0 in an empty journal. */
  async head(journal: string): Promise<number> {
    return (await this.#edge(ofJournal(journal), { _id: -1 })) ?? 0;
  }

  /** The highest slot that is taken, with its checkpoints; undefined in an empty journal. */
  async last(journal: string): Promise<CheckpointSlot | undefined> {
    const options = { sort: { _id: -1 }, projection: checkpointSlot } as const;
    return (await this.documents.findOne<CheckpointSlot>(ofJournal(journal), options)) ?? undefined;
  }

  /** The highest slot below `below` that is no fence record. */
  async lastData(journal: string, below: number): Promise<number> {
    return (await this.#edge({ ...ofJournal(journal, { to: below - 1 }), ...dataOnly }, { _id: -1 })) ?? 0;
  }

  /** The lowest fence record that stops this token, if there is one. Index: gates_of_token. */
  async firstFence(journal: string, token: string): Promise<number | undefined> {
    const lowest = [token, anyToken].map((fences) => this.#edge({ journal, fences }, { slot: 1 }));
    const slots = (await Promise.all(lowest)).filter((slot) => slot !== undefined);
    return slots.length === 0 ? undefined : Math.min(...slots);
  }

  async #edge(filter: Filter<JournalDocument>, sort: Record<string, 1 | -1>): Promise<number | undefined> {
    return (await this.documents.findOne(filter, { sort, projection: { slot: 1 } }))?.slot;
  }

  /** Free slots → fence records, each by itself; answers how many were free. Guard: `_id`. */
  async insertFences(fence: Omit<JournalDocument, "_id" | "slot">, from: number, to: number): Promise<number> {
    const fences: JournalDocument[] = [];
    for (let slot = from; slot <= to; slot++) fences.push({ _id: slotKey(fence.journal, slot), slot, ...fence });
    if (fences.length === 0) return 0;
    return insertFree(this.documents, fences);
  }

  /** Owner and thread, as the journal's first document has them. */
  async home(journal: string): Promise<Pick<JournalDocument, "owner" | "thread_id"> | undefined> {
    const found = await this.documents.findOne(
      { _id: slotKey(journal, 1), journal },
      { projection: { owner: 1, thread_id: 1 } },
    );
    return found ?? undefined;
  }

  /** Index: slots_of_run. */
  slotsOfRun(journal: string, runId: string): Promise<SlotSummary[]> {
    return this.documents.find({ journal, run_id: runId }).project<SlotSummary>(summary).sort({ slot: 1 }).toArray();
  }

  /** Index: kept_slots. */
  async keptSlots(journal: string): Promise<SlotSummary[]> {
    const found = (["segments", "ancestors"] as const).map((kept) =>
      this.documents.find({ journal, kept }).project<SlotSummary>(summary).sort({ slot: 1 }).toArray(),
    );
    return (await Promise.all(found)).flat();
  }

  slotsAfter(journal: string, slot: number): AsyncIterable<SlotSummary> {
    return this.documents
      .find(ofJournal(journal, { from: slot + 1 }))
      .project<SlotSummary>(summary)
      .sort({ _id: 1 });
  }

  /** Data of a run from this slot on → blank. */
  async blankRun(journal: string, runId: string, from: number): Promise<void> {
    await this.documents.updateMany({ ...ofJournal(journal, { from }), run_id: runId }, { $unset: content });
  }

  /** Data of a run, or what was kept of one → only the segments named; blank if none is. Guard: `_id`. */
  async keepSegments(journal: string, id: string, segmentIds: readonly string[]): Promise<void> {
    const { segments: _, kept: __, ...rest } = content;
    await this.documents.updateOne(
      { _id: id, journal },
      segmentIds.length === 0
        ? { $unset: content }
        : { $unset: rest, $set: { kept: "segments" }, $pull: { segments: { id: { $nin: [...segmentIds] } } } },
    );
  }

  /** Data of a run below a slot → unlisted ancestors. */
  async keepAncestors(journal: string, runId: string, below: number): Promise<void> {
    await this.documents.updateMany(
      { ...ofJournal(journal, { to: below - 1 }), run_id: runId },
      { $unset: { run_id: "", token: "", flush_id: "" }, $set: { kept: "ancestors" } },
    );
  }

  /** Every slot → blank, to be removed a day later. */
  async blankJournal(journal: string, now: Date): Promise<void> {
    await this.documents.updateMany(ofJournal(journal), {
      $unset: content,
      $set: { expire_at: after(now, deletedThreadKeptMs) },
    });
  }
}

const content = {
  checkpoints: "",
  writes: "",
  segments: "",
  run_id: "",
  token: "",
  flush_id: "",
  kept: "",
} as const;

/** The write may have landed, or may land when it is tried again. */
function isAmbiguous(error: unknown): boolean {
  return (
    isDatabaseUnavailable(error) ||
    error instanceof MongoWriteConcernError ||
    (error instanceof MongoBulkWriteError && error.result.getWriteConcernError() !== undefined) ||
    (error instanceof MongoServerError && (error.hasErrorLabel("RetryableWriteError") || outOfTime.has(error.code)))
  );
}

/** ExceededTimeLimit, MaxTimeMSExpired, WriteConcernFailed. */
const outOfTime: ReadonlySet<unknown> = new Set([262, 50, 64]);
