import { z } from "zod";
import { isPlainData } from "../checkpoints/checkpoint-metadata.ts";
import type {
  ChannelValue,
  CheckpointRecord,
  JournalFlush,
  JournalListQuery,
  JournalReadQuery,
  PendingWriteRecord,
  SegmentRecord,
} from "../checkpoints/journal-port.ts";

/** Every field of the port's type: what a shape does not name would be dropped. */
export type Shape<T> = { readonly [Field in keyof Required<T>]: z.ZodType<T[Field]> };

const bytes = z.instanceof(Uint8Array);
const count = z.int().nonnegative();
const serialized = z.object({ type: z.string(), bytes });

const value = z.union([
  z.object({ inline: serialized }),
  z.object({ type: z.string(), parts: z.array(z.object({ segmentId: z.string(), length: count })) }),
]) satisfies z.ZodType<ChannelValue>;

/** As JSON has them: they are stored as JSON text. */
const fields = z.record(
  z.string(),
  z.custom<unknown>((one) => isPlainData(one), "must be what JSON carries"),
);

const checkpoint = z.object({
  namespace: z.string(),
  checkpointId: z.string(),
  parentCheckpointId: z.string().optional(),
  checkpoint: serialized,
  metadata: serialized,
  metadataFields: fields,
  values: z.record(z.string(), value),
} satisfies Shape<CheckpointRecord>);

const write = z.object({
  namespace: z.string(),
  checkpointId: z.string(),
  taskId: z.string(),
  taskPath: z.string(),
  // Negative for what is no channel of the graph: an error, an interrupt.
  index: z.int(),
  channel: z.string(),
  value,
} satisfies Shape<PendingWriteRecord>);

const flush = z.object({
  flushId: z.string(),
  checkpoints: z.array(checkpoint),
  writes: z.array(write),
  segments: z.array(z.object({ segmentId: z.string(), bytes } satisfies Shape<SegmentRecord>)),
} satisfies Shape<JournalFlush>);

const read = z.object({
  namespace: z.string(),
  checkpointId: z.string().optional(),
  includeKept: z.boolean().optional(),
} satisfies Shape<JournalReadQuery>);

const list = z.object({
  namespace: z.string().optional(),
  checkpointId: z.string().optional(),
  beforeCheckpointId: z.string().optional(),
  limit: z.number().positive().optional(),
  includeKept: z.boolean().optional(),
  // Any value: it is compared and never stored.
  metadata: z.record(z.string(), z.unknown()).optional(),
} satisfies Shape<JournalListQuery>);

/** The calls of a JournalPort, with the fields that every request has. */
export function journalRequests<Shape extends z.ZodRawShape>(request: Shape) {
  return [
    z.object({ ...request, method: z.literal("append"), args: z.tuple([flush]) }),
    z.object({ ...request, method: z.literal("read"), args: z.tuple([read]) }),
    z.object({ ...request, method: z.literal("list"), args: z.tuple([list]) }),
  ] as const;
}
