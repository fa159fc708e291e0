import { type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Payload, PayloadSchema } from "../../gen/reins/v1/payload_pb.ts";
import { BodyError } from "./body-error.ts";
import { scanJson } from "./json-scan.ts";

/** Payloads whose JSON bytes have been read once already: by the worker, or as part of a body. */
const known = new WeakSet<Uint8Array>();

/** Says that these bytes are JSON within the limits, so that nobody reads them again to see. */
export function markChecked(bytes: Uint8Array): Uint8Array {
  known.add(bytes);
  return bytes;
}

/** The JSON text of a request's payload; undefined for none. Throws a BodyError for `field`, where the payload stands. */
export function textOf(payload: Payload | undefined, field: string): string | undefined {
  switch (payload?.encoding.case) {
    case "value":
      return valueText(payload.encoding.value, field);
    case "json":
      return checkedText(payload.encoding.value, field);
    default:
      return undefined;
  }
}

function valueText(value: Value, field: string): string {
  try {
    const json = toJson(ValueSchema, value);
    return checkNames(JSON.stringify(json), json, field);
  } catch (cause) {
    if (cause instanceof BodyError) throw cause;
    // A value of no kind, or a number such as NaN.
    throw new BodyError("field", `must be a value that JSON has (${(cause as Error).message})`, `${field}.value`);
  }
}

/** The text as its sender wrote it, when it is JSON. */
function checkedText(bytes: Uint8Array, field: string): string {
  if (known.has(bytes)) return new TextDecoder().decode(bytes);
  try {
    scanJson(bytes, Number.POSITIVE_INFINITY);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return checkNames(text, JSON.parse(text), field);
  } catch (cause) {
    if (cause instanceof BodyError && cause.fault === "field") throw cause;
    const { message } = cause as Error;
    const sentence = cause instanceof BodyError ? message : `must be JSON text in UTF-8 (${message})`;
    throw new BodyError("field", sentence, `${field}.json`);
  }
}

/**
 * Refuses the name "__proto__" at any depth: whoever copies such an object field by field, as LangGraph's serialiser does, gives the
 * copy another prototype instead of a field. Texts that cannot hold the name are not looked through.
 */
export function checkNames(text: string, value: unknown, field: string): string {
  if (mayNamePrototype.test(text) && namesPrototype(value)) {
    throw new BodyError("field", 'the name "__proto__" is not allowed in an object', field);
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

/** Calls back for each payload of a message, with its path. */
export function forEachPayload(
  desc: DescMessage,
  message: Message,
  visit: (payload: Payload, path: string) => void,
  path = "",
): void {
  if (desc.typeName === PayloadSchema.typeName) {
    visit(message as Payload, path);
    return;
  }
  for (const field of desc.fields) {
    if (!field.message || !holdsPayloads(field.message)) continue;
    const here = path === "" ? field.name : `${path}.${field.name}`;
    const value = valueAt(message as unknown as Record<string, unknown>, field);
    if (value === undefined) continue;
    if (field.fieldKind === "message") forEachPayload(field.message, value as Message, visit, here);
    else {
      const inner = field.message;
      for (const [key, one] of Object.entries(value as object)) {
        forEachPayload(inner, one as Message, visit, `${here}[${key}]`);
      }
    }
  }
}

function valueAt(message: Record<string, unknown>, field: DescMessage["fields"][number]): unknown {
  if (!field.oneof) return message[field.localName];
  const one = message[field.oneof.localName] as { case?: string; value?: unknown };
  return one.case === field.localName ? one.value : undefined;
}

const holders = new Map<DescMessage, boolean>();

/** True for a message that has a payload somewhere in it. */
function holdsPayloads(desc: DescMessage): boolean {
  const found = holders.get(desc);
  if (found !== undefined) return found;
  holders.set(desc, false);
  const holds =
    desc.typeName === PayloadSchema.typeName ||
    desc.fields.some((field) => field.message && holdsPayloads(field.message));
  holders.set(desc, holds);
  return holds;
}
