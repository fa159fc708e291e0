/** What is missing is the same as null. */
export const isSame = (value: unknown, wanted: unknown): boolean =>
  value === wanted ||
  (wanted === null && value === undefined) ||
  (value instanceof Date && wanted instanceof Date && value.getTime() === wanted.getTime());

/** Nothing stands before everything, as in MongoDB's order. */
export function compare(a: unknown, b: unknown): number {
  const [left, right] = [comparable(a), comparable(b)];
  if (left === right) return 0;
  if (left === undefined) return -1;
  if (right === undefined) return 1;
  return left < right ? -1 : 1;
}

const comparable = (value: unknown): string | number | undefined =>
  value instanceof Date ? value.getTime() : ((value ?? undefined) as string | number | undefined);
