import { type Collection, type Document, MongoBulkWriteError, type OptionalUnlessRequiredId } from "mongodb";
import { duplicateKey, isDuplicateKey } from "./keys.ts";

/** What became of one document of an insert of many: an error is about this document alone, which is not there. */
export type Inserted = "inserted" | "taken" | Error;

/**
 * Inserts each document by itself, with one command: what becomes of one changes nothing for the others. Throws when nobody
 * knows what became of them, or none of them was looked at.
 */
export async function insertEach<T extends Document>(
  collection: Pick<Collection<T>, "insertOne" | "insertMany">,
  documents: readonly OptionalUnlessRequiredId<T>[],
): Promise<Inserted[]> {
  if (documents.length === 1) return [await insertOne(collection, documents[0]!)];
  try {
    await collection.insertMany([...documents], { ordered: false });
    return documents.map(() => "inserted");
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failed = new Map([error.writeErrors].flat().map((one) => [one.index, one]));
    if (failed.size === 0 || error.result.getWriteConcernError()) throw error;
    return documents.map((_, index) => {
      const its = failed.get(index);
      if (!its) return "inserted";
      return its.code === duplicateKey ? "taken" : new Error(its.errmsg ?? "the database refused the document");
    });
  }
}

/** Inserts those whose `_id` is free; answers how many that were. Throws when one is refused for another reason. */
export async function insertFree<T extends Document>(
  collection: Pick<Collection<T>, "insertOne" | "insertMany">,
  documents: readonly OptionalUnlessRequiredId<T>[],
): Promise<number> {
  const inserted = await insertEach(collection, documents);
  const refused = inserted.find((one) => one instanceof Error);
  if (refused) throw refused;
  return inserted.filter((one) => one === "inserted").length;
}

/** Inserts the document; false when its `_id` is taken. */
export async function insertIfFree<T extends Document>(
  collection: Pick<Collection<T>, "insertOne">,
  document: OptionalUnlessRequiredId<T>,
): Promise<boolean> {
  return (await insertOne(collection, document)) === "inserted";
}

async function insertOne<T extends Document>(
  collection: Pick<Collection<T>, "insertOne">,
  document: OptionalUnlessRequiredId<T>,
): Promise<"inserted" | "taken"> {
  try {
    await collection.insertOne(document);
    return "inserted";
  } catch (error) {
    if (isDuplicateKey(error)) return "taken";
    throw error;
  }
}
