import type { Lane } from "../../../src/domain/thread/entry.ts";
import type { JournalDocument } from "../../../src/storage/journal-documents.ts";
import type { RunDocument } from "../../../src/storage/run-document.ts";
import type { ThreadDocument } from "../../../src/storage/thread-document.ts";
import type { SimulatedEngine } from "../engine/simulated-engine.ts";

/** What is stored, seen from outside, at no cost for those who are watched. */
export const threadAt = (engine: SimulatedEngine, threadId: string): ThreadDocument | undefined => {
  const doc = engine.at("threads", threadId) as unknown as ThreadDocument | undefined;
  return doc?.rev === undefined ? undefined : doc;
};

export const laneOf = (doc: ThreadDocument | undefined): Lane =>
  doc?.rev === undefined ? { n: 0, entries: [] } : (JSON.parse(doc.lane) as Lane);

export const recordAt = (engine: SimulatedEngine, runId: string): RunDocument | undefined =>
  engine.at("runs", runId) as unknown as RunDocument | undefined;

export const tombstoneAt = (engine: SimulatedEngine, runId: string): RunDocument | undefined =>
  engine.at("tombstones", runId) as unknown as RunDocument | undefined;

/** The newest checkpoint that a reader finds, other than in `except`. */
export function newestCheckpoint(engine: SimulatedEngine, journal: string, except?: string) {
  let newest: JournalDocument | undefined;
  for (const doc of engine.all("checkpoints") as Iterable<unknown> as Iterable<JournalDocument>) {
    if (doc.journal !== journal || doc._id === except || !doc.checkpoints?.length || doc.kept) continue;
    if (!newest || doc.slot > newest.slot) newest = doc;
  }
  return newest?.checkpoints?.at(-1);
}

/** What a run has stored and what is still there. */
export function leftOf(engine: SimulatedEngine, runId: string): string[] {
  const left: string[] = [];
  for (const doc of engine.all("checkpoints")) if (doc.run_id === runId && doc.fences === undefined) left.push(doc._id);
  for (const doc of engine.all("run_events")) if (doc.run_id === runId && doc.gate === false) left.push(doc._id);
  return left;
}
