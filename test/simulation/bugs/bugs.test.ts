import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { broken } from "../../../scripts/break-laws/copy.ts";
import { bugs } from "./bugs.ts";
import { findBugs } from "./find-bugs.ts";

const source = join(import.meta.dirname, "../../../src");

describe("the bugs of the simulation", () => {
  it.each(bugs)("can still be put in: $what", (bug) => {
    const file = join(source, bug.file);
    expect(existsSync(file)).toBe(true);
    const text = readFileSync(file, "utf8");
    expect(broken(bug, text)).not.toBe(text);
  });

  it("are found, each by the schedule that has found it before, or within 8,000", {
    timeout: 30 * 60_000,
  }, async () => {
    const wanted = bugs.flatMap(({ isHardToFind }, index) => (isHardToFind ? [] : [index]));
    const found = await findBugs({ seeds: 8_000, wanted, recordedFirst: true });
    expect(found.filter(({ seed }) => seed === undefined)).toEqual([]);
  });
});
