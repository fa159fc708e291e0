import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** Each defect of other servers that docs/defects.md lists is kept out by the tests that it names. */
const root = join(import.meta.dirname, "../..");
const rows = readFileSync(join(root, "docs/defects.md"), "utf8")
  .split("\n")
  .flatMap((line) => {
    const cells = line.split("|").map((cell) => cell.trim());
    return /^[SJB]\d+$/.test(cells[1] ?? "") ? [{ id: cells[1]!, tests: testsOf(cells[4]!) }] : [];
  });

function testsOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}

const upTo = (letter: string, last: number) => Array.from({ length: last }, (_, i) => `${letter}${i + 1}`);

describe("docs/defects.md", () => {
  it("lists every known defect once", () => {
    expect(rows.map(({ id }) => id)).toEqual([...upTo("S", 24), ...upTo("J", 8), ...upTo("B", 8)]);
  });

  it.each(rows)("names tests of $id that there are", ({ id, tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const test of tests) {
      const path = join(root, test);
      expect(existsSync(path), path).toBe(true);
      if (!test.startsWith("test/defects/")) continue;
      const titles = [...readFileSync(path, "utf8").matchAll(/["`]((?:[SJB]\d+, )*[SJB]\d+)(?:: |",)/g)];
      expect(titles.flatMap((title) => title[1]!.split(", "))).toContain(id);
    }
  });
});
