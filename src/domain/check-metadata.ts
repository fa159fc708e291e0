import { DomainError } from "./errors.ts";
import { isObject } from "./is-object.ts";

/** The largest free data that a client may leave, as JSON text: the database's documents end at 16 MB. */
export const maxStoredBytes = 8 * 1024 * 1024;

/** The most metadata, where nothing else is configured: it is read with every list. */
export const defaultMetadataBytes = 64 * 1024;

/** The database takes documents of 100 levels, and free data stands some levels deep in its own. */
const maxDepth = 64;

/**
 * How deep what travels as a google.protobuf.Value or Struct may be nested: metadata, without which a whole page of a list could not be
 * read. Clients read messages of at most 100 levels (protobuf's default in C++, Java and Python:
 * https://protobuf.dev/programming-guides/proto-limits/), an object takes three of them, and what stands around it some more.
 */
export const mostValueDepth = 30;

/** Each field is found by a token of its own (see search-tokens.ts). A list is one field, whatever it holds. */
const maxFields = 1000;

/** Throws INVALID_FIELD or INPUT_TOO_LARGE for metadata that cannot be stored, searched, or read as JSON again. */
export function checkMetadata(
  metadata: Readonly<Record<string, unknown>>,
  field: string,
  maxBytes = defaultMetadataBytes,
): void {
  checkData(metadata, field, maxBytes, mostValueDepth);
  const fields = countFields(metadata);
  if (fields > maxFields) throw invalid(field, `has ${fields} fields; at most ${maxFields} are allowed`);
}

/** Each value takes some bytes of its own in the database, more than in JSON. */
const maxValues = 200_000;

/** The same for other free data, which nothing is found by. */
export function checkData(data: object, field: string, maxBytes = maxStoredBytes, most = maxDepth): void {
  const values = checkValue(data, field, most);
  if (values > maxValues) throw invalid(field, `has ${values} values; at most ${maxValues} are allowed`);
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes > maxBytes) throw tooLarge(field, `it has ${bytes} bytes of JSON`, maxBytes);
}

function countFields(value: unknown): number {
  if (!isObject(value)) return 0;
  return Object.values(value).reduce<number>((sum, inner) => sum + 1 + countFields(inner), 0);
}

/** Answers how many values there are. */
function checkValue(value: unknown, field: string, most: number, depth = 1): number {
  if (typeof value === "number" && !Number.isFinite(value)) throw invalid(field, `${value} is no number of JSON`);
  if (typeof value !== "object" || value === null) return 1;
  if (depth > most) throw invalid(field, `must not be nested deeper than ${most} levels`);
  let values = 1;
  for (const [name, inner] of Object.entries(value)) {
    if (name === "__proto__") throw invalid(field, 'the name "__proto__" is not allowed in an object');
    if (name.includes("\0")) throw invalid(field, `the name ${JSON.stringify(name)} must not hold a NUL character`);
    values += checkValue(inner, field, most, depth + 1);
  }
  return values;
}

export const tooLarge = (field: string, sentence: string, maxBytes = maxStoredBytes): DomainError =>
  new DomainError("INPUT_TOO_LARGE", `${field}: ${sentence}; at most ${maxBytes} are allowed`, {
    metadata: { field, limit_bytes: String(maxBytes) },
  });

export const invalid = (field: string, sentence: string): DomainError =>
  new DomainError("INVALID_FIELD", `${field}: ${sentence}`, { metadata: { field } });
