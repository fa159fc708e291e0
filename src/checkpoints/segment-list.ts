import type { ChannelValue, SegmentRecord, SerializedValue } from "./journal-port.ts";
import { packSegment, segmentBytes, unpackSegment } from "./packed-segment.ts";

/** Values up to this size stand in the checkpoint itself. */
const inlineBytes = 256;
/** A value that shares less than this with the former one is stored anew. */
const minShared = 0.3;
/** So many neighbours of a size are merged into one of the next size, which keeps a value's list short. */
const mergeWidth = 8;

/** A value as it was stored, to build the next one on. */
export interface StoredValue {
  readonly serialized: SerializedValue;
  readonly value: ChannelValue;
}

interface Part {
  readonly segmentId: string;
  readonly length: number;
}

/**
 * Stores a value as the bytes that the former value does not begin with, so a list that grows costs what was appended. It
 * compares bytes and knows nothing of reducers, so edits and removals come out right as well.
 */
export function storeValue(
  serialized: SerializedValue,
  former?: StoredValue,
): { stored: StoredValue; segments: readonly SegmentRecord[] } {
  const { type, bytes } = serialized;
  if (bytes.length <= inlineBytes) return { stored: { serialized, value: { inline: serialized } }, segments: [] };
  const formerParts = former && "parts" in former.value ? former.value.parts : [];
  const shared = formerParts.length > 0 ? commonPrefix(former!.serialized.bytes, bytes) : 0;
  if (shared === bytes.length && shared === former!.serialized.bytes.length && type === former!.serialized.type) {
    return { stored: former!, segments: [] };
  }

  const reused = shared < minShared * bytes.length ? [] : firstBytes(formerParts, shared);
  const lengths = merge([...reused.map(({ length }) => length), ...cut(bytes.length - totalLength(reused))]);
  const segments: SegmentRecord[] = [];
  const parts: Part[] = [];
  let offset = 0;
  for (const [index, length] of lengths.entries()) {
    const part = reused[index];
    // Only the end of the list is ever merged, so equal length at the same index means the same bytes.
    if (part?.length === length) parts.push(part);
    else {
      const segment = packSegment(bytes.subarray(offset, offset + length));
      segments.push(segment);
      parts.push({ segmentId: segment.segmentId, length });
    }
    offset += length;
  }
  return { stored: { serialized, value: { type, parts } }, segments };
}

/** The bytes of a stored value; throws when some are missing, since LangGraph would quietly rebuild the value otherwise. */
export function loadValue(value: ChannelValue, segments: Readonly<Record<string, Uint8Array>>): SerializedValue {
  if ("inline" in value) return value.inline;
  const parts = value.parts.map(({ segmentId, length }) => {
    const stored = segments[segmentId];
    const bytes = stored && unpackSegment({ segmentId, bytes: stored });
    if (bytes === undefined || bytes.length < length)
      throw new Error(`Bytes of a checkpoint are missing: ${segmentId}`);
    return bytes.subarray(0, length);
  });
  return { type: value.type, bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts) };
}

const totalLength = (parts: readonly Part[]): number => parts.reduce((sum, { length }) => sum + length, 0);

/** The beginning of a list of parts; the last one may be used in part. */
function firstBytes(parts: readonly Part[], wanted: number): Part[] {
  const first: Part[] = [];
  let left = wanted;
  for (const { segmentId, length } of parts) {
    if (left === 0) break;
    first.push({ segmentId, length: Math.min(length, left) });
    left -= Math.min(length, left);
  }
  return first;
}

function cut(length: number): number[] {
  const whole = Math.floor(length / segmentBytes);
  const rest = length - whole * segmentBytes;
  return [...Array<number>(whole).fill(segmentBytes), ...(rest > 0 ? [rest] : [])];
}

/** Merges at the end of the list as long as there are enough neighbours no larger than the last one's size class. */
function merge(lengths: readonly number[]): number[] {
  const merged = [...lengths];
  for (;;) {
    const level = sizeClass(merged.at(-1)!);
    const start = merged.findLastIndex((length) => sizeClass(length) > level) + 1;
    const tail = merged.slice(start);
    const sum = tail.reduce((total, length) => total + length, 0);
    if (tail.length < mergeWidth || sum > segmentBytes) return merged;
    merged.splice(start, tail.length, sum);
  }
}

const sizeClass = (length: number): number => Math.floor(Math.log(Math.max(length, 512) / 512) / Math.log(mergeWidth));

/** How many bytes two arrays begin with in common; native comparisons of halves, so that megabytes cost little. */
function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const left = Buffer.from(a.buffer, a.byteOffset, a.byteLength);
  const right = Buffer.from(b.buffer, b.byteOffset, b.byteLength);
  const equal = (from: number, to: number) => left.compare(right, from, to, from, to) === 0;
  let same = 0;
  let differs = Math.min(a.length, b.length);
  if (equal(0, differs)) return differs;
  while (differs - same > 1) {
    const middle = (same + differs) >>> 1;
    if (equal(same, middle)) same = middle;
    else differs = middle;
  }
  return same;
}
