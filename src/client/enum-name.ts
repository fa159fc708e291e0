/**
 * The name of an enum's value, for people and logs: `enumName(RunStatus, run.status)` is "INTERRUPTED". A value that a newer
 * server has added is named by its number.
 */
export function enumName(values: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(values).find((name) => values[name] === value) ?? String(value);
}
