import type { JournalCollection } from "../storage/journal.ts";
import type { WriteEntry } from "../storage/journal-documents.ts";
import { JournalQueries, type PlacedCheckpoint } from "../storage/journal-queries.ts";
import { fieldsOf, segmentsReferred, toCheckpointRecord, toWriteRecord } from "./journal-entries.ts";
import type { JournalListQuery, JournalPort, JournalReadQuery, StoredCheckpoint } from "./journal-port.ts";

/**
 * The reading half of a journal's port; `append` rejects. `newest` is the newest checkpoint of the root namespace where that is
 * at hand, so that it is not looked for.
 */
export function createJournalReader(
  collection: JournalCollection,
  journal: string,
  newest: () => PlacedCheckpoint | undefined = () => undefined,
): JournalPort {
  const queries = new JournalQueries(collection);

  async function read({
    namespace,
    checkpointId,
    includeKept,
  }: JournalReadQuery): Promise<StoredCheckpoint | undefined> {
    const known = namespace === "" ? newest() : undefined;
    const placed =
      known && (checkpointId === undefined || checkpointId === known.entry.id)
        ? known
        : checkpointId === undefined
          ? await queries.newest(journal, namespace, { includeKept })
          : await queries.checkpoint(journal, checkpointId, { namespace, includeKept });
    return placed && (await complete([placed], includeKept))[0];
  }

  async function list(query: JournalListQuery): Promise<StoredCheckpoint[]> {
    const { limit = Number.POSITIVE_INFINITY, beforeCheckpointId, includeKept } = query;
    const before =
      beforeCheckpointId === undefined
        ? undefined
        : await queries.checkpoint(journal, beforeCheckpointId, { includeKept: true });
    if (limit <= 0 || (beforeCheckpointId !== undefined && before === undefined)) return [];
    const chosen: PlacedCheckpoint[] = [];
    for await (const placed of queries.history(journal, { namespace: query.namespace, before, includeKept })) {
      if (!matches(placed, query)) continue;
      if (chosen.push(placed) >= limit) break;
    }
    return complete(chosen, includeKept);
  }

  /** Adds pending writes and bytes, in one query each however many checkpoints there are. */
  async function complete(chosen: readonly PlacedCheckpoint[], includeKept = false): Promise<StoredCheckpoint[]> {
    if (chosen.length === 0) return [];
    const ids = chosen.map(({ entry }) => entry.id);
    const ofEntries = new Set(segmentsReferred({ checkpoints: chosen.map(({ entry }) => entry), writes: [] }));
    // Of one checkpoint, which a run begins with, both in one query; those of many may be in documents that hold much more.
    const isOne = chosen.length === 1;
    const { writes, segments: known } = await queries.writes(journal, ids, isOne ? ofEntries : new Set(), includeKept);
    const writesOf = Map.groupBy(effectiveWrites(writes), (write) => JSON.stringify([write.ns, write.checkpoint]));
    const items = chosen.map(({ entry }) => {
      const own = writesOf.get(JSON.stringify([entry.ns, entry.id])) ?? [];
      return { entry, own, segments: [...new Set(segmentsReferred({ checkpoints: [entry], writes: own }))] };
    });
    const unknown = new Set(items.flatMap(({ segments }) => segments).filter((id) => !known.has(id)));
    const bytes = new Map([...known, ...(await queries.segments(journal, unknown))]);
    return items.map(({ entry, own, segments }) => ({
      ...toCheckpointRecord(entry),
      writes: own.map(toWriteRecord),
      segmentBytes: Object.fromEntries(segments.flatMap((id) => (bytes.has(id) ? [[id, bytes.get(id)!]] : []))),
    }));
  }

  return {
    append: () => Promise.reject(new Error("This port of the journal is for reading")),
    read,
    list,
  };
}

/**
 * A task's regular writes count as they were first stored, so that a task that ran twice has one outcome; its special ones
 * (errors, interrupts, resume values; negative numbers) as they were last, which is also where they stand.
 */
function effectiveWrites(writes: readonly WriteEntry[]): Iterable<WriteEntry> {
  const effective = new Map<string, WriteEntry>();
  for (const write of writes) {
    const name = JSON.stringify([write.ns, write.checkpoint, write.task, write.index]);
    if (write.index < 0) effective.delete(name);
    if (!effective.has(name)) effective.set(name, write);
  }
  return effective.values();
}

function matches({ entry }: PlacedCheckpoint, { checkpointId, metadata }: JournalListQuery): boolean {
  if (checkpointId !== undefined && entry.id !== checkpointId) return false;
  const wanted = Object.entries(metadata ?? {});
  if (wanted.length === 0) return true;
  const fields = fieldsOf(entry);
  return wanted.every(([name, value]) => isEqual(fields[name], value));
}

/** Of JSON values; the order of an object's fields does not matter. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isEqual((a as Fields)[name], (b as Fields)[name]))
  );
}

type Fields = Record<string, unknown>;
