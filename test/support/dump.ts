import { BSON, type Db, type Document } from "mongodb";
import { isEnded, type Lane } from "../../src/domain/thread/entry.ts";
import { until } from "./gates.ts";

/** Every document of a database, by collection and in the order of their keys, without what may differ (see below). */
export type Dump = Readonly<Record<string, readonly Document[]>>;

/**
 * What may differ between two dumps although nothing has happened, or although a run has come and gone without a trace:
 * - `servers`: heartbeats; `nudges`: what servers tell each other; `audit`: what was wanted, also where nothing came of it;
 * - of a thread: `updated_at` and the `expire_at` that follows from it; `rev`, `marks` and `head_since`, which say that somebody
 *   has decided; and of its lane `n`, which counts its runs, also those that are gone, and the entries of runs that are over,
 *   which leave when they leave, with what they owe;
 * - slots of a journal and chunks of an event log that are gates or blanks: they stay occupied for good, so that no late
 *   writer finds a free one, and hold nothing; so does the id of a thread that was removed;
 * - the notes beside what runs were given: they go when a sweep has seen the run's entry;
 * - `tombstones`, which expire: see {@link tombstones}.
 */
export const ignored = {
  collections: ["servers", "nudges", "audit", "tombstones"],
  fields: {
    threads: ["rev", "marks", "updated_at", "expire_at", "head_since", "owes_server", "owes_since"],
  } as Readonly<Record<string, readonly string[]>>,
  isOccupiedOnly: {
    checkpoints: (slot: Document) =>
      holdsOnly(slot, ["_id", "journal", "slot", "owner", "thread_id", "fences", "expire_at"]),
    run_specs: (one: Document) => holdsOnly(one, ["_id", "owner", "thread_id", "run", "made", "at"]),
    threads: (thread: Document) => holdsOnly(thread, ["_id", "removed_journal", "removed_at"]),
    run_events: (chunk: Document) => chunk.gate === true && chunk.events.length === 0,
  } as Readonly<Record<string, (document: Document) => boolean>>,
};

export interface DumpOptions {
  /** Only what belongs to this thread. */
  readonly threadId?: string;
  /** Leaves out the events of a run that executes: they come when they come. Its record is waited for, which follows its lane. */
  readonly exceptEventsOf?: string;
}

export async function dump(db: Db, { threadId, exceptEventsOf }: DumpOptions = {}): Promise<Dump> {
  const ofThread = threadId === undefined ? {} : { thread_id: threadId };
  const withoutEvents = exceptEventsOf === undefined ? {} : { run_id: { $ne: exceptEventsOf } };
  if (exceptEventsOf !== undefined) await broughtUp(db, exceptEventsOf);
  const found: Record<string, Document[]> = {};
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort();
  for (const name of names.filter((one) => !ignored.collections.includes(one))) {
    const filter = name === "run_events" ? { ...ofThread, ...withoutEvents } : ofThread;
    const documents = await db.collection(name).find(filter).sort({ _id: 1 }).toArray();
    const kept = documents.filter((document) => !ignored.isOccupiedOnly[name]?.(document));
    if (kept.length > 0) found[name] = kept.map((document) => comparable(name, document));
  }
  return found;
}

/** Resolves when the record of a run that executes says what its entry says. */
export const broughtUp = (db: Db, runId: string): Promise<void> => until(() => isBroughtUp(db, runId));

async function isBroughtUp(db: Db, runId: string): Promise<boolean> {
  const record = await db.collection("runs").findOne({ _id: runId as never });
  const thread = record && (await db.collection("threads").findOne({ _id: record.thread_id }));
  const entry = thread && (JSON.parse(thread.lane) as Lane).entries.find(({ run }) => run === runId);
  return !entry || record.changes === entry.changes;
}

/** The last records of rolled back runs. */
export const tombstones = (db: Db): Promise<Document[]> => db.collection("tombstones").find({}).toArray();

/** The documents of a dump in which a text (an id, a value) occurs anywhere, bytes of checkpoints included. */
export function mentions(dumped: Dump, text: string): Document[] {
  return Object.values(dumped).flatMap((documents) => documents.filter((document) => legible(document).includes(text)));
}

/** A document without what may differ. */
export function comparable(collection: string, document: Document): Document {
  const plain = BSON.EJSON.serialize(document) as Document;
  for (const field of ignored.fields[collection] ?? []) delete plain[field];
  if (collection === "threads" && typeof plain.lane === "string") {
    plain.lane = comparableLane(JSON.parse(plain.lane));
    plain.state = JSON.parse(plain.state);
  }
  return plain;
}

function comparableLane({ n: _, entries, ...lane }: Lane): object {
  return { ...lane, entries: entries.filter((entry) => !isEnded(entry)) };
}

/** Bytes as the text that is in them. */
function legible(document: Document): string {
  return JSON.stringify(document, (_, value) =>
    typeof value?.$binary?.base64 === "string" ? Buffer.from(value.$binary.base64, "base64").toString("utf8") : value,
  );
}

const holdsOnly = (document: Document, fields: readonly string[]): boolean =>
  Object.keys(document).every((field) => fields.includes(field));
