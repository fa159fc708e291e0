import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

/** What one pass of vitest came to. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  /** One line for each failure: where it is, and the first line of its error. */
  failures: string[];
}

type SerializedError = Parameters<NonNullable<Reporter["onTestRunEnd"]>>[1][number];

/** Writes a pass's totals to the file named by REINS_TEST_REPORT. What fails outside of any test counts as a failure of its own. */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const failures: string[] = [];
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      for (const test of module.children.allTests()) {
        const result = test.result();
        count[result.state] += 1;
        if (result.state === "failed") failures.push(`${file}: ${test.fullName}: ${firstLine(result.errors[0])}`);
      }
      const outside = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
      failures.push(...outside.map((error) => `${file}: outside of a test: ${firstLine(error)}`));
    }
    failures.push(
      ...unhandled.map((error) => `outside of any test: ${error.name}: ${firstLine(error)} ${whereOf(error)}`),
    );
    const report: Totals = {
      passed: count.passed,
      failed: failures.length,
      skipped: count.skipped + count.pending,
      failures,
    };
    writeFileSync(String(process.env.REINS_TEST_REPORT), JSON.stringify(report));
  }
}

function firstLine(error: SerializedError | undefined): string {
  return String(error?.message ?? "").split("\n", 1)[0] ?? "";
}

/** The frames of an error that nobody awaited are all that tells where it comes from. */
function whereOf(error: SerializedError): string {
  const frames = (error.stack ?? "").split("\n").slice(1, 6);
  return frames.map((frame) => frame.trim().replace(`${process.cwd()}/`, "")).join(" < ");
}
