import { fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { BodyError } from "./body-error.ts";

/** JSON bytes in answers whose clients want them as `Payload.value`. */
const late = new WeakSet<Uint8Array>();

/** Says that these bytes are to become a google.protobuf.Value when their answer is written, and not before: it takes many times as long. */
export function valueLater(bytes: Uint8Array): Uint8Array {
  late.add(bytes);
  return bytes;
}

export const isLateValue = (bytes: Uint8Array): boolean => late.has(bytes);

/**
 * Each JSON text as a google.protobuf.Value with its length, as it stands in a binary message. Throws BodyError `too_large` as
 * soon as they have more than `most` bytes together.
 */
export function valueBytes(texts: readonly Uint8Array[], most: number): Uint8Array[] {
  let bytes = 0;
  return texts.map((text) => {
    const json = JSON.parse(new TextDecoder().decode(text)) as JsonValue;
    const value = new BinaryWriter().bytes(toBinary(ValueSchema, fromJson(ValueSchema, json))).finish();
    bytes += value.length;
    if (bytes > most) throw new BodyError("too_large", `has more than ${most} bytes`);
    return value;
  });
}
