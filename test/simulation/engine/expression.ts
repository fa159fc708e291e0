import { compare, isSame } from "./compare.ts";

/**
 * The value of an aggregation expression about a document, as far as the storage uses them; `undefined` for what is missing. `now` is
 * the database's time.
 */
export function evaluated(expression: unknown, doc: object, now: Date): unknown {
  const of = (one: unknown): unknown => evaluated(one, doc, now);
  if (typeof expression === "string") {
    if (expression === "$$NOW") return now;
    if (expression === "$$ROOT") return doc;
    if (expression.startsWith("$$")) throw unknown(expression);
    return expression.startsWith("$") ? (doc as Record<string, unknown>)[expression.slice(1)] : expression;
  }
  if (Array.isArray(expression)) return expression.map((one) => of(one) ?? null);
  if (typeof expression !== "object" || expression === null || expression instanceof Date) return expression;
  const [[operator, operand] = [""]] = Object.entries(expression);
  if (!operator.startsWith("$")) {
    return Object.fromEntries(Object.entries(expression).map(([name, one]) => [name, of(one)]));
  }
  return applied(operator, operand, of);
}

function applied(operator: string, operand: unknown, of: (one: unknown) => unknown): unknown {
  const [first, second, third] = [operand].flat();
  switch (operator) {
    case "$literal":
      return operand;
    case "$cond":
      return of(isTrue(of(first)) ? second : third);
    case "$and":
      return (operand as unknown[]).every((one) => isTrue(of(one)));
    case "$or":
      return (operand as unknown[]).some((one) => isTrue(of(one)));
    case "$ifNull":
      return of(first) ?? of(second);
    case "$mergeObjects":
      return Object.assign({}, ...(operand as unknown[]).map(of));
    case "$arrayElemAt":
      return (of(first) as unknown[]).at(of(second) as number);
    case "$indexOfArray":
      return (of(first) as unknown[]).findIndex((one) => isSame(one, of(second)));
    case "$eq":
      return isSame(of(first), of(second));
    case "$ne":
      return !isSame(of(first), of(second));
    case "$lt":
      return compare(of(first), of(second)) < 0;
    case "$gt":
      return compare(of(first), of(second)) > 0;
    case "$toLong": {
      const value = of(operand);
      return value instanceof Date ? value.getTime() : (value ?? null);
    }
    default:
      throw unknown(operator);
  }
}

/** Everything is true but these. */
const isTrue = (value: unknown): boolean => value !== undefined && value !== null && value !== false && value !== 0;

const unknown = (operator: string) => new Error(`the simulated database does not know ${operator}`);
