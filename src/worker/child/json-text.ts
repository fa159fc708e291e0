/**
 * A value of a graph as JSON text. It never throws, and has a defined form for what JSON has not:
 * messages `{type, content, id, …}`; errors `{name, message}`; BigInt its digits as a string; bytes base64; a Map whose keys are
 * all texts an object, any other a list of its pairs, so that none takes another's place; Set a list; a cycle "[Circular]"; functions, symbols and undefined as `JSON.stringify` treats them (left out, null in a list); what
 * throws while it is read "[Unreadable: …]".
 */
export function toJsonText(value: unknown): string {
  try {
    return JSON.stringify(value, replace) ?? "null";
  } catch {
    return JSON.stringify(plain(value, new Set())) ?? "null";
  }
}

/** JSON.stringify has applied `toJSON` to `value` already; the holder still has the original. */
function replace(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return special(original) ?? value;
}

/** The JSON form of the kinds that have one of their own; undefined for all others. */
function special(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return undefined;
  if (typeof (value as { toDict?: unknown }).toDict === "function") return flatMessage(value as Message);
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof Map) return hasOnlyTexts(value.keys()) ? Object.fromEntries(value) : [...value];
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  return undefined;
}

function hasOnlyTexts(keys: Iterable<unknown>): boolean {
  for (const key of keys) if (typeof key !== "string") return false;
  return true;
}

interface Message {
  toDict(): { readonly type: string; readonly data: object };
}

function flatMessage(message: Message): object {
  const { type, data } = message.toDict();
  return { ...data, type };
}

/** The slow way, for values on which JSON.stringify gave up: a copy without what stopped it. */
function plain(value: unknown, above: Set<unknown>): unknown {
  try {
    const form = special(value) ?? value;
    if (typeof form !== "object" || form === null) return form;
    if (above.has(value)) return "[Circular]";
    above.add(value);
    const toJson = (form as { toJSON?: unknown }).toJSON;
    const source = typeof toJson === "function" ? toJson.call(form) : form;
    const copy = copyOf(source, above);
    above.delete(value);
    return copy;
  } catch (error) {
    above.delete(value);
    return `[Unreadable: ${error instanceof Error ? error.message : String(error)}]`;
  }
}

function copyOf(source: unknown, above: Set<unknown>): unknown {
  if (typeof source !== "object" || source === null) return source;
  if (Array.isArray(source)) return source.map((item) => plain(item, above));
  // Of pairs, since a field that is named "__proto__" would otherwise become the copy's prototype.
  return Object.fromEntries(Object.keys(source).map((key) => [key, plain(readProperty(source, key), above)]));
}

/** Reads a property whose getter may throw. */
function readProperty(source: object, key: string): unknown {
  try {
    return (source as Record<string, unknown>)[key];
  } catch (error) {
    return `[Unreadable: ${error instanceof Error ? error.message : String(error)}]`;
  }
}
