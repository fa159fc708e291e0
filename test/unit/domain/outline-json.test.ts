import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outlineJson } from "../../../src/domain/outline-json.ts";
import { valueTokens } from "../../../src/domain/search-tokens.ts";

const everything = { maxText: Number.POSITIVE_INFINITY, maxDepth: Number.POSITIVE_INFINITY };

describe("an outline of JSON", () => {
  it.each([
    ['{"a":[1,{"b":"]"}],"c":1}', {}, { a: [], c: 1 }],
    ['{"a":{"b":{"c":1}},"d":2}', { maxDepth: 2 }, { a: { b: [] }, d: 2 }],
    ['{"a":{"b":{"c":"}"}},"d":2}', { maxDepth: 1 }, { a: [], d: 2 }],
    ['{"a":"long \\\\\\" text","b":"kept"}', { maxText: 6 }, { a: [], b: "kept" }],
    ['{"a name that is long" : 1, "b":"x"}', { maxText: 6 }, { "": 1, b: "x" }],
    ["[1,2]", {}, []],
    ["7", {}, 7],
  ])("of %s with %j", (text, options, outline) => {
    expect(JSON.parse(outlineJson(text, { ...everything, ...options }))).toEqual(outline);
  });

  it("is the value itself where there are no lists", () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.dictionary(fc.string(), tie("value"))),
    })).value;
    fc.assert(
      fc.property(value, (one) => {
        expect(JSON.parse(outlineJson(JSON.stringify(one, null, 1), everything))).toEqual(
          JSON.parse(JSON.stringify(one)),
        );
      }),
    );
  });
});

describe("the tokens of large values", () => {
  it("are those of the same values without their lists and long texts", () => {
    const plain = { customer: "c", nested: { kind: 1, 'a \\\\ "name"': null } };
    const large = { messages: Array(100_000).fill("text"), ...plain, long: "x".repeat(10_000) };
    const small = { messages: [], ...plain, long: "x".repeat(300) };
    expect(valueTokens("o", JSON.stringify(large))).toEqual(valueTokens("o", JSON.stringify(small)));
    expect(valueTokens("o", JSON.stringify(large))).toHaveLength(4);
  });

  it("are those at the top where there are too many plain values, and none where those are too many as well", () => {
    const many = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`k${i}`, i]));
    expect(valueTokens("o", JSON.stringify({ customer: "c", many }))).toEqual(valueTokens("o", '{"customer":"c"}'));
    expect(valueTokens("o", JSON.stringify(many))).toEqual([]);
  });
});
