import { invalid, tooLarge } from "./check-metadata.ts";
import { isObject } from "./is-object.ts";
import type { NewItem } from "./item.ts";

const maxDepth = 32;
const maxLabelLength = 256;
const maxKeyLength = 1024;
const longestTtlMs = 315_360_000_000;

/** What comes from graphs and clients may be anything; each throws INVALID_FIELD, or INPUT_TOO_LARGE, with a sentence. */
export function checkNewItem({ namespace, key, value, ttlMs }: NewItem, maxBytes: number): void {
  checkNamespace(namespace, "namespace", 1);
  if (namespace[0] === "langgraph") throw invalid("namespace", 'the first label "langgraph" is LangGraph\'s own');
  checkKey(key);
  const bytes = Buffer.byteLength(value);
  if (bytes > maxBytes) throw tooLarge("value", `it has ${bytes} bytes of JSON`, maxBytes);
  if (!isObject(JSON.parse(value))) throw invalid("value", "must be an object");
  if (ttlMs === undefined || (ttlMs > 0 && ttlMs <= longestTtlMs)) return;
  throw invalid("ttl", "must be more than 0 and at most ten years");
}

/** A namespace, or a prefix or suffix of one, which may be empty. A dot would end a label where REST joins them. */
export function checkNamespace(namespace: unknown, field: string, least: 0 | 1): asserts namespace is string[] {
  if (!Array.isArray(namespace)) throw invalid(field, "must be a list of labels");
  if (namespace.length < least) throw invalid(field, "must have at least one label");
  if (namespace.length > maxDepth)
    throw invalid(field, `has ${namespace.length} labels; at most ${maxDepth} are allowed`);
  for (const label of namespace as unknown[]) {
    const problem = typeof label === "string" ? problemOf(label) : "is no string";
    if (problem !== undefined) throw invalid(field, `the label ${JSON.stringify(label)?.slice(0, 300)} ${problem}`);
  }
}

function problemOf(label: string): string | undefined {
  if (label === "") return "must not be empty";
  if (label.length > maxLabelLength) return `is longer than ${maxLabelLength} characters`;
  if (label.includes(".")) return "must not hold a dot";
  if (label.includes("\0")) return "must not hold a NUL character";
  return label.isWellFormed() ? undefined : "is no well-formed Unicode";
}

/** Any text is a key, dots, dollar signs and NUL included. */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== "string") throw invalid("key", "must be a string");
  if (key.length > maxKeyLength) throw invalid("key", `is longer than ${maxKeyLength} characters`);
  if (!key.isWellFormed()) throw invalid("key", "is no well-formed Unicode");
}

/** A number from `least` on that JSON can hold exactly; the fallback when it is absent. */
export function wholeNumber(value: number | undefined, field: string, least: number, fallback: number): number {
  const number = value ?? fallback;
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw invalid(field, `must be a whole number from ${least} on`);
}
