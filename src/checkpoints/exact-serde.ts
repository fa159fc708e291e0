import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";

/** A value that cannot be stored, so that its run must end: what would come back is something else. */
class UnstorableValueError extends Error {
  override readonly name = "UnstorableValueError";
}

/** The type of JSON in which data stands escaped, beside LangGraph's own "json" and "bytes". */
const escapedType = "json/escaped";
/** In place of an object that would not come back as it is: its fields as pairs. */
const mark = "__reins_fields__";
/** What LangGraph's serializer stores for whatever `JSON.stringify` throws on. */
const gaveUp = JSON.stringify("[unable to serialize, circular reference is too complex to analyze]");

type Fields = Record<string, unknown>;
type Dumped = [type: string, bytes: Uint8Array];

/**
 * LangGraph's serializer, made exact. It takes data that looks like a serialized object for one, so that an input with
 * `{"lc": 1, "type": "constructor"}` of a class that is not there could never be read again; and it stores a remark instead of
 * what has no JSON, a BigInt for example. Here such data comes back as the data that it is, and such a value is refused.
 */
export function createExactSerde(inner: SerializerProtocol): SerializerProtocol {
  async function dumpsTyped(value: unknown): Promise<Dumped> {
    const dumped = (await inner.dumpsTyped(value)) as Dumped;
    const [type, bytes] = dumped;
    if (type !== "json") return dumped;
    if (isRemark(bytes) && typeof value !== "string") throw unstorable(value);
    const lookalikes = mayHoldLookalikes(bytes) ? findLookalikes(value) : [];
    return lookalikes.length === 0 ? dumped : dumpEscaped(value, lookalikes);
  }

  /** The dump happens before anything is awaited, so that nobody else sees the objects meanwhile. */
  async function dumpEscaped(value: unknown, lookalikes: readonly Fields[]): Promise<Dumped> {
    const escaped = lookalikes.filter(Object.isExtensible);
    for (const fields of escaped) {
      Object.defineProperty(fields, "toJSON", {
        value: () => ({ [mark]: Object.entries(fields) }),
        configurable: true,
        enumerable: false,
      });
    }
    const dumping = inner.dumpsTyped(value);
    for (const fields of escaped) delete fields.toJSON;
    const [, bytes] = await dumping;
    return [escapedType, bytes];
  }

  async function loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    if (type === escapedType) return restore(await inner.loadsTyped("json", data), new Set());
    try {
      return await inner.loadsTyped(type, data);
    } catch (error) {
      if (type !== "json") throw error;
      // A class that is not there (any more): the object comes back as the data that was stored of it.
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      const inert = JSON.stringify(await withoutUnknown(JSON.parse(text)));
      return restore(await inner.loadsTyped("json", inert), new Set());
    }
  }

  /** Escapes the serialized objects that cannot be made, the innermost first. */
  async function withoutUnknown(value: unknown): Promise<unknown> {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return Promise.all(value.map(withoutUnknown));
    const fields: [string, unknown][] = [];
    for (const [name, field] of Object.entries(value)) fields.push([name, await withoutUnknown(field)]);
    const copy = fromFields(fields);
    if (copy.lc !== 1) return copy;
    return inner.loadsTyped("json", JSON.stringify(copy)).then(
      () => copy,
      () => ({ [mark]: fields }),
    );
  }

  return { dumpsTyped, loadsTyped };
}

const isRemark = (bytes: Uint8Array): boolean =>
  bytes.length === gaveUp.length && new TextDecoder().decode(bytes) === gaveUp;

function unstorable(value: unknown): UnstorableValueError {
  let why = "it refers to itself in a way that cannot be told";
  try {
    JSON.stringify(value);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  return new UnstorableValueError(`the graph's state cannot be stored, since JSON has no form for it: ${why}`);
}

const signs = ['"lc":', '"__proto__":', `"${mark}":`];

function mayHoldLookalikes(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return signs.some((sign) => buffer.includes(sign));
}

/** Plain objects that read as serialized ones, or whose names an object cannot be given by assignment. */
function findLookalikes(value: unknown): Fields[] {
  const found: Fields[] = [];
  const seen = new Set<unknown>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const one = open.pop();
    if (typeof one !== "object" || one === null || seen.has(one) || one instanceof Uint8Array) continue;
    seen.add(one);
    if (isLookalike(one)) found.push(one);
    if (one instanceof Map) for (const [name, field] of one) open.push(name, field);
    else if (one instanceof Set || Array.isArray(one)) for (const item of one) open.push(item);
    else for (const name of Object.keys(one)) open.push(fieldOf(one, name));
  }
  return found;
}

function isLookalike(value: object): value is Fields {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  if (typeof (value as Fields).toJSON === "function") return false;
  const isSerialized = (value as Fields).lc === 1 || (value as Fields).lc === 2;
  return isSerialized || Object.hasOwn(value, "__proto__") || Object.hasOwn(value, mark);
}

/** Undefined when its getter throws. */
function fieldOf(value: object, name: string): unknown {
  try {
    return (value as Fields)[name];
  } catch {
    return undefined;
  }
}

/** Puts the objects back in their places, also in those that were made of serialized ones. */
function restore(value: unknown, seen: Set<object>): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || seen.has(value)) return value;
  seen.add(value);
  if (Object.hasOwn(value, mark)) {
    const pairs = (value as { [mark]: [string, unknown][] })[mark];
    return fromFields(pairs.map(([name, field]) => [name, restore(field, seen)]));
  }
  if (value instanceof Map) {
    for (const [name, field] of [...value]) value.set(name, restore(field, seen));
  } else if (value instanceof Set) {
    const items = [...value].map((item) => restore(item, seen));
    value.clear();
    for (const item of items) value.add(item);
  } else {
    for (const name of Object.keys(value)) {
      const field = fieldOf(value, name);
      const restored = restore(field, seen);
      if (restored !== field) Reflect.set(value, name, restored);
    }
  }
  return value;
}

function fromFields(fields: readonly (readonly [string, unknown])[]): Fields {
  const made: Fields = {};
  for (const [name, value] of fields) {
    Object.defineProperty(made, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return made;
}
