import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const documents = globSync(["*.md", "docs/*.md", "test/*/README.md", "bench/README.md"], { cwd: root });

/** What looks like the path of a file or a folder of this project. */
const pathPattern = /^(?:[\w@.-]+\/)*[\w@*.-]+(?:\.(?:ts|mjs|tsx|md|json|proto|sh|py|go|yaml)|\/)$/;

/** Paths stand as they are seen from the root, from `src/`, or from the document. */
const found = (path: string, document: string): boolean =>
  [root, join(root, "src"), join(root, "src/worker"), dirname(join(root, document))].some((from) =>
    path.includes("*") ? globSync(path, { cwd: from }).length > 0 : existsSync(join(from, path)),
  );

describe("the documents", () => {
  it.each(documents)("%s names files that are there", (document) => {
    const text = readFileSync(join(root, document), "utf8").replace(/^```.*?^```/gms, "");
    const paths = [...text.matchAll(/`([^`\s]+)`/g)].map(([, path]) => path!).filter((path) => pathPattern.test(path));
    expect(paths.filter((path) => path.includes("/") && !path.startsWith(".reins/") && !found(path, document))).toEqual(
      [],
    );
  });

  it("are looked at, and would be missed", () => {
    expect(documents).toContain("ARCHITECTURE.md");
    expect(pathPattern.test("domain/thread/lane.ts")).toBe(true);
    expect(found("domain/thread/lame.ts", "ARCHITECTURE.md")).toBe(false);
  });
});
