import { endOfParts, endOfText } from "./outline-json.ts";
import type { Json } from "./run/run.ts";

/**
 * The fields of a JSON object, or the items of a list, each as the text that it is; none of anything else. What they hold is passed
 * over and nothing is made of it, so that one part of a large value is had without reading the others.
 *
 *     [...jsonParts('{"a": [1, 2], "b": "x"}')]    // [["a", "[1, 2]"], ["b", '"x"']]
 */
export function* jsonParts(text: Json): Generator<readonly [name: string | number, part: Json]> {
  let at = skipSpace(text, 0);
  const isObject = text[at] === "{";
  if (!isObject && text[at] !== "[") return;
  at = skipSpace(text, at + 1);
  for (let index = 0; at < text.length && text[at] !== "}" && text[at] !== "]"; index += 1) {
    let name: string | number = index;
    if (isObject) {
      const end = endOfText(text, at) + 1;
      name = JSON.parse(text.slice(at, end)) as string;
      // Behind the colon.
      at = skipSpace(text, skipSpace(text, end) + 1);
    }
    const end = endOfPart(text, at);
    yield [name, text.slice(at, end)];
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
}

/** A field by its name, or an item by its place, counted from the end where that is negative; undefined when there is none. */
export function jsonPart(text: Json, wanted: string | number): Json | undefined {
  if (typeof wanted === "number" && wanted < 0) return [...jsonParts(text)].filter(isItem).at(wanted)?.[1];
  let found: Json | undefined;
  for (const [name, part] of jsonParts(text)) {
    if (name !== wanted) continue;
    found = part;
    // Of a field that stands there twice the last one counts, as everywhere.
    if (typeof name === "number") break;
  }
  return found;
}

const isItem = ([name]: readonly [string | number, Json]): boolean => typeof name === "number";

const space = /[^ \t\n\r]/g;
function skipSpace(text: Json, from: number): number {
  space.lastIndex = from;
  return space.exec(text)?.index ?? text.length;
}

const endOfScalar = /[ \t\n\r,\]}]/g;
function endOfPart(text: Json, start: number): number {
  if (text[start] === '"') return endOfText(text, start) + 1;
  if (text[start] === "{" || text[start] === "[") return endOfParts(text, start) + 1;
  endOfScalar.lastIndex = start;
  return endOfScalar.exec(text)?.index ?? text.length;
}
