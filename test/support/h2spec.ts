import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const bin = fileURLToPath(new URL("../../.reins/go-bin/", import.meta.url));
const program = `${bin}h2spec`;
const run = promisify(execFile);

/** Builds h2spec, which checks a server against the specification of HTTP/2, into .reins/ unless it is there. */
export async function installH2spec(): Promise<void> {
  if (existsSync(program)) return;
  const args = ["install", "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"];
  await run("go", args, { env: { ...process.env, GOBIN: bin } });
}

/** The names of the cases that a server fails, and how many there are in all. */
export interface H2specReport {
  readonly failed: readonly string[];
  readonly cases: number;
}

/** Tries the server on this port. */
export async function h2spec(port: number): Promise<H2specReport> {
  const folder = await mkdtemp(join(tmpdir(), "reins-h2spec-"));
  const report = join(folder, "report.xml");
  // It ends with an error when a case fails, which is for its caller to judge. An answer may take long on a busy machine.
  await run(program, ["-h", "127.0.0.1", "-p", String(port), "-o", "5", "-j", report]).catch(() => {});
  // Its XML holds bytes that XML may not.
  const text = await readFile(report, "latin1");
  await rm(folder, { recursive: true });
  const cases = [...text.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)];
  const failed = cases.filter(([, , , outcome]) => /<(?:failure|error)\b/.test(outcome!));
  return { failed: failed.map(([, section, name]) => `${section}: ${name}`), cases: cases.length };
}
