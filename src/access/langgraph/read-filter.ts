import { isObject } from "../../domain/is-object.ts";
import type { MetadataCondition, MetadataFilter } from "../../domain/metadata-filter.ts";

type Plain = string | number | boolean | null;

/**
 * What a handler has returned, as the conditions that it stands for: `{field: value}`, `{field: {$eq: value}}`, `{field: {$contains: value}}`
 * with one value or a list of them. Throws for everything else, so that what is not understood shows nothing; an absent value would match whatever
 * has no such field.
 */
export function readFilter(filter: object): MetadataFilter {
  if (!isObject(filter)) throw new Error("a handler returned a list; a filter is an object");
  return Object.entries(filter).flatMap(([field, wanted]) => {
    if (isPlain(wanted)) return [{ field, equals: wanted }];
    if (!isObject(wanted) || Object.keys(wanted).length === 0) throw notUnderstood(field);
    return Object.entries(wanted).map(([operator, value]) => conditionOf(field, operator, value));
  });
}

function conditionOf(field: string, operator: string, value: unknown): MetadataCondition {
  if (operator === "$eq" && isPlain(value)) return { field, equals: value };
  const all = Array.isArray(value) ? value : [value];
  if (operator === "$contains" && all.length > 0 && all.every(isPlain)) return { field, contains: all };
  throw notUnderstood(field);
}

const isPlain = (value: unknown): value is Plain =>
  value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value);

const notUnderstood = (field: string) =>
  new Error(
    `a handler's filter says nothing that is understood about ${JSON.stringify(field)}; it takes a text, a number, a boolean or null, {"$eq": such a value}, or {"$contains": one or a list of them}`,
  );
