import { RestError } from "./errors.ts";

/** A request's query parameters. What is wrong with one is 422, and says what is allowed. */
export interface Query {
  /** Undefined when absent; 422 when it is there more than once. */
  text(name: string): string | undefined;
  /** All values as they are. */
  texts(name: string): string[];
  /** All values, also those of a JSON list or a list with commas. */
  list(name: string): string[];
  /** `true|1|yes` and `false|0|no`, and what else the route takes for them. */
  boolean(name: string, also?: { yes: string; no: string }): boolean | undefined;
  whole(name: string, range: { least: number; most: number }): number | undefined;
  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined;
  /** 422 for a parameter with another name: where a misspelt one would do harm. */
  only(allowed: readonly string[]): void;
}

export function readQuery(search: URLSearchParams): Query {
  const text = (name: string) => {
    const values = search.getAll(name);
    if (values.length > 1) throw new RestError(422, `Query parameter ${name} must not be repeated`);
    return values[0];
  };
  const refuse = (name: string, value: string, allowed: string) =>
    new RestError(422, `Query parameter ${name} is ${JSON.stringify(value)}; it must be ${allowed}`);

  return {
    text,
    texts: (name) => search.getAll(name),
    list: (name) => search.getAll(name).flatMap((value) => listOf(name, value)),
    boolean(name, also) {
      const value = text(name);
      if (value === undefined) return undefined;
      const yes = ["true", "1", "yes", ...(also ? [also.yes] : [])];
      const no = ["false", "0", "no", ...(also ? [also.no] : [])];
      const given = value.toLowerCase();
      if (yes.includes(given)) return true;
      if (no.includes(given)) return false;
      throw refuse(name, value, `one of ${[...yes, ...no].join(", ")}`);
    },
    whole(name, { least, most }) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = Number(value);
      if (/^-?\d+$/.test(value) && number >= least && number <= most) return number;
      throw refuse(name, value, `a whole number from ${least} to ${most}`);
    },
    oneOf(name, allowed) {
      const value = text(name);
      if (value === undefined) return undefined;
      const found = allowed.find((one) => one === value);
      if (found === undefined) throw refuse(name, value, `one of ${allowed.join(", ")}`);
      return found;
    },
    only(allowed) {
      const unknown = [...search.keys()].find((name) => !allowed.includes(name));
      if (unknown === undefined) return;
      throw new RestError(
        422,
        `Query parameter ${JSON.stringify(unknown)} is unknown; there are ${allowed.join(", ")}`,
      );
    },
  };
}

function listOf(name: string, value: string): string[] {
  if (!value.startsWith("[")) return value.split(",").filter((one) => one !== "");
  try {
    const list: unknown = JSON.parse(value);
    if (Array.isArray(list) && list.every((one) => typeof one === "string")) return list;
  } catch {
    // Answered below, like any other text that is no list.
  }
  throw new RestError(422, `Query parameter ${name} must be a name, names with commas, or a JSON list of names`);
}
