import type { Filter } from "mongodb";
import type { RunName } from "../domain/run.ts";
import type { ThreadName } from "../domain/stores.ts";
import type { StreamMode } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { isDuplicateKey } from "./keys.ts";
import { runKey, threadKey } from "./run-document.ts";

/** A stored event; its sequence number follows from its chunk's `first` and its place. */
export type StoredEvent =
  | { readonly kind: "attempt"; readonly attempt: number; readonly checkpointId?: string }
  | {
      readonly kind: "output";
      readonly mode: StreamMode;
      readonly name: string;
      readonly namespace: readonly string[];
      readonly json: string;
      /** The checkpoints of the run's own graph that were made since the event before it. */
      readonly after?: readonly string[];
    };

/** The events of one flush, or a gate: a chunk number that a fenced writer can no longer take. */
export interface RunEventsDocument {
  /** Run key and chunk number: two writers can never both write the next chunk. */
  _id: string;
  owner: string;
  thread_id: string;
  run_id: string;
  chunk: number;
  /** The lease token of the writer; of a gate, the one that it fences. */
  token: string;
  gate: boolean;
  /** Sequence numbers of the first and last event; a gate has none. */
  first: number | null;
  last: number | null;
  events: StoredEvent[];
  at: Date;
  /** Set when the thread is deleted. */
  expire_at?: Date;
}

export interface EventChunk {
  readonly first: number;
  readonly last: number;
  readonly events: readonly StoredEvent[];
}

/** Where the next chunk of a run goes. */
export interface EventHead {
  readonly chunk: number;
  /** The last sequence number that is stored; 1 stands for the created event, which is not stored. */
  readonly last: number;
}

export interface NewChunk {
  readonly run: RunName;
  readonly chunk: number;
  readonly token: string;
  readonly gate: boolean;
  readonly first: number | null;
  readonly last: number | null;
  readonly events: readonly StoredEvent[];
}

export interface RunEventStore {
  /** Inserts what can be inserted; answers the positions of those whose chunk number was taken. */
  insert(chunks: readonly NewChunk[]): Promise<Set<number>>;
  chunk(run: RunName, chunk: number): Promise<{ token: string; gate: boolean; first: number | null } | undefined>;
  head(run: RunName): Promise<EventHead>;
  /** Whether there is a gate for the token. */
  isFenced(run: RunName, token: string): Promise<boolean>;
  /** The number of the run's first event after a checkpoint; undefined when none is known to be. */
  firstAfter(run: RunName, checkpointId: string): Promise<number | undefined>;
  /** Chunks that hold events from this number on, in order, up to about a megabyte. */
  from(run: RunName, sequence: number): Promise<EventChunk[]>;
  /** Removes a run's events. What stands before a gate is emptied only, so that a late writer finds no free chunk number. */
  remove(run: RunName): Promise<void>;
  /** The same for a run whose record is gone; the database removes what is left of its events after a day. */
  discard(run: RunName): Promise<void>;
  /** The same for all runs of a thread that is deleted; the database removes what is left of them after a day. */
  removeAll(thread: ThreadName): Promise<void>;
}

/** What a chunk becomes when it is emptied: a gate for its own writer. */
const blank = { gate: true, first: null, last: null, events: [] };

const deletedThreadKeptMs = 24 * 60 * 60 * 1000;

/** How many chunks one read brings at most. */
const readChunks = 64;

/** `writes`: the collection over a connection of its own, so that readers need not wait until all else that is asked is done. */
export function createRunEventStore(
  { runEvents }: Pick<Collections, "runEvents">,
  writes: Collections["runEvents"] = runEvents,
): RunEventStore {
  const id = (run: RunName, chunk: number) => `${runKey(run)}:${String(chunk).padStart(10, "0")}`;
  const ofRun = (run: RunName): Filter<RunEventsDocument> => ({ thread_id: threadKey(run), run_id: runKey(run) });

  function toDocument({ run, ...chunk }: NewChunk): RunEventsDocument {
    return {
      _id: id(run, chunk.chunk),
      owner: run.owner,
      thread_id: threadKey(run),
      run_id: runKey(run),
      ...chunk,
      events: [...chunk.events],
      at: new Date(),
    };
  }

  return {
    async insert(chunks) {
      try {
        await writes.insertMany(chunks.map(toDocument), { ordered: false });
        return new Set();
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        const failed = (error as { writeErrors?: { index: number; code: number }[] }).writeErrors ?? [];
        if (failed.some((one) => one.code !== 11000)) throw error;
        return new Set(failed.map((one) => one.index));
      }
    },

    async chunk(run, chunk) {
      return (await runEvents.findOne({ _id: id(run, chunk), ...ofRun(run) })) ?? undefined;
    },

    /** Index: events_by_chunk. */
    async head(run) {
      const newest = await runEvents.find(ofRun(run)).sort({ chunk: -1 }).limit(1).toArray();
      if (newest.length === 0) return { chunk: 0, last: 1 };
      const next = newest[0]!.chunk + 1;
      if (newest[0]!.last !== null) return { chunk: next, last: newest[0]!.last };
      const [data] = await runEvents
        .find({ ...ofRun(run), gate: false })
        .sort({ chunk: -1 })
        .limit(1)
        .toArray();
      return { chunk: next, last: data?.last ?? 1 };
    },

    /** Index: events_by_sequence, where gates stand under `last` null. */
    async isFenced(run, token) {
      return (await runEvents.findOne({ ...ofRun(run), last: null, gate: true, token })) !== null;
    },

    /** Index: events_by_chunk. */
    async firstAfter(run, checkpointId) {
      const marked = [{ "events.after": checkpointId }, { "events.checkpointId": checkpointId }];
      const filter: Filter<RunEventsDocument> = { ...ofRun(run), $or: marked };
      const [chunk] = await runEvents.find(filter).sort({ chunk: 1 }).limit(1).toArray();
      const place = chunk?.events.findIndex((event) =>
        event.kind === "output" ? event.after?.includes(checkpointId) : event.checkpointId === checkpointId,
      );
      return chunk && chunk.first! + place!;
    },

    /** Index: events_by_sequence. */
    async from(run, sequence) {
      const filter: Filter<RunEventsDocument> = { ...ofRun(run), last: { $gte: sequence } };
      const docs = await runEvents.find(filter).sort({ last: 1 }).limit(readChunks).toArray();
      return docs.map((doc) => ({ first: doc.first!, last: doc.last!, events: doc.events }));
    },

    /** Index: events_by_chunk. */
    async remove(run) {
      if ((await runEvents.findOne({ ...ofRun(run), gate: true })) === null) await runEvents.deleteMany(ofRun(run));
      else await runEvents.updateMany({ ...ofRun(run), gate: false }, { $set: blank });
    },

    /** Index: events_by_chunk. */
    async discard(run) {
      const expire_at = new Date(Date.now() + deletedThreadKeptMs);
      await runEvents.updateMany(ofRun(run), { $set: { ...blank, expire_at } });
    },

    /** Index: events_by_chunk. */
    async removeAll(thread) {
      const ofThread = { thread_id: threadKey(thread) };
      const gates = await runEvents
        .find({ ...ofThread, gate: true })
        .project<{ run_id: string }>({ run_id: 1 })
        .toArray();
      await runEvents.deleteMany({ ...ofThread, run_id: { $nin: gates.map((gate) => gate.run_id) } });
      const expire_at = new Date(Date.now() + deletedThreadKeptMs);
      await runEvents.updateMany(ofThread, { $set: { ...blank, expire_at } });
    },
  };
}
