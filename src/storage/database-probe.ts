import type { Db } from "mongodb";

const limitMs = 3_000;

/**
 * Asks the database for a document that every database of Reins has; rejects when that is not answered in time. There is one such
 * read at a time, however many ask: whoever comes meanwhile waits for its answer.
 *
 * @param db on the connections that runs use, so that it says how these are.
 */
export function createDatabaseProbe(db: Db): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  async function read(): Promise<void> {
    try {
      await db.collection<{ _id: string }>("meta").findOne({ _id: "schema" }, { timeoutMS: limitMs });
    } finally {
      underWay = undefined;
    }
  }
  return () => {
    underWay ??= read();
    return underWay;
  };
}
