import { z } from "zod";

/** SDKs send null for what is not set. */
export const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value): NonNullable<z.infer<T>> | undefined => value ?? undefined);

/** One name would be lost on the way, without a word. */
export const jsonObject = z.preprocess(
  (value, context) => {
    if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"))
      context.addIssue('the name "__proto__" is not allowed');
    return value;
  },
  z.record(z.string(), z.unknown()),
);

/** An enum's number by its name in lower case; undefined for none. The names have been checked by then. */
export function enumNamed<E extends Record<string, string | number>>(numbers: E, name: string | undefined) {
  return name === undefined ? undefined : (numbers[name.toUpperCase()] as E[keyof E] & number);
}

/** The other way round. */
export function lowerNames(numbers: Record<string, string | number>): (value: number) => string {
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name.toLowerCase()]));
  return (value) => names.get(value)!;
}
