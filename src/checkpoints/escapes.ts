/** What stands in JSON for what has no JSON of its own. Each is an object with one field, whose name is the mark. */
export const marks = {
  /** An object that would not come back as it is: its fields as pairs. */
  fields: "__reins_fields__",
  /** A number by its name. */
  number: "__reins_number__",
  /** The name of a class of bytes, and these in base64. */
  bytes: "__reins_bytes__",
  /** One of the objects and lists that this place is in: 1 is the one that holds it, 2 the one around that. */
  above: "__reins_above__",
} as const;

export type Pairs = readonly (readonly [name: string, value: unknown])[];

/** What all marks begin with. */
export const markSign = '"__reins_';
const markNames: readonly string[] = Object.values(marks);

/** Fields that read as something else than an object's own: of a mark, or such that assignment cannot give. */
export const isReserved = (name: string): boolean =>
  name.startsWith("__") && (name === "__proto__" || markNames.includes(name));

export const escapedFields = (pairs: Pairs) => ({ [marks.fields]: pairs });
export const escapedNumber = (value: number) => ({ [marks.number]: String(value) });
export const escapedAbove = (levels: number) => ({ [marks.above]: levels });

type Bytes = ArrayBufferView | ArrayBuffer;

export const isBytes = (value: object): value is Bytes => ArrayBuffer.isView(value) || value instanceof ArrayBuffer;

/** Undefined for what LangGraph stores as it is, and for classes that are not there everywhere. */
export function escapedBytes(value: Bytes): object | undefined {
  const name = Buffer.isBuffer(value) ? "Buffer" : Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (name !== "Buffer" && !(name in bytesClasses)) return undefined;
  const bytes = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value);
  return { [marks.bytes]: [name, bytes.toString("base64")] };
}

const bytesClasses = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
} as Record<string, new (buffer: ArrayBuffer) => unknown>;
bytesClasses.ArrayBuffer = Object as never;

function bytesOf([name, base64]: readonly [string, string]): unknown {
  if (name === "Buffer") return Buffer.from(base64, "base64");
  // Of a buffer of its own, so that every element stands where it may.
  const { buffer } = new Uint8Array(Buffer.from(base64, "base64"));
  return name === "ArrayBuffer" ? buffer : new bytesClasses[name]!(buffer);
}

/** Puts everything back in its place, also in objects that were made of serialized ones. */
export function restore(root: unknown): unknown {
  /** By what was read: what it has become. An object that a message has twice is restored once. */
  const restored = new Map<object, unknown>();
  const above: unknown[] = [];

  function inside<T>(made: object, read: object, fill: () => T): object {
    restored.set(read, made);
    restored.set(made, made);
    above.push(made);
    fill();
    above.pop();
    return made;
  }

  function back(value: unknown): unknown {
    if (typeof value !== "object" || value === null || isBytes(value)) return value;
    if (restored.has(value)) return restored.get(value);
    const marked = value as { [mark in (typeof marks)[keyof typeof marks]]?: never };
    if (Object.hasOwn(value, marks.number)) return Number(marked[marks.number]);
    if (Object.hasOwn(value, marks.bytes)) return bytesOf(marked[marks.bytes]!);
    if (Object.hasOwn(value, marks.above)) return above.at(-marked[marks.above]!);
    if (Object.hasOwn(value, marks.fields)) {
      const made = {};
      return inside(made, value, () => {
        for (const [name, field] of marked[marks.fields] as unknown as Pairs) give(made, name, back(field));
      });
    }
    return inside(value, value, () => fill(value));
  }

  function fill(value: object): void {
    if (value instanceof Map) {
      const pairs = [...value];
      value.clear();
      for (const [name, field] of pairs) value.set(back(name), back(field));
    } else if (value instanceof Set) {
      const items = [...value];
      value.clear();
      for (const item of items) value.add(back(item));
    } else {
      for (const name of Object.keys(value)) {
        const field = fieldOf(value, name);
        const own = back(field);
        if (own !== field) Reflect.set(value, name, own);
      }
    }
  }

  return back(root);
}

/** Also a name that assignment takes for something else. */
export function give(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Undefined when its getter throws. */
function fieldOf(value: object, name: string): unknown {
  try {
    return (value as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}
