import { escapedAbove, escapedBytes, escapedFields, escapedNumber, give, isBytes, isReserved } from "./escapes.ts";
import { UnstorableValueError, unreadable } from "./unstorable-value-error.ts";

type Step = string | number;
type Fields = Record<string, unknown>;

/**
 * What LangGraph's serializer is to store in place of the value, such that the value can be restored of it: a copy, made at once, with
 * escapes where they are needed. The value is only read, each part of it once: it may be frozen, and others may see it.
 *
 * As `JSON.stringify` does it asks an object with `toJSON` what to store of it. What that says counts as a serialized object if it
 * reads as one of LangChain's; everything else that does is data.
 */
export function storableForm(root: unknown, name: string): unknown {
  /** Where the part is that is looked at; stays there when something is wrong with it. */
  const place: Step[] = name === "" ? [] : [name];
  /** The objects that it is in, from the outermost on. */
  const around: object[] = [];
  /** Of each: whether another object comes back than stands in the JSON, so that levels cannot be counted through it. */
  const areRemade: boolean[] = [];

  function refuse(what: string): never {
    throw new UnstorableValueError(place, what);
  }

  function formAt(step: Step, value: unknown): unknown {
    place.push(step);
    const form = formOf(value, step);
    place.pop();
    return form;
  }

  function formOf(value: unknown, step: Step): unknown {
    if (typeof value === "number") return Number.isFinite(value) ? value : escapedNumber(value);
    if (typeof value === "bigint") {
      const json = jsonOf(value, step);
      return typeof json === "bigint" ? refuse("is a BigInt, for which JSON has no form") : json;
    }
    if (typeof value !== "object" || value === null) return value;
    if (isBytes(value)) return escapedBytes(value) ?? value;
    const known = around.lastIndexOf(value);
    if (known >= 0) {
      if (areRemade.includes(true, known)) refuse("refers back to an object that it is in");
      return escapedAbove(around.length - known);
    }
    const json = jsonOf(value, step);
    if (json === value) return copyIn(value, isSnapshot(value), false);
    if (typeof json !== "object" || json === null || isBytes(json)) return formOf(json, step);
    const isSerialized = (json as { lc?: unknown }).lc === 1;
    around.push(value);
    areRemade.push(true);
    const copy = copyIn(json, isSerialized, isSerialized);
    around.pop();
    areRemade.pop();
    return copy;
  }

  function copyIn(value: object, isRemade: boolean, isSerialized: boolean): unknown {
    around.push(value);
    areRemade.push(isRemade);
    const copy = copyOf(value, isSerialized);
    around.pop();
    areRemade.pop();
    return copy;
  }

  function copyOf(value: object, isSerialized: boolean): unknown {
    if (Object.getPrototypeOf(value) === Object.prototype) return copyOfFields(value as Fields, isSerialized);
    if (Array.isArray(value)) {
      const copy: unknown[] = [];
      for (let i = 0; i < value.length; i += 1) copy.push(formAt(i, value[i]));
      return copy;
    }
    if (value instanceof Map) {
      return new Map([...value].map(([key, field]) => [formAt("key", key), formAt(nameOf(key), field)]));
    }
    if (value instanceof Set) return new Set([...value].map((item, i) => formAt(i, item)));
    // The serializer takes of these what it wants.
    if (value instanceof Error || value instanceof RegExp) return value;
    return copyOfFields(value as Fields, isSerialized);
  }

  function copyOfFields(value: Fields, isSerialized: boolean): unknown {
    // The serializer knows a snapshot by its class.
    const copy = isSnapshot(value) ? Object.create(Object.getPrototypeOf(value)) : {};
    let isLookalike = false;
    for (const name of Object.keys(value)) {
      place.push(name);
      const field = formOf(value[name], name);
      place.pop();
      if (typeof field === "function" || typeof field === "symbol") continue;
      if (isReserved(name)) {
        isLookalike = true;
        give(copy, name, field);
      } else {
        if (name === "lc" && (field === 1 || field === 2) && !isSerialized) isLookalike = true;
        copy[name] = field;
      }
    }
    return isLookalike ? escapedFields(Object.entries(copy)) : copy;
  }

  try {
    return formOf(root, "");
  } catch (error) {
    throw unreadable(error, error instanceof RangeError ? place.slice(0, 1) : place);
  }
}

/** What JSON is made of: the value itself when it does not say. */
function jsonOf(value: object | bigint, step: Step): unknown {
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === "function" ? toJSON.call(value, String(step)) : value;
}

/** LangGraph's own, by the mark that it has for this. */
const isSnapshot = (value: object): boolean => (value as { lg_name?: unknown }).lg_name === "DeltaSnapshot";

const nameOf = (key: unknown): Step =>
  typeof key === "object" || typeof key === "function" || typeof key === "symbol" ? "value" : String(key);
