import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/** What became of one test, as vitest's report has it. */
export interface Outcome {
  readonly name: string;
  readonly status: "passed" | "failed" | "other";
  /** The first line of the error. */
  readonly error: string;
}

interface Report {
  readonly testResults: readonly {
    readonly message?: string;
    readonly assertionResults: readonly { fullName: string; status: string; failureMessages?: readonly string[] }[];
  }[];
}

/** Runs the tests of the files whose names hold one of the texts. Throws when there is no report, or a file cannot load. */
export function runTests(
  folder: string,
  tests: readonly { readonly test: string; readonly name: string }[],
): Outcome[] {
  const file = join(folder, "report.json");
  rmSync(file, { force: true });
  const names = [...new Set(tests.map(({ name }) => patternOf(name)))];
  const { stderr, stdout } = spawnSync(
    process.execPath,
    [
      ...[join(folder, "node_modules/vitest/vitest.mjs"), "run", "--maxWorkers=1", "--reporter=json"],
      ...[`--outputFile=${file}`, "-t", names.join("|"), ...new Set(tests.map(({ test }) => test))],
    ],
    // The tests' own processes are to run on the same Node.
    {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    },
  );
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Error(`vitest left no report: ${(stderr || stdout).slice(-2_000)}`);
  }
  const outcomes = report.testResults.flatMap(({ message, assertionResults }) => {
    if (assertionResults.length === 0) throw new Error(`a test file could not be loaded: ${message}`);
    return assertionResults;
  });
  return outcomes.map(({ fullName, status, failureMessages }) => ({
    name: fullName,
    status: status === "passed" || status === "failed" ? status : "other",
    error: (failureMessages?.[0] ?? "").split("\n", 1)[0]!,
  }));
}

/** vitest filters by names in which " > " parts a group from its tests, and reports them with a blank there. */
function patternOf(name: string): string {
  return name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(" ", "( > | )");
}
