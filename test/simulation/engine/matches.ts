import { compare, isSame } from "./compare.ts";
import { evaluated } from "./expression.ts";

/** A document of the simulated database. */
export type Doc = Record<string, unknown> & { readonly _id: string };
export type Filter = Readonly<Record<string, unknown>>;

/** Whether a document matches a filter at this time, as far as MongoDB's filters are used. Throws for an operator that is not known here. */
export function matches(doc: object, filter: Filter, now: Date): boolean {
  for (const name in filter) {
    const wanted = filter[name];
    if (name === "$or") {
      if (!(wanted as Filter[]).some((one) => matches(doc, one, now))) return false;
    } else if (name === "$nor") {
      if ((wanted as Filter[]).some((one) => matches(doc, one, now))) return false;
    } else if (name === "$expr") {
      if (evaluated(wanted, doc, now) !== true) return false;
    } else if (!meets(valuesAt(doc, name.split(".")), wanted)) return false;
  }
  return true;
}

/** What stands at a path; of lists in between, in any of their elements. */
function valuesAt(value: unknown, path: readonly string[]): unknown[] {
  if (path.length === 0) return [value];
  if (value === null || typeof value !== "object") return [undefined];
  const [name, ...rest] = path as [string, ...string[]];
  if (!Array.isArray(value)) return valuesAt((value as Record<string, unknown>)[name], rest);
  if (/^\d+$/.test(name)) return valuesAt(value[Number(name)], rest);
  return value.flatMap((one) => valuesAt(one, path));
}

function meets(found: readonly unknown[], wanted: unknown): boolean {
  if (!isOperators(wanted)) return found.some((one) => isOrHolds(one, wanted));
  return Object.entries(wanted).every(([operator, operand]) => holds(found, operator, operand));
}

function holds(found: readonly unknown[], operator: string, operand: unknown): boolean {
  const any = (test: (one: unknown) => boolean) => found.some((one) => [one].flat().some(test));
  switch (operator) {
    case "$not":
      return !meets(found, operand);
    case "$type":
      if (operand !== "date") throw new Error(`the simulated database does not know the type ${operand}`);
      return any((one) => one instanceof Date);
    case "$exists":
      return found.some((one) => one !== undefined) === operand;
    case "$ne":
      return !found.some((one) => isOrHolds(one, operand));
    case "$in":
      return (operand as unknown[]).some((one) => found.some((there) => isOrHolds(there, one)));
    case "$nin":
      return !(operand as unknown[]).some((one) => found.some((there) => isOrHolds(there, one)));
    case "$all":
      return (operand as unknown[]).every((one) => found.some((there) => isOrHolds(there, one)));
    case "$lt":
      return any((one) => isComparable(one, operand) && compare(one, operand) < 0);
    case "$lte":
      return any((one) => isComparable(one, operand) && compare(one, operand) <= 0);
    case "$gt":
      return any((one) => isComparable(one, operand) && compare(one, operand) > 0);
    case "$gte":
      return any((one) => isComparable(one, operand) && compare(one, operand) >= 0);
    default:
      throw new Error(`the simulated database does not know ${operator}`);
  }
}

const isOperators = (wanted: unknown): wanted is Record<string, unknown> =>
  typeof wanted === "object" &&
  wanted !== null &&
  !(wanted instanceof Date) &&
  !Array.isArray(wanted) &&
  Object.keys(wanted).some((name) => name.startsWith("$"));

const isOrHolds = (value: unknown, wanted: unknown): boolean =>
  isSame(value, wanted) || (Array.isArray(value) && value.some((one) => isSame(one, wanted)));

const isComparable = (a: unknown, b: unknown): boolean =>
  typeof a === typeof b && a instanceof Date === b instanceof Date;
