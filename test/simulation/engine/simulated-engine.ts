import { isDeepStrictEqual } from "node:util";
import { MongoBulkWriteError, MongoServerError } from "mongodb";
import { compare } from "./compare.ts";
import { copyOf } from "./copy-of.ts";
import { type Doc, type Filter, matches } from "./matches.ts";
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
  /** Only what it has changed is answered. */
  readonly isChangedOnly?: boolean;
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

  /** Throws when the `_id` is taken. */
  insertOne(collection: string, doc: Doc): void {
    if (this.at(collection, doc._id)) throw duplicate();
    this.#put(collection, undefined, copyOf(doc));
  }

  /**
   * Inserts one document with each `next`. `finish` throws when one or more were there already: the others are inserted, if they are
   * `ordered` those before the first of them.
   */
  insertion(collection: string, documents: readonly Doc[], ordered: boolean) {
    const taken: { index: number; code: number }[] = [];
    let insertedCount = 0;
    let index = 0;
    return {
      next: (): void => {
        const doc = documents[index]!;
        if (ordered && taken.length > 0) return;
        if (this.at(collection, doc._id)) taken.push({ index, code: 11000 });
        else {
          this.#put(collection, undefined, copyOf(doc));
          insertedCount += 1;
        }
        index += 1;
      },
      finish(): number {
        if (taken.length === 0) return insertedCount;
        const result = { insertedCount, getWriteConcernError: () => undefined };
        const error = { message: duplicateKey, code: 11000, writeErrors: taken as never };
        throw new MongoBulkWriteError(error, result as never);
      },
    };
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

  count(collection: string, filter: Filter, { limit }: FindOptions = {}): number {
    return [...this.#matching(collection, filter)].slice(0, limit).length;
  }

  update(
    collection: string,
    filter: Filter,
    update: Update,
    many: boolean,
    { upsert, isChangedOnly }: UpdateOptions = {},
  ): Doc[] {
    const now = this.#time();
    const found = [...this.#matching(collection, filter)].slice(0, many ? undefined : 1);
    if (found.length === 0 && upsert) {
      if (this.at(collection, filter._id as string)) throw duplicate();
      const born = updated({ _id: filter._id as string }, update, now, true);
      this.#put(collection, undefined, born);
      return [copyOf(born)];
    }
    return found.flatMap((before) => {
      const after = updated(before, update, now);
      if (isChangedOnly && isDeepStrictEqual(before, after)) return [];
      this.#put(collection, before, after);
      return [copyOf(after)];
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

  /** By which expressions go. */
  #time(): Date {
    return new Date(Math.floor(this.#now()));
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
    const now = this.#time();
    if (typeof filter._id === "string") {
      const doc = documents.get(filter._id);
      if (doc && matches(doc, filter, now)) yield doc;
      return;
    }
    for (const doc of documents.values()) if (matches(doc, filter, now)) yield doc;
  }

  #put(collection: string, before: Doc | undefined, after: Doc): void {
    this.#documents(collection).set(after._id, after);
    this.#written({ collection, before, after });
  }
}

const duplicateKey = "E11000 duplicate key error";
const duplicate = () => new MongoServerError({ message: duplicateKey, code: 11000 });
