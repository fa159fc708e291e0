import type { Collection, Document, Filter } from "mongodb";
import { pagesOf } from "../domain/pages-of.ts";
import { earliest } from "./keys.ts";
import { walkIndex } from "./walk-index.ts";

/** Stands beside a document that a crash may leave of no use, until it is known to be named. */
interface Note extends Document {
  readonly _id: string;
  readonly at: Date;
}

/** What one look takes. */
const chunk = 100;

/** The `_id` of a document's note. */
export const noteOf = (name: string): string => `${name}/new`;

/** The notes that were made before the time, the oldest first, a page at a time. Index: their `at` and `_id`. */
export const notesBefore = <T extends Note>(notes: Collection<T>, before: Date): AsyncGenerator<T[]> =>
  pagesOf<T>(chunk, ({ limit, after }) => {
    const old = { at: { $gte: earliest, $lt: before } } as unknown as Filter<T>;
    return walkIndex(notes, old, { field: "at" }, limit, after && { value: after.at, id: after._id });
  });
