import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packSegment, segmentBytes, unpackSegment } from "../../../src/checkpoints/packed-segment.ts";

describe("a segment", () => {
  it("gives back the bytes that it was made of, whatever they are", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 3_000 }),
      fc
        .array(fc.constantFrom("word ", "another ", '{"role":"user"},'), { maxLength: 400 })
        .map((words) => Buffer.from(words.join(""))),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        expect(Buffer.compare(unpackSegment(packSegment(given)), given)).toBe(0);
      }),
    );
  });

  it("takes less than it holds where that is text, and no more where it is not", () => {
    const text = Buffer.from(
      JSON.stringify(Array.from({ length: 100 }, (_, n) => ({ role: "user", content: `line ${n}` }))),
    );
    expect(packSegment(text).bytes.length).toBeLessThan(text.length / 4);
    const noise = randomBytes(4_096);
    expect(packSegment(noise).bytes).toBe(noise);
    // What is compressed already is not taken for one of ours.
    const packed = packSegment(text).bytes;
    expect(unpackSegment({ segmentId: "by another hand", bytes: packed })).toBe(packed);
  });

  it("holds no more than a segment may, whatever its bytes say", () => {
    const bomb = packSegment(Buffer.alloc(segmentBytes + 1));
    expect(() => unpackSegment(bomb)).toThrow();
    expect(() => unpackSegment({ segmentId: bomb.segmentId, bytes: Buffer.from("no zstd") })).toThrow();
    expect(unpackSegment(packSegment(Buffer.alloc(segmentBytes))).length).toBe(segmentBytes);
  });
});
