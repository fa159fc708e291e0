import type { Collection, Document, Filter } from "mongodb";
import { createGather } from "./gather.ts";

/** Looks for documents by `_id`: those that are looked for at the same time with one command, and each of them once. */
export function createLooks<T extends { _id: string }>(documents: Collection<T>): (id: string) => Promise<T | null> {
  async function lookEach(ids: readonly string[]): Promise<(T | null)[]> {
    const different = [...new Set(ids)];
    const _id = different.length === 1 ? different[0]! : { $in: different };
    const found = await documents.find({ _id } as Filter<T>).toArray();
    const byId = new Map<string, T>(found.map((doc) => [doc._id, doc as T]));
    return ids.map((id) => byId.get(id) ?? null);
  }
  return createGather(lookEach, { documentOf: (_id): Document => ({ _id }), isUrgent: true, most: 100 });
}
