/**
 * What the saver (in the child process) asks of the journal (in the parent). Every argument and result is plain data that
 * the structured clone carries. Which thread is meant, and with which lease token is written, is bound to the port by the
 * parent and never said by the child.
 */
export interface JournalPort {
  /**
   * Appends one flush as the journal's next document. Resolves when it is durable. A flush that is repeated with the same
   * `flushId` lands once. Rejects with a {@link FencedError} once the attempt may not write any more.
   */
  append(flush: JournalFlush): Promise<void>;
  /** The checkpoint that is asked for, or the newest of the namespace; with its pending writes and the bytes it refers to. */
  read(query: JournalReadQuery): Promise<StoredCheckpoint | undefined>;
  /** Checkpoints newest first (by slot, never by clock), with their pending writes and bytes. */
  list(query: JournalListQuery): Promise<StoredCheckpoint[]>;
  /** Empties the journal. Only where a port is its thread's sole owner (tests of the saver); children never have it. */
  clear?(): Promise<void>;
}

export interface JournalFlush {
  readonly flushId: string;
  readonly checkpoints: readonly CheckpointRecord[];
  readonly writes: readonly PendingWriteRecord[];
  readonly segments: readonly SegmentRecord[];
}

export interface JournalReadQuery {
  readonly namespace: string;
  readonly checkpointId?: string;
  /** Also finds checkpoints of deleted runs that were kept since later ones build on them. */
  readonly includeKept?: boolean;
}

export interface JournalListQuery {
  /** Without it: checkpoints of all namespaces. */
  readonly namespace?: string;
  readonly checkpointId?: string;
  readonly beforeCheckpointId?: string;
  readonly limit?: number;
  readonly includeKept?: boolean;
  /** Top-level fields of the checkpoint's metadata that must be equal. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** One value as the serializer dumped it. */
export interface SerializedValue {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** A value of a channel or a pending write: inline, or as the concatenation of prefixes of segments. */
export type ChannelValue =
  | { readonly inline: SerializedValue }
  | { readonly type: string; readonly parts: readonly { readonly segmentId: string; readonly length: number }[] };

export interface CheckpointRecord {
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentCheckpointId?: string;
  /** The checkpoint without its channel values. */
  readonly checkpoint: SerializedValue;
  readonly metadata: SerializedValue;
  /** The metadata's JSON-like top-level fields, for filters. */
  readonly metadataFields: Readonly<Record<string, unknown>>;
  readonly values: Readonly<Record<string, ChannelValue>>;
}

export interface PendingWriteRecord {
  readonly namespace: string;
  readonly checkpointId: string;
  readonly taskId: string;
  readonly taskPath: string;
  readonly index: number;
  readonly channel: string;
  readonly value: ChannelValue;
}

export interface SegmentRecord {
  readonly segmentId: string;
  readonly bytes: Uint8Array;
}

export interface StoredCheckpoint extends CheckpointRecord {
  readonly writes: readonly PendingWriteRecord[];
  /** The bytes of the segments that `values` and `writes` refer to, by segment id. */
  readonly segmentBytes: Readonly<Record<string, Uint8Array>>;
}

/** The attempt lost its right to write: it was cancelled, superseded or its lease is over. */
export class FencedError extends Error {
  override readonly name = "FencedError";
}
