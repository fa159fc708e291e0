import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { escapedFields, give, markSign, restore } from "./escapes.ts";
import { storableForm } from "./storable-form.ts";
import { UnstorableValueError, unreadable } from "./unstorable-value-error.ts";

/** The type of JSON in which data stands escaped, beside LangGraph's own "json" and "bytes". */
const escapedType = "json/escaped";
/** What LangGraph's serializer stores for whatever `JSON.stringify` throws on. */
const gaveUp = Buffer.from('"[unable to serialize, circular reference is too complex to analyze]"');

type Dumped = [type: string, bytes: Uint8Array];

export interface ExactSerde extends SerializerProtocol {
  /** The name is what an error calls the value. */
  dumpsTyped(value: unknown, name?: string): Promise<Dumped>;
}

/**
 * LangGraph's serializer, made exact. It takes data that looks like a serialized object for one, so that an input with
 * `{"lc": 1, "type": "constructor"}` of a class that is not there could never be read again; and it stores null for NaN, a remark for
 * a cycle or a BigInt, and an object for a Buffer or a Float32Array. Here all of that comes back as it was, but for what has no
 * form, which is refused.
 *
 * The rest is as LangGraph has it. Of an object of a class, LangChain's own apart, come back its fields, or what its `toJSON` says; of a
 * date its text, and of an error its message. Functions and symbols, and fields that symbols name, are left out.
 */
export function createExactSerde(inner: SerializerProtocol): ExactSerde {
  async function dumpsTyped(value: unknown, name = ""): Promise<Dumped> {
    if (value instanceof Uint8Array) return inner.dumpsTyped(value) as Promise<Dumped>;
    const place = name === "" ? [] : [name];
    // Both happen before anything is awaited: a node may change its state's objects later.
    const dumping = inner.dumpsTyped(storableForm(value, name)) as Promise<Dumped>;
    const [type, bytes] = await dumping.catch((error) => Promise.reject(unreadable(error, place)));
    if (bytes.length === 0) throw new UnstorableValueError(place, `is a ${typeof value}, for which JSON has no form`);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (text.equals(gaveUp) && typeof value !== "string") throw new UnstorableValueError(place, "is nested too deeply");
    return [type === "json" && text.includes(markSign) ? escapedType : type, bytes];
  }

  async function loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    const isEscaped = type === escapedType;
    try {
      const value = await inner.loadsTyped(isEscaped ? "json" : type, data);
      return isEscaped ? restore(value) : value;
    } catch (error) {
      if (type !== "json" && !isEscaped) throw error;
      // A class that is not there (any more): the object comes back as the data that was stored of it.
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      const inert = JSON.stringify(await withoutUnknown(JSON.parse(text)));
      return restore(await inner.loadsTyped("json", inert));
    }
  }

  /** Escapes the serialized objects that cannot be made, the innermost first. */
  async function withoutUnknown(value: unknown): Promise<unknown> {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return Promise.all(value.map(withoutUnknown));
    const fields: [string, unknown][] = [];
    const copy: { lc?: unknown } = {};
    for (const [name, field] of Object.entries(value)) {
      const inert = await withoutUnknown(field);
      fields.push([name, inert]);
      give(copy, name, inert);
    }
    if (copy.lc !== 1) return copy;
    return inner.loadsTyped("json", JSON.stringify(copy)).then(
      () => copy,
      () => escapedFields(fields),
    );
  }

  return { dumpsTyped, loadsTyped };
}
