import { setImmediate as nextTurn } from "node:timers/promises";

/** Some milliseconds at most, whatever the text holds. */
const charactersATurn = 64 * 1024;

/**
 * Whether a text is JSON, as JSON.parse has it, found out without holding up everybody else: a part of the text in each turn of the
 * event loop, and nothing is made of it. A million characters take 10 to 100 ms in all.
 */
export async function isJson(text: string, characters = charactersATurn): Promise<boolean> {
  const goOn = createJsonCheck(text);
  for (;;) {
    const known = goOn(characters);
    if (known !== undefined) return known;
    await nextTurn();
  }
}

/** What may come next, but for white space. Within a text, and where one is empty, nothing is skipped. */
type Place = "value" | "value or end" | "name" | "name or end" | "colon" | "after value" | "in text" | "in name";

const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openList = 0x5b;
const backslash = 0x5c;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

/** Reads about so many characters more of the text with each call. Undefined as long as it is not known. */
function createJsonCheck(text: string): (characters: number) => boolean | undefined {
  let at = 0;
  let place: Place = "value";
  /** What is open around the place: true for an object. */
  const open: boolean[] = [];

  return (characters) => {
    const end = at + characters;
    while (at < text.length) {
      if (at >= end) return undefined;
      if (!(place === "in text" || place === "in name" ? readText(end) : readSign())) return false;
    }
    return place === "after value" && open.length === 0;
  };

  /** To the closing quote, or to `end`. */
  function readText(end: number): boolean {
    for (; at < end && at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === quote) {
        at += 1;
        place = place === "in name" ? "colon" : "after value";
        return true;
      }
      if (code < 0x20) return false;
      if (code !== backslash) continue;
      if (!skip(escaped)) return false;
      at -= 1;
    }
    return true;
  }

  function readSign(): boolean {
    const code = text.charCodeAt(at);
    if (isSpace(code)) {
      at += 1;
      return true;
    }
    switch (place) {
      case "value or end":
        return code === closeList ? close(code) : readValue(code);
      case "value":
        return readValue(code);
      case "name or end":
        return code === closeObject ? close(code) : code === quote && step("in name");
      case "name":
        return code === quote && step("in name");
      case "colon":
        return code === colon && step("value");
      default:
        if (open.length === 0) return false;
        return code === comma ? step(open.at(-1) ? "name" : "value") : close(code);
    }
  }

  function readValue(code: number): boolean {
    if (code === quote) return step("in text");
    if (code === openObject || code === openList) {
      open.push(code === openObject);
      return step(code === openObject ? "name or end" : "value or end");
    }
    place = "after value";
    return skip(scalar);
  }

  function close(code: number): boolean {
    return code === (open.pop() ? closeObject : closeList) && step("after value");
  }

  function step(to: Place): true {
    at += 1;
    place = to;
    return true;
  }

  function skip(pattern: RegExp): boolean {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  }
}
