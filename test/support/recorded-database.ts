import { readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { BSON, type Db, type Document } from "mongodb";

/** What scripts/record-database.ts has written. */
export interface Recorded {
  readonly recordedAt: number;
  /** Threads whose runs are over, by what they are about. */
  readonly over: Readonly<Record<string, { readonly thread: string; readonly runs: readonly string[] }>>;
  readonly live: Readonly<Record<string, { readonly thread: string; readonly run: string }>>;
  readonly repeated: {
    readonly thread: string;
    readonly request: string;
    readonly steps: readonly string[];
    readonly run: string;
  };
  /** What the server of then answered about what is over. */
  readonly answers: {
    readonly path: string;
    readonly body?: object | undefined;
    /** The event that a stream is read from. */
    readonly after?: string | undefined;
    readonly status: number;
    readonly text: string;
  }[];
  /** Extended JSON. */
  readonly collections: Document;
}

export const recordedGraphs = new URL("../fixtures/agents/langgraph.json", import.meta.url);

/** When what is stored goes; everything else stands as it was recorded. */
const expiries = ["expire_at", "events_expire_at", "buried_at", "removed_at"];

/** Puts a recorded database into an empty one, as if it had been recorded just now: what is to expire does so later. */
export async function loadRecorded(db: Db, version: number, webhooks = "127.0.0.1:9"): Promise<Recorded> {
  const file = new URL(`../fixtures/schema-${version}/database.ejson.zst`, import.meta.url);
  const text = zstdDecompressSync(readFileSync(file)).toString("utf8");
  const recorded: Recorded = JSON.parse(text.replaceAll("http://127.0.0.1:9/", `http://${webhooks}/`));
  const collections: Record<string, Document[]> = BSON.EJSON.deserialize(recorded.collections, { relaxed: false });
  const passed = Date.now() - recorded.recordedAt;
  for (const [name, documents] of Object.entries(collections)) {
    if (documents.length > 0) await db.collection(name).insertMany(documents.map((one) => later(one, passed)));
  }
  return recorded;
}

function later(document: Document, passed: number): Document {
  const moved = expiries.filter((name) => document[name] instanceof Date);
  return { ...document, ...Object.fromEntries(moved.map((name) => [name, new Date(+document[name] + passed)])) };
}
