import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** As deep as the decoder goes; what is deeper it refuses itself. */
const maxMessages = 100;

/**
 * How many fields a binary message holds, those of the messages in it included, as it would be decoded: also the unknown ones, and
 * each item of a packed list. Counting ends soon after `most`. What cannot be read counts as far as it could be.
 */
export function countFields(desc: DescMessage, bytes: Uint8Array, most: number): number {
  const reader = new BinaryReader(bytes);
  let count = 0;
  try {
    inMessage(desc.fields, bytes.length, 1);
  } catch {
    // The decoder says better what is wrong.
  }
  return count;

  function inMessage(fields: readonly DescField[], end: number, depth: number): void {
    const byNumber = new Map(fields.map((field) => [field.number, field]));
    while (reader.pos < end && count <= most) {
      const [number, type] = reader.tag();
      count += 1;
      const field = byNumber.get(number);
      if (!field || type !== WireType.LengthDelimited) {
        reader.skip(type, number, maxMessages);
        continue;
      }
      const length = reader.uint32();
      const after = reader.pos + length;
      const inner = fieldsIn(field);
      if (inner && depth < maxMessages) inMessage(inner, after, depth + 1);
      else if (isPacked(field)) count += length;
      reader.pos = after;
    }
  }
}

/** The fields of the message that a field holds; an entry of a map is such a message. */
function fieldsIn(field: DescField): readonly DescField[] | undefined {
  if (field.fieldKind === "map") {
    return field.message ? [{ ...field, fieldKind: "message", number: 2 } as unknown as DescField] : [];
  }
  return field.message?.fields;
}

/** A list of numbers, whose items have one byte at least. */
const isPacked = (field: DescField): boolean =>
  field.fieldKind === "list" &&
  (field.listKind === "enum" || (field.listKind === "scalar" && field.scalar !== 9 && field.scalar !== 12));
