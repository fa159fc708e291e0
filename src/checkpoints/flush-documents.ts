import type { JournalDocument } from "../storage/journal-documents.ts";
import { toCheckpointEntry, toWriteEntry } from "./journal-entries.ts";
import type { ChannelValue, JournalFlush } from "./journal-port.ts";

/**
 * Far below the 16 MB that MongoDB takes: the embedded engine, with its cache of 64 MB, stalled for good on a series of
 * documents of 8 MB, and took 150 values of 20 MB in documents of this size.
 */
export const documentBytes = 2 * 1024 * 1024;

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
    yield { kind: "writes", entry: toWriteEntry(write), bytes: writeBytes(write) };
  }
  for (const record of flush.checkpoints) {
    yield { kind: "checkpoints", entry: toCheckpointEntry(record), bytes: checkpointBytes(record) };
  }
}

/** What a flush takes in documents. */
export function contentBytes({ segments = [], writes = [], checkpoints = [] }: Partial<JournalFlush>): number {
  let bytes = 0;
  for (const segment of segments) bytes += segment.bytes.length + overhead;
  for (const write of writes) bytes += writeBytes(write);
  for (const record of checkpoints) bytes += checkpointBytes(record);
  return bytes;
}

const writeBytes = (write: JournalFlush["writes"][number]): number => valueBytes(write.value) + overhead;

function checkpointBytes({ checkpoint, metadata, values }: JournalFlush["checkpoints"][number]): number {
  let bytes = checkpoint.bytes.length + 2 * metadata.bytes.length + overhead;
  for (const value of Object.values(values)) bytes += valueBytes(value);
  return bytes;
}

const overhead = 256;
const partBytes = 64;

const valueBytes = (value: ChannelValue): number =>
  "inline" in value ? value.inline.bytes.length + partBytes : value.parts.length * partBytes;
