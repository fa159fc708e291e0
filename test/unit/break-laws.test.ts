import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { breaks } from "../../scripts/break-laws/breaks.ts";

/** `scripts/break-laws.ts` takes long and is run by hand; that its faults can still be put in is seen each time. */
const root = join(import.meta.dirname, "../..");

describe("the deliberate faults", () => {
  it.each(breaks)("of law $law in $file finds its lines, and its test", ({ file, lines, test }) => {
    const source = readFileSync(join(root, file), "utf8");
    for (const [from] of lines) expect(source.split(from)).toHaveLength(2);
    expect(existsSync(join(root, test))).toBe(true);
  });
});
