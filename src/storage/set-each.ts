import type { Collection, Document, Filter, UpdateFilter } from "mongodb";

/** A change of one document by its `_id`, should it still be as the guard says. */
export interface GuardedSet {
  readonly _id: string;
  /** Fields that must have these values. */
  readonly is: Readonly<Record<string, string>>;
  /** A field that must have this value, or none yet. */
  readonly isIfAny?: { readonly field: string; readonly value: string };
  /** A number that must be smaller than that. */
  readonly below?: { readonly field: string; readonly limit: number };
  readonly set: Document;
}

/**
 * Carries out each by itself, with one command, which costs an engine a third of what they would cost one by one. Answers whether
 * all of them have changed something; when not all have, nobody knows which. No two of them may name the same document.
 *
 * Each is atomic, all together are not, and the driver does not repeat them. Behind a router they are one update each: one update of
 * many that meets a move of documents between shards may meet one of them twice.
 */
export async function setEach<T extends Document & { _id: string }>(
  collection: Pick<Collection<T>, "updateOne" | "updateMany" | "bulkWrite">,
  changes: readonly GuardedSet[],
  isSharded: boolean,
): Promise<boolean> {
  if (changes.length === 1) {
    const { filter, update } = updateOf<T>(changes[0]!);
    return (await collection.updateOne(filter, update)).matchedCount === 1;
  }
  const { modifiedCount } = isSharded
    ? await collection.bulkWrite(
        changes.map((change) => ({ updateOne: updateOf<T>(change) })),
        { ordered: false },
      )
    : await collection.updateMany({ _id: { $in: changes.map(({ _id }) => _id) } } as Filter<T>, pipelineOf(changes));
  return modifiedCount === changes.length;
}

const updateOf = <T extends Document>({ _id, is, isIfAny, below, set }: GuardedSet) => ({
  filter: {
    _id,
    ...is,
    ...(isIfAny && { [isIfAny.field]: { $in: [null, isIfAny.value] } }),
    ...(below && { [below.field]: { $lt: below.limit } }),
  } as unknown as Filter<T>,
  update: { $set: set } as unknown as UpdateFilter<T>,
});

/** Each document gets what is at its place in the list of ids. The update's filter must keep all others out: their place is -1, the last one's. */
function pipelineOf(changes: readonly GuardedSet[]): Document[] {
  const place = { $indexOfArray: [{ $literal: changes.map(({ _id }) => _id) }, "$_id"] };
  const its = (values: readonly unknown[]) => ({ $arrayElemAt: [{ $literal: values }, place] });
  const [{ is, isIfAny, below }] = changes as readonly [GuardedSet];
  const guards: object[] = Object.keys(is).map((field) => ({
    $eq: [`$${field}`, its(changes.map((change) => change.is[field]))],
  }));
  if (isIfAny) {
    const value = `$${isIfAny.field}`;
    const wanted = its(changes.map((change) => change.isIfAny!.value));
    guards.push({ $or: [{ $eq: [value, wanted] }, { $eq: [value, null] }] });
  }
  if (below) guards.push({ $lt: [`$${below.field}`, its(changes.map((change) => change.below!.limit))] });
  const changed = { $mergeObjects: ["$$ROOT", its(changes.map(({ set }) => set))] };
  return [{ $replaceWith: { $cond: [{ $and: guards }, changed, "$$ROOT"] } }];
}
