import type { JournalDocument } from "../storage/journal-documents.ts";
import { toCheckpointEntry, toWriteEntry } from "./journal-entries.ts";
import type { ChannelValue, JournalFlush } from "./journal-port.ts";

/**
 * Far below the 16 MB that MongoDB takes: the embedded engine, with its cache of 64 MB, stalled for good on a series of
 * documents of 8 MB, and took 150 values of 20 MB in documents of this size.
 */
const documentBytes = 2 * 1024 * 1024;

type Content = Required<Pick<JournalDocument, "checkpoints" | "writes" | "segments">>;
type Entry = {
  readonly [K in keyof Content]: { readonly kind: K; readonly entry: Content[K][number]; bytes: number };
}[keyof Content];

/**
 * The contents of the slots that a flush takes: one, unless it is big. Then bytes come before what refers to them and
 * pending writes before later checkpoints, so that a flush of which only the first documents land leaves the thread where
 * it was.
 */
export function flushDocuments(flush: JournalFlush, limit = documentBytes): Partial<Content>[] {
  const slots: Partial<Content>[] = [];
  let open: { -readonly [K in keyof Content]?: Content[K][number][] } = {};
  let filled = 0;
  for (const { kind, entry, bytes } of entries(flush)) {
    if (filled > 0 && filled + bytes > limit) {
      slots.push(open as Partial<Content>);
      open = {};
      filled = 0;
    }
    (open[kind] as unknown[] | undefined)?.push(entry) ?? Object.assign(open, { [kind]: [entry] });
    filled += bytes;
  }
  if (filled > 0) slots.push(open as Partial<Content>);
  return slots;
}

function* entries(flush: JournalFlush): Generator<Entry> {
  for (const { segmentId, bytes } of flush.segments) {
    yield { kind: "segments", entry: { id: segmentId, bytes }, bytes: bytes.length + overhead };
  }
  for (const write of flush.writes) {
    yield { kind: "writes", entry: toWriteEntry(write), bytes: valueBytes(write.value) + overhead };
  }
  for (const record of flush.checkpoints) {
    let bytes = record.checkpoint.bytes.length + 2 * record.metadata.bytes.length + overhead;
    for (const value of Object.values(record.values)) bytes += valueBytes(value);
    yield { kind: "checkpoints", entry: toCheckpointEntry(record), bytes };
  }
}

const overhead = 256;
const partBytes = 64;

const valueBytes = (value: ChannelValue): number =>
  "inline" in value ? value.inline.bytes.length + partBytes : value.parts.length * partBytes;
