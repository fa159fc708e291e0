import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Answers, compare } from "../differential/compare.ts";
import { readKnownDifferences } from "../differential/known-differences.ts";
import { normalise } from "../differential/normalise.ts";

/** The comparison with other servers is only worth something if it can fail. */
const folder = mkdtempSync(join(tmpdir(), "reins-table-"));
afterAll(() => rmSync(folder, { recursive: true }));

function table(...rows: string[]) {
  const file = join(folder, "table.md");
  const head = "| id | calls | place | Reins | Python | JavaScript | reason |\n|---|---|---|---|---|---|---|\n";
  writeFileSync(file, `# Title\n\n${head}${rows.join("\n")}\n\nAfter it.\n`);
  return readKnownDifferences(file);
}

const answers = (body: unknown): Answers => new Map([["thread/get", { status: 200, body }]]);
const ours = answers({ status: "idle", n: 1 });

describe("the comparison with other servers", () => {
  it("counts equal answers", () => {
    const { totals, unlisted } = compare(ours, { python: ours, javascript: ours }, []);
    expect([totals.equal, unlisted]).toEqual([2, []]);
  });

  it("tells a difference that is not listed", () => {
    const python = answers({ status: "busy", n: 1 });
    const { totals, unlisted } = compare(ours, { python, javascript: ours }, []);
    expect(totals.unlisted).toBe(1);
    expect(unlisted).toEqual([
      { peer: "python", call: "thread/get", place: "body/status", ours: "idle", theirs: "busy" },
    ]);
  });

  it("leaves what JavaScript alone does to JavaScript", () => {
    const javascript = answers({ status: "busy", n: 1 });
    expect(compare(ours, { python: ours, javascript }, []).totals).toMatchObject({ equal: 1, theirs: 1 });
    const python = answers({ status: "error", n: 1 });
    expect(compare(ours, { python, javascript }, []).totals.unlisted).toBe(2);
  });

  it("accepts what is listed, with the values that are listed", () => {
    const row = '| one | `thread/*` | `body/status` | `"idle"` | `"b*y"` | = | because |';
    const busy = compare(ours, { python: answers({ status: "busy", n: 1 }), javascript: ours }, table(row));
    expect([busy.totals.listed, busy.unused]).toEqual([1, []]);
    const other = compare(ours, { python: answers({ status: "error", n: 1 }), javascript: ours }, table(row));
    expect([other.totals.unlisted, other.unused]).toEqual([1, ["one python"]]);
  });

  it("tells what is listed and does not occur, unless it does so now and then", () => {
    const rows = table(
      "| gone | `*/*` | `body/n` | one | another | = | because |",
      "| rare | `*/*` | `body/n` | one | sometimes another | = | because |",
    );
    expect(compare(ours, { python: ours, javascript: ours }, rows).unused).toEqual(["gone python"]);
  });

  it("refuses a table that gives no reason", () => {
    expect(() => table("| one | `*/*` | `body` | a | b | = | |")).toThrow("no reason");
  });

  it("sees no difference in ids, times and the order of names, but sees ids that are mixed up", () => {
    const [one, two] = ["0d7f9b1e-3c55-4c1a-8f0e-5a8f6d2b7c11", "5b0f3c70-7a52-4c67-9d0e-3f6a2b1c9d84"] as const;
    const names = (thread: string, run: string) =>
      new Map([
        [thread, "thread"],
        [run, "run"],
      ]);
    const heard = (thread: string, run: string, at: string) => ({
      body: { at, run: `/threads/${thread}/runs/${run}` },
    });
    const first = normalise({ heard: heard(one, two, "2026-01-01T00:00:00.000001+00:00"), names: names(one, two) });
    const second = normalise({ heard: heard(two, one, "2026-02-01T00:00:00.000001+00:00"), names: names(two, one) });
    const mixed = normalise({ heard: heard(one, two, "2026-02-01T00:00:00.000001+00:00"), names: names(two, one) });
    expect(first).toEqual(second);
    expect(first).not.toEqual(mixed);
  });
});
