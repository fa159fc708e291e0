import type { Json } from "./run/run.ts";

const quote = 0x22;
const backslash = 0x5c;
const opens = (code: number) => code === 0x5b || code === 0x7b;
const closes = (code: number) => code === 0x5d || code === 0x7d;

export interface OutlineOptions {
  /** Texts that are longer, as they are written, are left out. */
  readonly maxText: number;
  /** Objects that lie deeper are left out; 1 is the outermost one. */
  readonly maxDepth: number;
}

/**
 * A JSON text with an empty list in the place of each list, and of each text and object that is too large to matter: what is left
 * is read in no time, however much the lists held. Without making anything of what it leaves out.
 */
export function outlineJson(text: Json, { maxText, maxDepth }: OutlineOptions): Json {
  const kept: string[] = [];
  let from = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const end = endOfText(text, at);
      if (end - at > maxText) at = leaveOut(at, end);
      else at = end;
    } else if (code === 0x5b || (code === 0x7b && depth === maxDepth)) {
      at = leaveOut(at, endOfParts(text, at));
    } else if (code === 0x7b) depth += 1;
    else if (code === 0x7d) depth -= 1;
  }
  kept.push(text.slice(from));
  return kept.join("");

  function leaveOut(start: number, end: number): number {
    // A field's name must stay a text, or the outline would be no JSON.
    const isName = text.charCodeAt(start) === quote && /^\s*:/.test(text.slice(end + 1, end + 20));
    kept.push(text.slice(from, start), isName ? '""' : "[]");
    from = end + 1;
    return end;
  }
}

/** Where the text that begins at `start` has its closing quote. */
export function endOfText(text: Json, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: Json, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === backslash) first -= 1;
  return (at - first) % 2 === 1;
}

/** Where the list or object that begins at `start` ends. */
export function endOfParts(text: Json, start: number): number {
  let open = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfText(text, at);
    else if (opens(code)) open += 1;
    else if (closes(code)) {
      open -= 1;
      if (open === 0) return at;
    }
  }
  return text.length;
}
