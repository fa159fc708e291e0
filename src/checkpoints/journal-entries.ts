import type { CheckpointEntry, ValueEntry, WriteEntry } from "../storage/journal-documents.ts";
import type { ChannelValue, CheckpointRecord, PendingWriteRecord } from "./journal-port.ts";

/** Between the port's records and what the journal's documents hold. Names that users choose never become field names. */

export const toCheckpointEntry = (record: CheckpointRecord): CheckpointEntry => ({
  ns: record.namespace,
  id: record.checkpointId,
  ...(record.parentCheckpointId !== undefined && { parent: record.parentCheckpointId }),
  checkpoint: record.checkpoint,
  metadata: record.metadata,
  ...fieldsApart(record),
  values: Object.entries(record.values).map(([channel, value]) => ({ channel, ...toValueEntry(value) })),
});

export const toCheckpointRecord = (entry: CheckpointEntry): CheckpointRecord => ({
  namespace: entry.ns,
  checkpointId: entry.id,
  ...(entry.parent !== undefined && { parentCheckpointId: entry.parent }),
  checkpoint: { type: entry.checkpoint.type, bytes: entry.checkpoint.bytes! },
  metadata: { type: entry.metadata.type, bytes: entry.metadata.bytes! },
  metadataFields: fieldsOf(entry),
  values: Object.fromEntries(entry.values.map((value) => [value.channel, toChannelValue(value)])),
});

export const fieldsOf = ({ fields, metadata }: Pick<CheckpointEntry, "fields" | "metadata">): Record<string, unknown> =>
  JSON.parse(fields ?? textOf(metadata.bytes!));

/** Most metadata is JSON with nothing else in it, so that its fields need not be stored once more. */
function fieldsApart({ metadata, metadataFields }: CheckpointRecord): Pick<CheckpointEntry, "fields"> {
  const fields = JSON.stringify(metadataFields);
  return metadata.type === "json" && textOf(metadata.bytes) === fields ? {} : { fields };
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export const toWriteEntry = (record: PendingWriteRecord): WriteEntry => ({
  ns: record.namespace,
  checkpoint: record.checkpointId,
  task: record.taskId,
  path: record.taskPath,
  index: record.index,
  channel: record.channel,
  ...toValueEntry(record.value),
});

export const toWriteRecord = (entry: WriteEntry): PendingWriteRecord => ({
  namespace: entry.ns,
  checkpointId: entry.checkpoint,
  taskId: entry.task,
  taskPath: entry.path,
  index: entry.index,
  channel: entry.channel,
  value: toChannelValue(entry),
});

function toValueEntry(value: ChannelValue): ValueEntry {
  if ("inline" in value) return value.inline;
  return { type: value.type, parts: value.parts.map(({ segmentId, length }) => ({ segment: segmentId, length })) };
}

function toChannelValue({ type, bytes, parts }: ValueEntry): ChannelValue {
  if (parts === undefined) return { inline: { type, bytes: bytes! } };
  return { type, parts: parts.map(({ segment, length }) => ({ segmentId: segment, length })) };
}

/** The segments that a document's checkpoints and writes refer to. */
export function* segmentsReferred(document: {
  readonly checkpoints?: readonly CheckpointEntry[];
  readonly writes?: readonly WriteEntry[];
}): Generator<string> {
  for (const { values } of document.checkpoints ?? []) for (const value of values) yield* segmentIds(value);
  for (const write of document.writes ?? []) yield* segmentIds(write);
}

function* segmentIds({ parts }: ValueEntry): Generator<string> {
  for (const { segment } of parts ?? []) yield segment;
}
