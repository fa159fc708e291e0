import type { AnyBulkWriteOperation, Collection, Document, Filter } from "mongodb";
import { pagesOf } from "../../domain/pages-of.ts";
import type { MigrationWork } from "./migration.ts";

/** What becomes of a document that still has the old form, which the filter says. */
export interface Rewriting<T extends Document> {
  readonly is: Filter<T>;
  readonly update: Document | Document[];
}

/**
 * Brings the documents of a collection into the new form, in the order of their ids, a page at a time, and stores where it has come to.
 * Undefined for one that is as it should be.
 */
export async function rewriteEach<T extends Document & { _id: string }>(
  collection: Collection<T>,
  rewriting: (document: T) => Rewriting<T> | undefined,
  work: MigrationWork,
  pageSize = 200,
): Promise<void> {
  const step = collection.collectionName;
  const place = work.placeOf(step) ?? "";
  let seen = 0;
  const pages = pagesOf<T>(pageSize, async ({ limit, after }) => {
    const behind = { _id: { $gt: after?._id ?? place } } as Filter<T>;
    return (await collection.find(behind).sort({ _id: 1 }).limit(limit).toArray()) as T[];
  });
  for await (const documents of pages) {
    work.signal.throwIfAborted();
    const writes = documents.flatMap((document): AnyBulkWriteOperation<T>[] => {
      const found = rewriting(document);
      if (!found) return [];
      return [{ updateOne: { filter: { ...found.is, _id: document._id } as Filter<T>, update: found.update } }];
    });
    if (writes.length > 0) await collection.bulkWrite(writes, { ordered: false });
    await work.reached(step, documents.at(-1)!._id);
    seen += documents.length;
    work.progress(`${seen} documents of ${step} done`);
  }
}
