import { createHash } from "node:crypto";
import { checkMetadata, invalid } from "./check-metadata.ts";
import { isObject } from "./is-object.ts";
import { outlineJson } from "./outline-json.ts";
import type { Json } from "./run/run.ts";

/**
 * What metadata and values are found by: one token for each of their fields, which an index on an array holds. A filter
 * becomes tokens in the same way, and matches what has them all. A token is a hash of the owner, the field's path and its
 * value, so that names may hold anything (dots and dollar signs too) and no value reads as an operator.
 */
type Fields = Readonly<Record<string, unknown>>;

/** Of the values, those next to the root come first; what is beyond cannot be searched. */
const maxValueFields = 1000;
const maxValueLength = 256;
/** Of more plain values than these the deeper ones, or all, cannot be searched: reading them would hold up everybody else. */
const smallValues = 256 * 1024;

/** Of free data: every field, a list being one value. `checkMetadata` bounds how many there are. */
export const metadataTokens = (owner: string, metadata: Fields): string[] => tokensOf(owner, fieldsOf(metadata));

/** Of a thread's remembered values: strings of moderate length, numbers, booleans and nulls that are in no list. */
export function valueTokens(owner: string, values: Json | undefined): string[] {
  const parsed = values === undefined ? undefined : searchablePartOf(values);
  if (!isObject(parsed)) return [];
  const searchable = fieldsOf(parsed).filter(({ value }) => isSearchable(value));
  return tokensOf(owner, searchable.slice(0, maxValueFields));
}

/** Lists and long texts are not searched. They are what makes values large, and are not read for this. */
function searchablePartOf(values: Json): unknown {
  if (values.length <= smallValues) return JSON.parse(values);
  // JSON may write a character with six: \u0000.
  const maxText = maxValueLength * 6;
  const outlines = [Number.POSITIVE_INFINITY, 1].map((maxDepth) => () => outlineJson(values, { maxText, maxDepth }));
  for (const outline of outlines) {
    const text = outline();
    if (text.length <= smallValues) return JSON.parse(text);
  }
  return undefined;
}

/** Of whose state it is. No field has such a token. */
export const stateTokens = (
  owner: string,
  state: { readonly graph?: string; readonly assistantId?: string },
): string[] =>
  (["graph", "assistantId"] as const).flatMap((name) =>
    state[name] === undefined ? [] : [hash([owner, name, state[name]])],
  );

/** What must be there of a filter; an object need not be asked for where one of its fields is. */
export function filterTokens(owner: string, filter: Fields | undefined): string[] {
  const needed = fieldsOf(filter ?? {}).filter(({ value }) => !isObject(value) || Object.keys(value).length === 0);
  return tokensOf(owner, needed);
}

/** Throws INVALID_FIELD for values that are not searched by. */
export function checkValueFilter(filter: Fields | undefined, field: string): void {
  checkMetadata(filter ?? {}, field);
  const bad = fieldsOf(filter ?? {}).find(({ value }) => !isSearchable(value));
  if (bad === undefined) return;
  throw invalid(
    field,
    `"${bad.path.join(".")}" is ${Array.isArray(bad.value) ? "a list" : "a longer text"}; threads are found by strings of ` +
      `at most ${maxValueLength} characters, numbers, booleans and nulls`,
  );
}

interface Field {
  readonly path: readonly string[];
  /** An object stands for being one. */
  readonly value: unknown;
}

/** Every field, also those that hold others; the ones next to the root first. */
function fieldsOf(root: Fields): Field[] {
  const found: Field[] = [];
  let level: Field[] = [{ path: [], value: root }];
  while (level.length > 0) {
    const next: Field[] = [];
    for (const { path, value } of level) {
      for (const [name, inner] of Object.entries(value as Fields)) {
        const field = { path: [...path, name], value: inner };
        found.push(field);
        if (isObject(inner)) next.push(field);
      }
    }
    level = next;
  }
  return found;
}

const tokensOf = (owner: string, fields: readonly Field[]): string[] =>
  fields.map(({ path, value }) => hash([owner, path, isObject(value) ? {} : canonical(value)]));

const hash = (parts: unknown): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);

/** With the fields of objects in one order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isObject(value)) return value;
  // Pairs, since an object puts names that are numbers first, and may not take every name.
  const pairs = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { fields: pairs.map(([name, inner]) => [name, canonical(inner)]) };
}

const isSearchable = (value: unknown): boolean =>
  typeof value === "string" ? value.length <= maxValueLength : !Array.isArray(value);
