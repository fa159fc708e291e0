import { randomUUID } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { SegmentRecord } from "./journal-port.ts";

/** No segment has more, so that each finds room in a document. */
export const segmentBytes = 1024 * 1024;
/** Fewer are not worth the time. */
const leastBytes = 512;
/** What saves less than an eighth is stored as it is. */
const mostShare = 7 / 8;
/** A segment that is stored compressed says so with its id, which whoever has its bytes has as well. */
const suffix = ".zst";

const fast = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Text, which most of a state is, takes a third to a half of its bytes, and 0.04 ms for 4 kB. */
export function packSegment(bytes: Uint8Array): SegmentRecord {
  const segmentId = randomUUID();
  if (bytes.length < leastBytes) return { segmentId, bytes };
  const packed = zstdCompressSync(bytes, fast);
  if (packed.length > bytes.length * mostShare) return { segmentId, bytes };
  return { segmentId: segmentId + suffix, bytes: packed };
}

/** The bytes that a segment was made of. Throws when they are no such segment's, or more than one has. */
export function unpackSegment({ segmentId, bytes }: SegmentRecord): Uint8Array {
  return segmentId.endsWith(suffix) ? zstdDecompressSync(bytes, { maxOutputLength: segmentBytes }) : bytes;
}
