import type { Json } from "./run/run.ts";

/** The canonical text of a value, made elsewhere. */
export class CanonicalText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Equal for values that are equal as JSON, whatever the order of their fields. What is undefined is not there. */
export function canonical(value: unknown): string {
  if (value instanceof CanonicalText) return value.text;
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}

/** The same for a JSON text. A large one is read on another thread; see `LargeBodies`. */
export type CanonicalOf = (text: Json) => Promise<string>;

export const canonicalOf: CanonicalOf = async (text) => canonical(JSON.parse(text));
