import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unpackSegment } from "../../../src/checkpoints/packed-segment.ts";
import { loadValue, type StoredValue, storeValue } from "../../../src/checkpoints/segment-list.ts";

/** Stores one value after the other and keeps every segment ever written. */
function store() {
  const segments: Record<string, Uint8Array> = {};
  let written = 0;
  return {
    segments,
    written: () => written,
    next(bytes: Uint8Array, former?: StoredValue): StoredValue {
      const { stored, segments: added } = storeValue({ type: "json", bytes }, former);
      for (const segment of added) {
        segments[segment.segmentId] = segment.bytes;
        written += unpackSegment(segment).length;
      }
      return stored;
    },
  };
}

const partsOf = ({ value }: StoredValue) => ("parts" in value ? value.parts : []);

describe("storeValue", () => {
  it("gives back every version of any series of values", () => {
    const change = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ cut: fc.nat(3), add: fc.uint8Array({ minLength: 1, maxLength: 2_000, size: "max" }) }),
      },
      { weight: 1, arbitrary: fc.record({ cut: fc.nat(20_000), add: fc.uint8Array({ maxLength: 400, size: "max" }) }) },
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60, size: "max" }), (changes) => {
        const { next, segments } = store();
        const versions: { stored: StoredValue; bytes: Buffer }[] = [];
        let bytes = Buffer.alloc(0);
        for (const { cut, add } of changes) {
          bytes = Buffer.concat([bytes.subarray(0, Math.max(0, bytes.length - cut)), add]);
          versions.push({ bytes, stored: next(bytes, versions.at(-1)?.stored) });
        }
        for (const { stored, bytes } of versions) {
          expect(Buffer.compare(loadValue(stored.value, segments).bytes, bytes)).toBe(0);
          expect(partsOf(stored).length).toBeLessThan(40);
        }
      }),
      { numRuns: 60, interruptAfterTimeLimit: 20_000 },
    );
  });

  it("writes nothing for the same bytes, and the rest alone for longer ones", () => {
    const { next, segments, written } = store();
    const first = next(Buffer.alloc(1_000, "a"));
    expect(next(Buffer.alloc(1_000, "a"), first)).toBe(first);
    const second = next(Buffer.alloc(1_500, "a"), first);
    expect(written()).toBe(1_500);
    const [one, other] = Object.keys(segments);
    expect(partsOf(second)).toEqual([
      { segmentId: one, length: 1_000 },
      { segmentId: other, length: 500 },
    ]);
  });

  it("starts anew when little is shared, and keeps small values inline", () => {
    const { next, segments } = store();
    const first = next(Buffer.concat([Buffer.alloc(100, "a"), Buffer.alloc(900, "b")]));
    const second = next(Buffer.concat([Buffer.alloc(100, "a"), Buffer.alloc(900, "c")]), first);
    expect(partsOf(second)).toEqual([{ segmentId: Object.keys(segments)[1], length: 1_000 }]);
    expect(next(Buffer.alloc(256), second).value).toHaveProperty("inline");
    expect(Object.keys(segments)).toHaveLength(2);
  });

  it("merges as a list grows: few parts, and each byte is written a few times only", () => {
    const log = store();
    let stored: StoredValue | undefined;
    for (let step = 1; step <= 1_000; step++) stored = log.next(Buffer.alloc(step * 1_000, "m"), stored);
    expect(partsOf(stored!).length).toBeLessThanOrEqual(28);
    expect(log.written()).toBeLessThan(6 * 1_000 * 1_000);
  });

  it("cuts what no document could hold", () => {
    const { next, segments } = store();
    const bytes = Buffer.alloc(9 * 1024 * 1024, "z");
    const stored = next(bytes);
    expect(partsOf(stored)).toHaveLength(9);
    expect(loadValue(stored.value, segments).bytes.length).toBe(bytes.length);
  });
});

describe("loadValue", () => {
  it("throws when a segment is missing or too short", () => {
    const value = { type: "json", parts: [{ segmentId: "a", length: 3 }] };
    expect(() => loadValue(value, {})).toThrow(/missing/);
    expect(() => loadValue(value, { a: Buffer.from("ab") })).toThrow(/missing/);
    expect(Buffer.from(loadValue(value, { a: Buffer.from("abcd") }).bytes).toString()).toBe("abc");
  });
});
