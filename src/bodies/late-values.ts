import { fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { mostValueDepth } from "../domain/check-metadata.ts";
import { BodyError } from "./body-error.ts";

/** JSON bytes in answers whose clients want them as `Payload.value`. */
const late = new WeakSet<Uint8Array>();

/** Says that these bytes are to become a google.protobuf.Value when their answer is written, and not before: it takes many times as long. */
export function valueLater(bytes: Uint8Array): Uint8Array {
  late.add(bytes);
  return bytes;
}

export const isLateValue = (bytes: Uint8Array): boolean => late.has(bytes);

const [quote, backslash] = [0x22, 0x5c];

/** Whether a JSON text is nested deeper than a client can read it as a google.protobuf.Value. */
export function isTooDeepForValue(text: Uint8Array): boolean {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte === quote) at = endOfText(bytes, at);
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > mostValueDepth) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return false;
}

/** Where the text ends whose opening quote stands there. Found by the runtime, since most of a large value is text. */
function endOfText(bytes: Buffer, from: number): number {
  for (let at = from; ; ) {
    at = bytes.indexOf(quote, at + 1);
    if (at < 0) return bytes.length;
    let escapes = 0;
    while (bytes[at - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
}

/**
 * Each JSON text as a google.protobuf.Value with its length, as it stands in a binary message; undefined for one that is too deep.
 * Throws BodyError `too_large` as soon as they have more than `most` bytes together.
 */
export function valueBytes(texts: readonly Uint8Array[], most: number): (Uint8Array | undefined)[] {
  let bytes = 0;
  return texts.map((text) => {
    if (isTooDeepForValue(text)) {
      bytes += text.length;
      if (bytes > most) throw new BodyError("too_large", `has more than ${most} bytes`);
      return undefined;
    }
    const json = JSON.parse(new TextDecoder().decode(text)) as JsonValue;
    const value = new BinaryWriter().bytes(toBinary(ValueSchema, fromJson(ValueSchema, json))).finish();
    bytes += value.length;
    if (bytes > most) throw new BodyError("too_large", `has more than ${most} bytes`);
    return value;
  });
}
