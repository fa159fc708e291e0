/**
 * A text as what it has of another one, its base: literal parts, and pairs of numbers for what is taken from the base: where it
 * begins there, and how many characters it has.
 *
 * @example ["{\"step\":2", 9, 4096] is `{"step":2` and the base's characters 9 to 4104.
 */
export type TextDelta = readonly (string | number)[];

/** What a delta costs where it is stored, beside its literal characters. */
const partCharacters = 16;
/** A shorter stretch is not worth a pair of numbers. */
const leastCopied = 32;
/** What follows a quotation mark tells where in the base to look: as many characters of it. */
const anchorCharacters = 24;
/** So many anchors of a base are known, and as many places in the text looked up in vain: what a large text costs at most. */
const maxAnchors = 5_000;
/** The database pays for each part of a list. */
const maxCopies = 64;
const compared = 4096;

/** Texts that grew in several places are found by what stands behind quotation marks; all others by their beginning and end. */
export function deltaOf(base: string, text: string): TextDelta {
  const head = sameAfter(base, 0, text, 0);
  const tail = sameBefore(base, base.length, head, text, text.length, head);
  const middle = { from: head, to: text.length - tail };
  return joined([
    ...copied(0, head),
    ...parts(base, { from: head, to: base.length - tail }, text, middle),
    ...copied(base.length - tail, tail),
  ]);
}

export function applyDelta(base: string, delta: TextDelta): string {
  let text = "";
  for (let place = 0; place < delta.length; place += 1) {
    const part = delta[place]!;
    if (typeof part === "string") text += part;
    else {
      place += 1;
      text += base.slice(part, part + (delta[place] as number));
    }
  }
  return text;
}

/** The characters that it takes to store. */
export function sizeOfDelta(delta: TextDelta): number {
  return delta.reduce<number>((sum, part) => sum + partCharacters + (typeof part === "string" ? part.length : 0), 0);
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** What lies between the same beginning and the same end. */
function parts(base: string, inBase: Range, text: string, { from, to }: Range): (string | number)[] {
  const found: (string | number)[] = [];
  const isWorthIt = to - from >= leastCopied && inBase.to - inBase.from >= leastCopied;
  const anchors = isWorthIt ? anchorsOf(base, inBase) : new Map<string, number[]>();
  let literal = from;
  let expected = inBase.from;
  let vain = 0;
  let at = anchors.size === 0 ? -1 : text.indexOf('"', from);
  while (at !== -1 && at < to && vain < maxAnchors && found.length < maxCopies * 3) {
    const place = firstFrom(anchors.get(text.slice(at, at + anchorCharacters)), expected);
    const after = place === undefined ? 0 : sameAfter(base, place, text.slice(0, to), at);
    if (place === undefined || after < leastCopied) {
      vain += 1;
      at = text.indexOf('"', at + 1);
      continue;
    }
    const before = sameBefore(base, place, 0, text, at, literal);
    found.push(text.slice(literal, at - before), place - before, before + after);
    literal = at + after;
    expected = place + after;
    at = text.indexOf('"', literal);
  }
  return [...found, text.slice(literal, to)];
}

/** Where what stands behind quotation marks of the base is; in order, and no closer to each other than a copy is long. */
function anchorsOf(base: string, { from, to }: Range): Map<string, number[]> {
  const apart = Math.max(leastCopied, Math.ceil((to - from) / maxAnchors));
  const anchors = new Map<string, number[]>();
  for (let at = base.indexOf('"', from); at !== -1 && at < to; at = base.indexOf('"', at + apart)) {
    const key = base.slice(at, at + anchorCharacters);
    const places = anchors.get(key);
    if (places) places.push(at);
    else anchors.set(key, [at]);
  }
  return anchors;
}

/** The first one there or behind it, since most of a text stands in the order of its base; else the first of all. */
function firstFrom(places: readonly number[] | undefined, expected: number): number | undefined {
  if (places === undefined) return undefined;
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! < expected) low = middle + 1;
    else high = middle;
  }
  return places[low] ?? places[0];
}

/** How many characters are the same from there on. Never half of a pair that is one character together. */
function sameAfter(base: string, inBase: number, text: string, inText: number): number {
  const most = Math.min(base.length - inBase, text.length - inText);
  let same = 0;
  while (
    same + compared <= most &&
    base.slice(inBase + same, inBase + same + compared) === text.slice(inText + same, inText + same + compared)
  )
    same += compared;
  while (same < most && base.charCodeAt(inBase + same) === text.charCodeAt(inText + same)) same += 1;
  return same > 0 && isFirstHalf(text.charCodeAt(inText + same - 1)) ? same - 1 : same;
}

/** How many are the same before there, down to where each may go. */
function sameBefore(base: string, inBase: number, leastBase: number, text: string, inText: number, leastText: number) {
  const most = Math.min(inBase - leastBase, inText - leastText);
  let same = 0;
  while (
    same + compared <= most &&
    base.slice(inBase - same - compared, inBase - same) === text.slice(inText - same - compared, inText - same)
  )
    same += compared;
  while (same < most && base.charCodeAt(inBase - same - 1) === text.charCodeAt(inText - same - 1)) same += 1;
  return same > 0 && isSecondHalf(text.charCodeAt(inText - same)) ? same - 1 : same;
}

const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isSecondHalf = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

const copied = (from: number, characters: number): number[] => (characters > 0 ? [from, characters] : []);

/** Without empty parts. */
const joined = (delta: TextDelta): TextDelta => delta.filter((part) => part !== "");
