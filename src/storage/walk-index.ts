import type { Collection, Document, Filter } from "mongodb";

/** By a field, and those of one value by their ids: an index that ends with both holds them in this order. */
export interface WalkOrder {
  readonly field: string;
  readonly descending?: boolean;
}

/** What a document is sorted by, and its `_id`. */
export interface Place {
  readonly value: Date | string;
  readonly id: string;
}

/**
 * The first `limit` documents of an order, or those behind a place. Behind a place these are two walks, over the rest of its value and over
 * the values beyond, since the embedded engines answer an `$or` by reading everything. Bounds of the field itself stand in the filter.
 */
export async function walkIndex<T extends Document & { _id: string }>(
  collection: Collection<T>,
  filter: Filter<T>,
  { field, descending }: WalkOrder,
  limit: number,
  after?: Place,
  projection?: Document,
): Promise<T[]> {
  const direction = descending ? -1 : 1;
  const walk = async (change: Document, most: number): Promise<T[]> =>
    (await collection
      .find({ ...filter, ...change }, { projection })
      .sort({ [field]: direction, _id: direction })
      .limit(most)
      .toArray()) as T[];
  if (!after) return walk({}, limit);

  const beyond = (name: string, value: Date | string) => ({
    [name]: { ...(filter[name] as object | undefined), [descending ? "$lt" : "$gt"]: value },
  });
  const rest = field === "_id" ? [] : await walk({ [field]: after.value, ...beyond("_id", after.id) }, limit);
  if (rest.length === limit) return rest;
  return [...rest, ...(await walk(beyond(field, after.value), limit - rest.length))];
}
