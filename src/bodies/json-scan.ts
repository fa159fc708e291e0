import { maxDepth, tooDeep, tooMany } from "./body-error.ts";

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;

/**
 * Bounds a JSON text by its bytes, before anything is made of them: how deep it is nested, and how many values it holds. It may
 * come in pieces. It does not say whether the text is JSON.
 */
export class JsonScan {
  /** Values seen so far: each follows a comma, or is the first of a list or an object. An empty one counts as two. */
  values = 1;
  readonly #most: number;
  #open = 0;
  #inText = false;
  /** The next byte of the text is escaped. */
  #escaped = false;

  /** @param most how many values are allowed. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @throws BodyError when the text is too deep or holds too much. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 1) {
      if (this.#inText) {
        at = this.#endOfText(bytes, at);
        continue;
      }
      const byte = bytes[at]!;
      if (byte === quote) this.#inText = true;
      else if (byte === comma) this.#count();
      else if (byte === 0x5b || byte === 0x7b) this.#nest();
      else if (byte === 0x5d || byte === 0x7d) this.#open -= 1;
    }
  }

  /** Where the text that began before `from` ends: its closing quote, or the end of the bytes. */
  #endOfText(bytes: Uint8Array, from: number): number {
    let at = from;
    for (; at < bytes.length; at += 1) {
      if (this.#escaped) this.#escaped = false;
      else if (bytes[at] === backslash) this.#escaped = true;
      else if (bytes[at] === quote) {
        this.#inText = false;
        return at;
      }
    }
    return at;
  }

  #nest(): void {
    this.#open += 1;
    if (this.#open > maxDepth) throw tooDeep();
    this.#count();
  }

  #count(): void {
    this.values += 1;
    if (this.values > this.#most) throw tooMany(this.#most);
  }
}

/** Throws BodyError for a JSON text that is too deep or holds too much. */
export function scanJson(bytes: Uint8Array, most: number): void {
  new JsonScan(most).push(bytes);
}
