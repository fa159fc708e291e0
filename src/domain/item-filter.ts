import { isDeepStrictEqual } from "node:util";
import { invalid } from "./check-metadata.ts";
import { isObject } from "./is-object.ts";

/** Whether a value is what a filter asks for. */
export type ItemFilter = (value: Readonly<Record<string, unknown>>) => boolean;

/**
 * LangGraph's filters: each names a field at the top of the value and what it equals, or operators that must all hold. They are
 * applied here and not in the database, so that names may hold anything and nothing reads as an operator of the database.
 *
 * LangGraph's own in-memory store compares by identity, and by magnitude only numbers and texts of numbers. Here equality is that
 * of JSON, and other texts (dates, say) compare by their characters.
 */
export function createItemFilter(filter: unknown = {}): ItemFilter {
  if (!isObject(filter)) throw invalid("filter", "must be an object");
  const conditions = Object.entries(filter).map(([name, wanted]) => ({ name, holds: condition(name, wanted) }));
  return (value) => conditions.every(({ name, holds }) => holds(Object.hasOwn(value, name) ? value[name] : undefined));
}

type Condition = (found: unknown) => boolean;

const operators: Readonly<Record<string, (wanted: unknown, name: string) => Condition>> = {
  $eq: (wanted) => (found) => isDeepStrictEqual(found, wanted),
  $ne: (wanted) => (found) => !isDeepStrictEqual(found, wanted),
  $gt: (wanted) => (found) => compare(found, wanted) > 0,
  $gte: (wanted) => (found) => compare(found, wanted) >= 0,
  $lt: (wanted) => (found) => compare(found, wanted) < 0,
  $lte: (wanted) => (found) => compare(found, wanted) <= 0,
  $in: (wanted, name) => {
    const all = list(wanted, name);
    return (found) => all.some((one) => isDeepStrictEqual(found, one));
  },
  $nin: (wanted, name) => {
    const all = list(wanted, name);
    return (found) => !all.some((one) => isDeepStrictEqual(found, one));
  },
};

function condition(name: string, wanted: unknown): Condition {
  const asked = isObject(wanted) ? Object.entries(wanted) : [];
  if (!asked.some(([operator]) => operator.startsWith("$"))) return operators.$eq!(wanted, name);
  const all = asked.map(([operator, operand]) => {
    if (!Object.hasOwn(operators, operator)) {
      throw invalid(
        "filter",
        `"${name}" asks for ${JSON.stringify(operator)}; the operators are ${Object.keys(operators).join(", ")}`,
      );
    }
    return operators[operator]!(operand, name);
  });
  return (found) => all.every((holds) => holds(found));
}

function list(wanted: unknown, name: string): readonly unknown[] {
  if (Array.isArray(wanted)) return wanted;
  throw invalid("filter", `"${name}": $in and $nin take a list`);
}

/** NaN, which is in no order, for what cannot be compared. */
function compare(a: unknown, b: unknown): number {
  const difference = toNumber(a) - toNumber(b);
  if (!Number.isNaN(difference) || typeof a !== "string" || typeof b !== "string") return difference;
  return a === b ? 0 : a < b ? -1 : 1;
}

const toNumber = (value: unknown): number =>
  typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
