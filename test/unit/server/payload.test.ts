import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromPayload, PayloadFormat, toPayload } from "../../../src/client/index.ts";

describe.each([
  ["json", PayloadFormat.JSON],
  ["value", PayloadFormat.VALUE],
] as const)("a payload as %s", (encoding, format) => {
  test("gives back any JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const payload = toPayload(value, format);
        expect(payload.encoding.case).toBe(encoding);
        expect(fromPayload(payload)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test.each([undefined, () => {}, Symbol("s")])("refuses what is no JSON (%s)", (value) => {
    expect(() => toPayload(value, format)).toThrow(TypeError);
  });
});

test("a payload that was left out is undefined, not null", () => {
  expect(fromPayload(undefined)).toBeUndefined();
  expect(fromPayload(toPayload(null))).toBeNull();
});
