import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyDelta, deltaOf, sizeOfDelta } from "../../../src/domain/text-delta.ts";

const message = (n: number, characters = 400) => ({
  id: `m${n}`,
  role: "user",
  content: `${n} `.repeat(characters / 2),
});
const messages = (count: number) => Array.from({ length: count }, (_, n) => message(n));

/** What two texts have in common lies anywhere, and pairs of surrogates among it. */
const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom('"', '{"', "😀", "😁", "é", "\ud83d", "\ude00", '"content":"', "x".repeat(5_000), "y".repeat(40)),
);
const texts = fc
  .tuple(fc.array(piece, { maxLength: 12 }), fc.array(fc.tuple(fc.nat(11), piece, fc.boolean()), { maxLength: 6 }))
  .map(([pieces, changes]) => {
    const changed = [...pieces];
    for (const [at, other, isMore] of changes) changed.splice(at, isMore ? 0 : 1, other);
    return [pieces.join(""), changed.join("")] as const;
  });

describe("a text as what it has of another one", () => {
  it("is that text again, whatever both are", () => {
    fc.assert(
      fc.property(texts, ([base, text]) => {
        expect(applyDelta(base, deltaOf(base, text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it("never cuts a character in half", () => {
    fc.assert(
      fc.property(texts, ([base, text]) => {
        fc.pre(base.isWellFormed() && text.isWellFormed());
        for (const part of deltaOf(base, text)) if (typeof part === "string") expect(part.isWellFormed()).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["nothing", { messages: messages(50) }, { messages: messages(50) }, 40],
    ["a message at the end", { messages: messages(50) }, { messages: messages(51) }, 760],
    [
      "a message, and a number before it",
      { steps: 1, messages: messages(50) },
      { steps: 2, messages: messages(51) },
      800,
    ],
    [
      "a message, and a number after it",
      { messages: messages(50), steps: 1 },
      { messages: messages(51), steps: 2 },
      800,
    ],
    [
      "two lists",
      { steps: 1, messages: messages(50), documents: messages(20), ok: true },
      { steps: 2, messages: messages(51), documents: messages(21), ok: false },
      1_600,
    ],
    ["the first message", { messages: messages(50) }, { messages: messages(50).slice(1) }, 100],
    [
      "all around it",
      { a: 1, values: { messages: messages(50) }, z: 1 },
      { config: { b: 2 }, values: { messages: messages(50) } },
      200,
    ],
    [
      "a message in the middle",
      { messages: messages(50) },
      { messages: messages(50).toSpliced(20, 1, message(99)) },
      800,
    ],
  ])("stores no more than what has changed: %s", (_, before, after, most) => {
    const [base, text] = [JSON.stringify(before), JSON.stringify(after)];
    const delta = deltaOf(base, text);
    expect(applyDelta(base, delta)).toBe(text);
    expect(sizeOfDelta(delta)).toBeLessThanOrEqual(most);
  });

  it("has few parts, however much has changed", () => {
    const lines = (n: number) =>
      JSON.stringify(Array.from({ length: 5_000 }, (_, at) => ({ at, text: "x".repeat(40), n })));
    const delta = deltaOf(lines(1), lines(2));
    expect(delta.length).toBeLessThan(250);
    expect(applyDelta(lines(1), delta)).toBe(lines(2));
  });
});
