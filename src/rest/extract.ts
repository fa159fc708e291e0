import { z } from "zod";
import { jsonPart } from "../domain/json-parts.ts";
import { RestError } from "./errors.ts";
import { optional } from "./json/body-shapes.ts";
import { RawJson, stringify } from "./json/raw-json.ts";

/** The fields of a thread that parts can be taken out of. */
const roots = ["values", "metadata", "config", "interrupts"] as const;
type Root = (typeof roots)[number];

/** As LangGraph's server has it: a name in the answer, and where its value stands in the thread. */
export const extractBody = optional(z.record(z.string(), z.string()));

const mostPaths = 10;
const alias = /^[A-Za-z_][A-Za-z0-9_]*$/;
const path = /^([a-z]+)((?:\.[^.[\]]+|\[-?\d{1,9}\])*)$/;
const part = /\.([^.[\]]+)|\[(-?\d+)\]/g;

interface Wanted {
  readonly name: string;
  readonly root: Root;
  readonly parts: readonly (string | number)[];
}

/** Takes parts out of threads, in the form `values.messages[-1].content`; what is not there is null. */
export interface Extract {
  of(thread: Readonly<Partial<Record<Root, unknown>>>): Record<string, unknown>;
}

/** Undefined when nothing is to be taken. Throws 422 for a name or a path that cannot be meant; `taken` are a thread's own fields. */
export function toExtract(given: Record<string, string> | undefined, taken: readonly string[]): Extract | undefined {
  const entries = Object.entries(given ?? {});
  if (entries.length === 0) return undefined;
  if (entries.length > mostPaths) throw refuse(`at most ${mostPaths} paths are allowed`);
  const wanted = entries.map(([name, text]) => readPath(name, text, taken));
  return {
    of(thread) {
      return Object.fromEntries(
        wanted.map(({ name, root, parts }) => {
          const within = (text: string | undefined, to: string | number) => text && jsonPart(text, to);
          const part = parts.reduce(within, stringify(thread[root] ?? null));
          return [name, part === undefined ? null : new RawJson(part)];
        }),
      );
    },
  };
}

function readPath(name: string, text: string, taken: readonly string[]): Wanted {
  if (!alias.test(name)) throw refuse(`the name ${JSON.stringify(name)} must be of letters, digits and "_"`);
  if (taken.includes(name)) throw refuse(`the name "${name}" is that of a thread's field`);
  const [, start, rest = ""] = path.exec(text) ?? [];
  const root = roots.find((one) => one === start);
  if (root === undefined) {
    const form = "a path like values.messages[-1].content, which begins with one of";
    throw refuse(`${name} is ${JSON.stringify(text)}; it must be ${form} ${roots.join(", ")}`);
  }
  const parts = [...rest.matchAll(part)].map(([, field, place]) => field ?? Number(place));
  return { name, root, parts };
}

const refuse = (what: string) => new RestError(422, `extract: ${what}`);
