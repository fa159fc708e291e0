/** A copy that shares nothing with the value but bytes, and leaves out what is undefined: as a database gives it back. */
export function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (value instanceof Date) return new Date(value.getTime()) as T;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  const copy: Record<string, unknown> = {};
  for (const name in value) {
    const field = value[name];
    if (field !== undefined) copy[name] = copyOf(field);
  }
  return copy as T;
}
