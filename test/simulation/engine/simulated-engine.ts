import { MongoBulkWriteError, MongoServerError } from "mongodb";
import { copyOf } from "./copy-of.ts";
import { compare, type Doc, type Filter, matches } from "./matches.ts";
import { type Update, updated } from "./update-document.ts";

/** A change of one document, as it has just happened: `before` of none that is new, `after` of none that is gone. */
export interface Written {
  readonly collection: string;
  readonly before: Doc | undefined;
  readonly after: Doc | undefined;
}

export interface FindOptions {
  readonly sort?: Readonly<Record<string, 1 | -1>>;
  readonly limit?: number;
}

export interface UpdateOptions {
  readonly upsert?: boolean;
}

/**
 * A database in memory that does what the storage asks of MongoDB, each command at once and as a whole. It can be looked into
 * from outside without a command.
 */
export class SimulatedEngine {
  readonly #collections = new Map<string, Map<string, Doc>>();
  readonly #now: () => number;
  readonly #written: (change: Written) => void;

  constructor(now: () => number, written: (change: Written) => void) {
    this.#now = now;
    this.#written = written;
  }

  /** All documents, in the order in which they came. */
  all(collection: string): Iterable<Doc> {
    return this.#documents(collection).values();
  }

  at(collection: string, id: string): Doc | undefined {
    return this.#documents(collection).get(id);
  }

  insert(collection: string, documents: readonly Doc[]): number {
    const taken: { index: number; code: number }[] = [];
    for (const [index, doc] of documents.entries()) {
      if (this.at(collection, doc._id)) taken.push({ index, code: 11000 });
      else this.#put(collection, undefined, copyOf(doc));
    }
    if (taken.length === 0) return documents.length;
    throw duplicates(taken, documents.length);
  }

  find(collection: string, filter: Filter, { sort, limit = Number.POSITIVE_INFINITY }: FindOptions): Doc[] {
    const found = [...this.#matching(collection, filter)];
    if (sort) {
      const fields = Object.entries(sort);
      found.sort((a, b) => {
        for (const [name, direction] of fields) {
          const order = compare(a[name], b[name]) * direction;
          if (order !== 0) return order;
        }
        return 0;
      });
    }
    return (found.length > limit ? found.slice(0, limit) : found).map(copyOf);
  }

  count(collection: string, filter: Filter): number {
    return [...this.#matching(collection, filter)].length;
  }

  update(collection: string, filter: Filter, update: Update, many: boolean, { upsert }: UpdateOptions = {}): Doc[] {
    const now = new Date(Math.floor(this.#now()));
    const found = [...this.#matching(collection, filter)].slice(0, many ? undefined : 1);
    if (found.length === 0 && upsert) {
      if (this.at(collection, filter._id as string)) throw duplicates([{ index: 0, code: 11000 }], 1);
      const born = updated({ _id: filter._id as string }, update, now, true);
      this.#put(collection, undefined, born);
      return [copyOf(born)];
    }
    return found.map((before) => {
      const after = updated(before, update, now);
      this.#put(collection, before, after);
      return copyOf(after);
    });
  }

  replace(collection: string, filter: Filter, replacement: Omit<Doc, "_id">): number {
    const [before] = this.#matching(collection, filter);
    if (!before) return 0;
    this.#put(collection, before, copyOf({ ...replacement, _id: before._id }));
    return 1;
  }

  remove(collection: string, filter: Filter, many: boolean): number {
    const found = [...this.#matching(collection, filter)].slice(0, many ? undefined : 1);
    for (const doc of found) {
      this.#documents(collection).delete(doc._id);
      this.#written({ collection, before: doc, after: undefined });
    }
    return found.length;
  }

  #documents(collection: string): Map<string, Doc> {
    let documents = this.#collections.get(collection);
    if (!documents) {
      documents = new Map();
      this.#collections.set(collection, documents);
    }
    return documents;
  }

  *#matching(collection: string, filter: Filter): Generator<Doc> {
    const documents = this.#documents(collection);
    if (typeof filter._id === "string") {
      const doc = documents.get(filter._id);
      if (doc && matches(doc, filter)) yield doc;
      return;
    }
    for (const doc of documents.values()) if (matches(doc, filter)) yield doc;
  }

  #put(collection: string, before: Doc | undefined, after: Doc): void {
    this.#documents(collection).set(after._id, after);
    this.#written({ collection, before, after });
  }
}

/** As the driver tells of them: alone, or of several documents, the others of which are there. */
function duplicates(taken: readonly { index: number; code: number }[], of: number): Error {
  const message = "E11000 duplicate key error";
  if (of === 1) return new MongoServerError({ message, code: 11000, writeErrors: taken });
  const result = { insertedCount: of - taken.length, getWriteConcernError: () => undefined };
  return new MongoBulkWriteError({ message, code: 11000, writeErrors: taken as never }, result as never);
}
