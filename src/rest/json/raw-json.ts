import { jsonParts } from "../../domain/json-parts.ts";

/** JSON text that goes into an answer as it is: payloads are not parsed on their way through the server. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The fields of an object, each as the text that it is; none of anything else. */
export const rawFields = (text: string): [name: string, value: RawJson][] =>
  [...jsonParts(text)].flatMap(([name, part]) => (typeof name === "string" ? [[name, new RawJson(part)]] : []));

/** As JSON.stringify, for values of plain objects, arrays, texts, numbers, booleans, null and RawJson. */
export const stringify = (value: unknown): string => jsonPieces(value).join("");

/** A piece has some more characters than this, unless it is one payload or the last. */
const pieceLength = 64 * 1024;

/** The same text in pieces, so that an answer of many megabytes need not be sent at once. */
export function jsonPieces(value: unknown): string[] {
  const pieces: string[] = [];
  let text = "";
  add(value);
  return text === "" ? pieces : [...pieces, text];

  function add(one: unknown): void {
    if (one instanceof RawJson) put(one.text);
    else if (Array.isArray(one)) addAll("[", one, (item) => add(item ?? null), "]");
    else if (typeof one !== "object" || one === null) put(JSON.stringify(one));
    else {
      const fields = Object.entries(one).filter(([, field]) => field !== undefined);
      addAll("{", fields, addField, "}");
    }
  }

  function addField([name, field]: [string, unknown]): void {
    put(`${JSON.stringify(name)}:`);
    add(field);
  }

  function addAll<T>(open: string, items: readonly T[], addOne: (item: T) => void, close: string): void {
    put(open);
    for (const [place, item] of items.entries()) {
      if (place > 0) put(",");
      addOne(item);
    }
    put(close);
  }

  function put(part: string): void {
    text += part;
    if (text.length <= pieceLength) return;
    pieces.push(text);
    text = "";
  }
}
