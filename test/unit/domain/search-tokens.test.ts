import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkValueFilter, filterTokens, metadataTokens, valueTokens } from "../../../src/domain/search-tokens.ts";

const matches = (metadata: object, filter: object, owner = "") => {
  const tokens = metadataTokens(owner, metadata as Record<string, unknown>);
  return filterTokens("", filter as Record<string, unknown>).every((token) => tokens.includes(token));
};
const matchesValues = (values: unknown, filter: object) => {
  const tokens = valueTokens("", JSON.stringify(values));
  return filterTokens("", filter as Record<string, unknown>).every((token) => tokens.includes(token));
};

const data = fc.object({
  key: fc.constantFrom("a", "b", "a.b", "$a", "", "__proto__", "1"),
  values: [fc.constantFrom<unknown>(0, 1, "0", "a", "", true, null)],
  maxDepth: 3,
});

/** The promise, said the other way: an object matches one with at least its fields; all else by its very value. */
function contains(whole: unknown, part: unknown): boolean {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(part)) return JSON.stringify(sorted(whole)) === JSON.stringify(sorted(part));
  return (
    isObject(whole) &&
    Object.entries(part).every(([name, value]) => Object.hasOwn(whole, name) && contains(whole[name], value))
  );
}
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return [
    "object",
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  ];
};

describe("tokens", () => {
  it("match where the filter is contained, and only there", () => {
    fc.assert(
      fc.property(data, data, (metadata, filter) => {
        expect(matches(metadata, filter)).toBe(contains(metadata, filter));
      }),
      { numRuns: 2000 },
    );
  });

  it("match a part of what they are made of", () => {
    fc.assert(
      fc.property(data, (metadata) => {
        expect(matches(metadata, metadata)).toBe(true);
        expect(matches({ ...metadata, more: { and: [1] } }, metadata)).toBe(true);
        expect(matches(metadata, { ...metadata, more: { and: [1] } })).toBe(false);
      }),
    );
  });

  it.each([
    [{ a: { b: 1 } }, { "a.b": 1 }],
    [{ a: 1 }, { a: "1" }],
    [{ a: null }, { b: null }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: [1, 2] }, { a: 1 }],
    [{ a: 1 }, { a: {} }],
    [{ a: {} }, { a: null }],
    [{ a: { fields: [["b", 1]] } }, { a: { b: 1 } }],
    [{ a: [{ fields: [["b", 1]] }] }, { a: [{ b: 1 }] }],
  ])("of %j do not match %j", (metadata, filter) => {
    expect(matches(metadata, filter)).toBe(false);
  });

  it("of one owner do not match another's", () => {
    expect(matches({ a: 1 }, { a: 1 }, "someone")).toBe(false);
  });

  it("of values leave lists and long texts out", () => {
    const values = { list: [1, { x: 1 }], long: "x".repeat(257), most: "x".repeat(256), deep: { list: [], n: 0 } };
    expect(matchesValues(values, { most: values.most, deep: { n: 0 } })).toBe(true);
    expect(matchesValues(values, { list: values.list })).toBe(false);
    expect(matchesValues(values, { long: values.long })).toBe(false);
    for (const text of [undefined, "[1]", "7", "null", '"x"']) expect(valueTokens("", text)).toEqual([]);
    expect(() => checkValueFilter({ deep: { list: [1] } }, "filter.values")).toThrow(/"deep.list" is a list/);
    expect(() => checkValueFilter({ long: values.long }, "filter.values")).toThrow(/"long" is a longer text/);
  });

  it("of many values keep those next to the root", () => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`n${i}`, i]));
    expect(valueTokens("", JSON.stringify({ many, top: 1 }))).toHaveLength(1000);
    expect(matchesValues({ many, top: 1 }, { top: 1 })).toBe(true);
  });
});
