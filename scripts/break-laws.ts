import { type Break, breaks } from "./break-laws/breaks.ts";
import { copyCheckout } from "./break-laws/copy.ts";
import { type Outcome, runTests } from "./break-laws/vitest.ts";

/**
 * `node scripts/break-laws.ts [law ...]`: breaks the code on purpose, at one place at a time in a copy of the checkout, and
 * demands that the law's test fails of it, by an assertion of its own. Without numbers: all laws. Exit code 1 when a break
 * goes unnoticed, is not found, or the unbroken copy does not pass.
 */
const laws = process.argv.slice(2).map(Number);
const wanted = breaks.filter(({ law }) => laws.length === 0 || laws.includes(law));
if (wanted.length === 0 || laws.some((law) => !breaks.some((one) => one.law === law))) {
  throw new Error(`no such law: ${process.argv.slice(2).join(", ")}; there are breaks for 1 to 12`);
}

/** An error that says what was expected: of `expect`, or of a condition that a test has waited for in vain. */
const isAssertion = /^(AssertionError|Error: still not so after|Error: promise rejected .* instead of resolving)/;

const copy = copyCheckout(new URL("..", import.meta.url).pathname);
let failures = 0;
try {
  const whole = runTests(copy.folder, wanted);
  for (const one of wanted) {
    const found = of(one, whole);
    if (found.length > 0 && found.every(({ status }) => status === "passed")) continue;
    failures += 1;
    console.log(
      `unbroken, law ${one.law}: ${one.test}: "${one.name}": ${found.map(describe).join("; ") || "no such test"}`,
    );
  }
  console.log(
    `unbroken: ${failures === 0 ? `all ${whole.filter(({ status }) => status === "passed").length} tests pass` : "tests fail"}\n`,
  );
  for (const one of wanted) report(one, verdict(one));
} finally {
  copy.remove();
}
console.log(failures === 0 ? `\n${wanted.length} breaks, all noticed` : `\n${failures} of ${wanted.length} went wrong`);
process.exitCode = failures === 0 ? 0 : 1;

/** The assertion that failed. Throws when none did. */
function verdict(one: Break): Outcome | Error {
  try {
    const outcomes = copy.whileBroken(one, () => runTests(copy.folder, [one]));
    const noticed = of(one, outcomes).find(({ status, error }) => status === "failed" && isAssertion.test(error));
    return (
      noticed ??
      new Error(
        `not noticed: ${outcomes
          .filter(({ status }) => status !== "other")
          .map(describe)
          .join("; ")}`,
      )
    );
  } catch (error) {
    return error as Error;
  }
}

function report(one: Break, result: Outcome | Error): void {
  const isNoticed = !(result instanceof Error);
  if (!isNoticed) failures += 1;
  console.log(`${isNoticed ? "noticed" : "MISSED "}  law ${String(one.law).padEnd(2)}  ${one.file}`);
  console.log(`         ${one.means}`);
  console.log(`         ${one.test}: ${isNoticed ? describe(result) : result.message}`);
}

function of(one: Break, outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.filter(({ name }) => name.includes(one.name));
}

function describe({ name, status, error }: Outcome): string {
  return `"${name}" ${status}${error && `: ${error.slice(0, 160)}`}`;
}
