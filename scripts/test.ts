import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capabilities } from "../test/support/capabilities.ts";
import type { Totals } from "./test-reporter.ts";

/**
 * `npm test`: every test on the best engine that the machine has; then, where there is a second one, those again whose result
 * depends on the engine. Ends with the totals of all passes. Arguments go to vitest, as a filter, for the first pass only.
 */

/** What a second engine could do otherwise. */
const engineTests = ["engine-facts", "test/integration/database", "checkpoint", "law-01", "law-05", "law-06", "law-09"];

const folder = mkdtempSync(join(tmpdir(), "reins-results-"));
const filters = process.argv.slice(2);
const skipsFail = process.env.REINS_TEST_SKIPS === "fail";

const missing = Object.entries(capabilities).filter(([, capability]) => !capability.has());
const totals = [vitest("all", filters, {})];
if (filters.length === 0 && !missing.some(([name]) => name === "second engine")) {
  console.log("\nOnce more what depends on the engine, on SecantusDB for Python:");
  totals.push(vitest("python", engineTests, { REINS_TEST_ENGINE: "secantusd-py" }));
}
rmSync(folder, { recursive: true, force: true });

for (const [name, { needs, skips }] of missing)
  console.log(`skipped: ${skips}; there is no ${name} here. It needs ${needs}.`);
const sum = (field: "passed" | "failed" | "skipped") => totals.reduce((all, one) => all + one[field], 0);
const forbidden = skipsFail ? missing.length + sum("skipped") : 0;
if (forbidden > 0) console.log(`${forbidden} skips count as failures here.`);
const failed = sum("failed") + forbidden;
if (process.env.REINS_TEST_TOTALS) {
  writeFileSync(process.env.REINS_TEST_TOTALS, JSON.stringify({ passed: sum("passed"), failed }));
}
for (const line of totals.flatMap((one) => one.failures)) console.log(`failed: ${line}`);
console.log(`${sum("passed")} passed, ${failed} failed`);
process.exitCode = failed > 0 || sum("passed") === 0 ? 1 : 0;

function vitest(name: string, args: readonly string[], env: Record<string, string>): Totals {
  const file = join(folder, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=./scripts/test-reporter.ts"];
  const { status } = spawnSync("vitest", ["run", ...reporters, ...args], {
    stdio: "inherit",
    env: { ...process.env, ...env, REINS_TEST_REPORT: file },
  });
  try {
    const totals: Totals = JSON.parse(readFileSync(file, "utf8"));
    if (status === 0 || totals.failed > 0) return totals;
    return { ...totals, failed: 1, failures: [`${name}: vitest ended with ${status}`] };
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, failures: [`${name}: vitest left no report (${error})`] };
  }
}
