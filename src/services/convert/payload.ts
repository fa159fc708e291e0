import { create, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Payload, PayloadFormat, PayloadSchema } from "../../../gen/reins/v1/payload_pb.ts";
import { invalid } from "../../domain/check-metadata.ts";
import { DomainError } from "../../domain/errors.ts";
import type { Json } from "../../domain/run.ts";

/** The JSON text of a request's payload. `field` is its path in the request, for the error. */
export function payloadText(payload: Payload | undefined, field: string): Json | undefined {
  switch (payload?.encoding.case) {
    case "value":
      return valueText(payload.encoding.value, field);
    case "json":
      return checkedText(payload.encoding.value, field);
    default:
      return undefined;
  }
}

function valueText(value: Value, field: string): Json {
  try {
    const json = toJson(ValueSchema, value);
    return checkNames(JSON.stringify(json), json, field);
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    // A value of no kind, or a number such as NaN.
    throw notJson(`${field}.value`, `must be a value that JSON has (${(cause as Error).message})`, cause);
  }
}

/** The text as its sender wrote it, when it is JSON. */
function checkedText(bytes: Uint8Array, field: string): Json {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return checkNames(text, value, field);
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw notJson(`${field}.json`, `must be JSON text in UTF-8 (${(cause as Error).message})`, cause);
  }
}

/**
 * Refuses the name "__proto__" at any depth: whoever copies such an object field by field, as LangGraph's serialiser does, gives the
 * copy another prototype instead of a field. Texts that cannot hold the name are not looked through.
 */
function checkNames(text: string, value: unknown, field: string): string {
  if (mayNamePrototype.test(text) && namesPrototype(value)) {
    throw invalid(field, 'the name "__proto__" is not allowed in an object');
  }
  return text;
}

/** As it is, or with any of its characters escaped. */
const mayNamePrototype = /__proto__|\\u00[567]/i;

/** Without recursion, since what can be parsed may be deep. */
function namesPrototype(root: unknown): boolean {
  const left = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== "object" || value === null) continue;
    if (!Array.isArray(value) && Object.hasOwn(value, "__proto__")) return true;
    for (const inner of Object.values(value)) left.push(inner);
  }
  return false;
}

const notJson = (field: string, sentence: string, cause: unknown): DomainError =>
  new DomainError("INVALID_FIELD", `${field}: ${sentence}`, { metadata: { field }, cause });

/** How payloads go into one response. */
export type PayloadWriter = (text: Json) => Payload;

export function payloadWriter(format: PayloadFormat): PayloadWriter {
  const encoder = new TextEncoder();
  return format === PayloadFormat.JSON
    ? (text) => create(PayloadSchema, { encoding: { case: "json", value: encoder.encode(text) } })
    : (text) => create(PayloadSchema, { encoding: { case: "value", value: fromJson(ValueSchema, parse(text)) } });
}

const parse = (text: Json): JsonValue => JSON.parse(text) as JsonValue;

export const structOf = (fields: Readonly<Record<string, unknown>>): JsonObject => fields as JsonObject;
