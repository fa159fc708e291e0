import { createHash } from "node:crypto";
import type { Db } from "mongodb";
import { broughtUp, comparable, type DumpOptions } from "./dump.ts";

/**
 * All that is stored, but for what servers write without being asked, and the audit of what was wanted: each collection's number of documents and a hash of
 * them, to be compared with an earlier one. `exceptEventsOf`: as in a dump.
 */
export async function databaseDigest(
  db: Db,
  { exceptEventsOf }: Pick<DumpOptions, "exceptEventsOf"> = {},
): Promise<Record<string, string>> {
  if (exceptEventsOf !== undefined) await broughtUp(db, exceptEventsOf);
  const withoutEvents = exceptEventsOf === undefined ? {} : { run_id: { $ne: exceptEventsOf } };
  const digest: Record<string, string> = {};
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (["servers", "audit"].includes(name)) continue;
    const filter = name === "run_events" ? withoutEvents : {};
    const stored = await db.collection(name).find(filter).sort({ _id: 1 }).toArray();
    const documents = stored.map((document) => comparable(name, document));
    const hash = createHash("sha256").update(JSON.stringify(documents)).digest("hex");
    digest[name] = `${documents.length} documents, ${hash.slice(0, 16)}`;
  }
  return digest;
}
