import type { Filter } from "mongodb";
import type { RunEventStore } from "../domain/ports.ts";
import type { RunName } from "../domain/run/run.ts";
import { charactersOf, type EventChunk, type NewChunk, type StoredEvent } from "../domain/run/run-events.ts";
import type { Collections } from "./collections.ts";
import type { RunEventsDocument } from "./documents.ts";
import { createGather } from "./gather.ts";
import { insertEach } from "./insert-each.ts";
import { after } from "./keys.ts";
import { runKey, threadKey } from "./run-document.ts";

/** What a chunk becomes when it is emptied: a fence record for its own writer. */
const blank = { gate: true, first: null, last: null, events: [] };

const deletedThreadKeptMs = 24 * 60 * 60 * 1000;

/** How many chunks one read brings at most, and after how many characters it is enough: one chunk may hold many times as much. */
const readChunks = 64;
const readCharacters = 1024 * 1024;

/** Where somebody reads on in a run's events. */
interface EventPlace {
  readonly run: RunName;
  readonly sequence: number;
}

/** `writes`: the collection over a connection of its own, so that readers need not wait until all else that is asked is done. */
export function createRunEventStore(
  { runEvents }: Pick<Collections, "runEvents">,
  now: () => Date,
  writes: Collections["runEvents"] = runEvents,
): RunEventStore {
  const id = (run: RunName, chunk: number) => `${runKey(run)}:${String(chunk).padStart(10, "0")}`;
  const gathered = createGather((documents: readonly RunEventsDocument[]) => insertEach(writes, documents), {
    whose: ({ run_id }) => run_id,
    most: 128,
  });
  const ofRun = (run: RunName): Filter<RunEventsDocument> => ({ thread_id: threadKey(run), run_id: runKey(run) });

  function toDocument({ run, isFence, ...chunk }: NewChunk): RunEventsDocument {
    return {
      _id: id(run, chunk.chunk),
      owner: run.owner,
      thread_id: threadKey(run),
      run_id: runKey(run),
      ...chunk,
      gate: isFence,
      events: [...chunk.events],
    };
  }

  /** Many readers that come to a run at the same time read the same. */
  const readTogether = createGather(
    async (places: readonly EventPlace[]) => {
      const reads = new Map<string, Promise<readonly EventChunk<StoredEvent>[]>>();
      for (const { run, sequence } of places) {
        const place = id(run, sequence);
        if (!reads.has(place)) reads.set(place, readFrom(run, sequence));
      }
      return Promise.all(places.map(({ run, sequence }) => reads.get(id(run, sequence))!));
    },
    { documentOf: ({ run, sequence }) => ({ _id: id(run, sequence) }), isUrgent: true },
  );

  /** Index: events_by_sequence. */
  async function readFrom(run: RunName, sequence: number): Promise<EventChunk<StoredEvent>[]> {
    const filter: Filter<RunEventsDocument> = { ...ofRun(run), last: { $gte: sequence } };
    const chunks: EventChunk<StoredEvent>[] = [];
    let characters = 0;
    for await (const { first, last, events } of runEvents.find(filter).sort({ last: 1 }).limit(readChunks)) {
      chunks.push({ first: first!, last: last!, events });
      for (const event of events) characters += charactersOf(event);
      if (characters >= readCharacters) break;
    }
    return chunks;
  }

  return {
    async insert(chunk) {
      return (await gathered(toDocument(chunk))) === "inserted";
    },

    async chunk(run, chunk) {
      const found = await runEvents.findOne({ _id: id(run, chunk), ...ofRun(run) });
      return found ? { token: found.token, isFence: found.gate, first: found.first } : undefined;
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

    async withChunk(chunks) {
      const runs = new Map(chunks.map(({ run, chunk }) => [id(run, chunk), run]));
      const found = await runEvents
        .find({ _id: { $in: [...runs.keys()] } })
        .project<{ _id: string }>({ _id: 1 })
        .toArray();
      return found.map(({ _id }) => runs.get(_id)!);
    },

    /** Index: events_by_sequence, where fence records stand under `last` null. */
    async isFenced(run, token) {
      return (await runEvents.findOne({ ...ofRun(run), last: null, gate: true, token })) !== null;
    },

    /** Index: events_by_chunk. */
    async firstAfter(run, checkpointId) {
      const marked = [{ "events.after": checkpointId }, { "events.checkpointId": checkpointId }];
      const filter: Filter<RunEventsDocument> = { ...ofRun(run), $or: marked };
      const [chunk] = await runEvents.find(filter).sort({ chunk: 1 }).limit(1).toArray();
      const index = chunk?.events.findIndex((event) =>
        event.kind === "output" ? event.after?.includes(checkpointId) : event.checkpointId === checkpointId,
      );
      return chunk && chunk.first! + index!;
    },

    from: (run, sequence) => readTogether({ run, sequence }),

    /** Index: events_by_chunk. */
    async remove(run) {
      if ((await runEvents.findOne({ ...ofRun(run), gate: true })) === null) await runEvents.deleteMany(ofRun(run));
      else await runEvents.updateMany({ ...ofRun(run), gate: false }, { $set: blank });
    },

    /** Index: events_by_chunk. */
    async discard(run) {
      const expire_at = after(now(), deletedThreadKeptMs);
      await runEvents.updateMany(ofRun(run), { $set: { ...blank, expire_at } });
    },

    /** Index: events_by_chunk. */
    async removeAll(thread) {
      const ofThread = { thread_id: threadKey(thread), journal: thread.journal };
      const fences = await runEvents
        .find({ ...ofThread, gate: true })
        .project<{ run_id: string }>({ run_id: 1 })
        .toArray();
      await runEvents.deleteMany({ ...ofThread, run_id: { $nin: fences.map(({ run_id }) => run_id) } });
      const expire_at = after(now(), deletedThreadKeptMs);
      await runEvents.updateMany(ofThread, { $set: { ...blank, expire_at } });
    },
  };
}
