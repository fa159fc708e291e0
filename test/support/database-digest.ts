import { createHash } from "node:crypto";
import { BSON, type Db } from "mongodb";

/**
 * All that is stored, but for what servers write without being asked: each collection's number of documents and a hash of
 * them, to be compared with an earlier one.
 */
export async function databaseDigest(db: Db): Promise<Record<string, string>> {
  const digest: Record<string, string> = {};
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (name === "servers") continue;
    const documents = await db.collection(name).find({}).sort({ _id: 1 }).toArray();
    const hash = createHash("sha256").update(BSON.EJSON.stringify(documents)).digest("hex");
    digest[name] = `${documents.length} documents, ${hash.slice(0, 16)}`;
  }
  return digest;
}
