import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capabilities } from "../test/support/capabilities.ts";
import type { Totals } from "./test-reporter.ts";

/**
 * Runs tests and ends with the totals of all passes.
 *
 *     node scripts/test.ts spec         # npm test: the specification, on the best engine that the machine has
 *     node scripts/test.ts more         # npm run test:more: all else
 *     node scripts/test.ts spec more    # npm run test:all
 *     node scripts/test.ts spec law-06  # the files whose path contains this, of whatever suite
 */

/** What Reins promises: the laws, the contract of each call, the units. It needs nothing but Node and an engine. */
const spec = ["test/laws/", "test/rpc/", "test/rest/", "test/unit/"];
/** What a second engine could do otherwise. */
const engineTests = [
  "engine-facts",
  "test/integration/database",
  "test/integration/lanes",
  "test/integration/migrat",
  "test/integration/run-records",
  "test/integration/nudges",
  "test/integration/stores",
  "checkpoint",
  "law-01",
  "law-05",
  "law-06",
  "law-09",
  "examples/readme",
];

const folder = mkdtempSync(join(tmpdir(), "reins-results-"));
const [wanted, filters] = suitesAndFilters(process.argv.slice(2));
const totals: Totals[] = [];
const missing = wanted.includes("more")
  ? Object.entries(capabilities).filter(([, capability]) => !capability.has())
  : [];

if (filters.length > 0) totals.push(await vitest("filtered", filters));
else for (const suite of wanted) totals.push(...(suite === "spec" ? [await vitest("spec", spec)] : await runMore()));
rmSync(folder, { recursive: true, force: true });

for (const [name, { needs, skips }] of missing)
  console.log(`skipped: ${skips}; there is no ${name} here. It needs ${needs}.`);
const sum = (field: "passed" | "failed" | "skipped") => totals.reduce((all, one) => all + one[field], 0);
const forbidden = process.env.REINS_TEST_SKIPS === "fail" ? missing.length + sum("skipped") : 0;
if (forbidden > 0) console.log(`${forbidden} skips count as failures here.`);
const failed = sum("failed") + forbidden;
const failures = totals.flatMap((one) => one.failures);
if (process.env.REINS_TEST_TOTALS) {
  writeFileSync(process.env.REINS_TEST_TOTALS, JSON.stringify({ passed: sum("passed"), failed, failures }));
}
for (const line of failures) console.log(`failed: ${line}`);
console.log(`${sum("passed")} passed, ${failed} failed`);
process.exitCode = failed > 0 || sum("passed") === 0 ? 1 : 0;

type Suite = "spec" | "more";

function suitesAndFilters(args: readonly string[]): [Suite[], string[]] {
  const isSuite = (arg: string): arg is Suite => arg === "spec" || arg === "more";
  return [args.filter(isSuite), args.filter((arg) => !isSuite(arg))];
}

/**
 * Every other folder; then what depends on the engine once more on another, and meanwhile Reins beside LangGraph's own servers,
 * most of which is waiting.
 */
async function runMore(): Promise<Totals[]> {
  // Much of it waits, for a lease, a grace or a process: one worker more than there are cores keeps them busy.
  const excluded = spec.map((path) => `--exclude=${path}**`);
  const others = await vitest("more", [...excluded, "--maxWorkers=3"]);
  const log = join(folder, "differential.log");
  const beside = capabilities.python.has() ? differential(log) : undefined;
  const passes = [others];
  if (!missing.some(([name]) => name === "second engine")) {
    console.log("\nOnce more what depends on the engine, on SecantusDB for Python:");
    passes.push(await vitest("python", engineTests, { REINS_TEST_ENGINE: "secantusd-py" }));
  }
  if (beside) {
    passes.push(await beside);
    console.log("\nThe same calls of Reins and of LangGraph's own servers:");
    console.log(readFileSync(log, "utf8"));
  }
  return passes;
}

async function vitest(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<Totals> {
  const file = join(folder, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=./scripts/test-reporter.ts"];
  const status = await run("vitest", ["run", ...reporters, ...args], { ...env, REINS_TEST_REPORT: file });
  return totalsIn(file, name, status, "vitest");
}

async function differential(log: string): Promise<Totals> {
  const file = join(folder, "differential.json");
  const output = openSync(log, "w");
  const status = await run(process.execPath, ["test/differential/main.ts"], { REINS_TEST_TOTALS: file }, output);
  closeSync(output);
  return totalsIn(file, "differential", status, "the differential test");
}

/** The exit code; null when a signal has ended it. */
async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string>,
  output: "inherit" | number = "inherit",
): Promise<number | null> {
  const child = spawn(command, args, { stdio: ["ignore", output, output], env: { ...process.env, ...env } });
  const [status] = (await once(child, "exit")) as [number | null];
  return status;
}

/** What a pass has written; one that has written nothing, or failed without a failed test, is a failure all the same. */
function totalsIn(file: string, name: string, status: number | null, what: string): Totals {
  try {
    const { passed, failed, skipped = 0, failures = [] } = JSON.parse(readFileSync(file, "utf8")) as Partial<Totals>;
    const totals = { passed: passed ?? 0, failed: failed ?? 0, skipped, failures };
    if (status === 0 || totals.failed > 0) return totals;
    return { ...totals, failed: 1, failures: [`${name}: ${what} ended with ${status}`] };
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, failures: [`${name}: ${what} left no totals (${error})`] };
  }
}
