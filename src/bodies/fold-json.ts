import { isObject } from "../domain/is-object.ts";
import { BodyError, tooMany } from "./body-error.ts";
import { scanJson } from "./json-scan.ts";
import { checkNames } from "./payload-text.ts";

/** A parsed body whose payloads have been taken out, as the text that they are. */
export interface FoldedBody {
  readonly body: unknown;
  readonly texts: readonly { readonly path: readonly (string | number)[]; readonly text: string }[];
}

/**
 * How many values a body may hold beside its payloads: somewhat more than the most ids that a call takes, as each of them is
 * checked, and may be complained about, on the thread that serves everybody.
 */
export const maxBeside = 12_000;

/** Objects that are looked into by name: of these each field is taken out by itself. */
const byField = new Set(["update", "context", "value"]);

/**
 * Reads a JSON body and takes its payloads out: what stands under one of the given names, unless it is a plain value. Throws
 * BodyError for a body that is no JSON, or too deep, or too much.
 */
export function foldJson(bytes: Uint8Array, payloads: readonly string[], maxValues: number): FoldedBody {
  scanJson(bytes, maxValues);
  const names = new Set(payloads);
  const texts: { path: (string | number)[]; text: string }[] = [];
  let beside = 0;
  const body = fold(parseJson(bytes), []);
  return { body, texts };

  function count(): void {
    beside += 1;
    if (beside > maxBeside) throw tooMany(maxBeside, "values beside its payloads");
  }

  function add(value: object, path: (string | number)[]): void {
    texts.push({ path, text: checkNames(JSON.stringify(value), value, path.join(".")) });
  }

  function fold(value: unknown, path: (string | number)[]): unknown {
    count();
    if (Array.isArray(value)) return value.map((one, place) => fold(one, [...path, place]));
    if (!isObject(value)) return value;
    const folded: Record<string, unknown> = {};
    for (const [name, inner] of Object.entries(value)) {
      const here = [...path, name];
      define(folded, name, names.has(name) && hasParts(inner) ? takeOut(name, inner, here) : fold(inner, here));
    }
    return folded;
  }

  function takeOut(name: string, value: object, path: (string | number)[]): unknown {
    if (!byField.has(name) || Array.isArray(value)) {
      add(value, path);
      return null;
    }
    const folded: Record<string, unknown> = {};
    for (const [field, inner] of Object.entries(value)) {
      count();
      if (hasParts(inner)) add(inner, [...path, field]);
      define(folded, field, inner !== null && typeof inner === "object" ? null : inner);
    }
    return folded;
  }
}

/** Any name is a field, "__proto__" too. */
const define = (object: object, name: string, value: unknown): void =>
  void Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });

const hasParts = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The value that these bytes are the JSON of. Throws BodyError. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BodyError("malformed", (error as Error).message);
  }
}
