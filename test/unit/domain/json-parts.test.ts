import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonPart, jsonParts } from "../../../src/domain/json-parts.ts";

const parsed = (text: string) => [...jsonParts(text)].map(([name, part]) => [name, JSON.parse(part) as unknown]);

describe("the parts of a JSON text", () => {
  it("are those of the value that it is, however it is written", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        const isParted = typeof value === "object" && value !== null;
        const parts = Array.isArray(value) ? [...value.entries()] : Object.entries(isParted ? value : {});
        const wanted = JSON.parse(JSON.stringify(parts)) as [string | number, unknown][];
        // A name like "0" is sorted to the front of an object that is read.
        const byName = (all: unknown[][]) => all.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
        expect(byName(parsed(text))).toEqual(byName(wanted));
      }),
    );
  });

  it.each<[string, string | number, string | undefined]>([
    ['{"a":{"b":1},"c":[2]}', "c", "[2]"],
    ['{"a\\"":"}","b":"\\\\"}', "b", '"\\\\"'],
    ['{"a":1,"a":2}', "a", "2"],
    ["[[1],2,3]", 0, "[1]"],
    ["[[1],2,3]", -1, "3"],
    ["[[1],2,3]", 3, undefined],
    ["[[1],2,3]", "0", undefined],
    ['{"0":1}', 0, undefined],
    ['{"a":1}', -1, undefined],
    ["[]", -1, undefined],
    ["7", "a", undefined],
    ['"[1]"', 0, undefined],
  ])("%s at %j is %s", (text, wanted, part) => {
    expect(jsonPart(text, wanted)).toBe(part);
  });
});
