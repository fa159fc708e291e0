import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensurePythonVenv } from "../../src/storage/embedded/python-venv.ts";
import { type Example, startExample } from "./example.ts";
import type { RunIds } from "./guide-server.ts";

const folder = new URL("../guide/python/", import.meta.url);
const requirements = readFileSync(new URL("requirements.txt", folder), "utf8").split("\n").filter(Boolean);
const runSnippet = fileURLToPath(new URL("run_snippet.py", folder));

/** Makes the environment with LangGraph's Python SDK unless it is there, and resolves to its interpreter. */
export async function installPythonSdk(): Promise<string> {
  const venv = await ensurePythonVenv({
    venvDir: fileURLToPath(new URL("../../.reins/python-sdk", import.meta.url)),
    // All that they need is in the list: pip has nothing to choose.
    packages: {
      is: "LangGraph's SDK",
      name: "langgraph-sdk",
      requirements: ["--no-deps", ...requirements],
      module: "langgraph_sdk",
    },
    environment: process.env as Record<string, string>,
    progress: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  if (!venv.ok) throw new Error(venv.reason);
  return venv.python;
}

export interface PythonResult {
  readonly printed: string[];
  /** The variables of the lines. */
  readonly names: { run: RunIds; run1?: RunIds; run2?: RunIds };
  readonly error: { type: string; message: string } | null;
}

/** Runs lines with `await` at their top; see run_snippet.py. */
export function startPython(
  python: string,
  lines: string,
  holdBefore?: string,
): Example & { result: Promise<PythonResult> } {
  const example = startExample(python, [runSnippet, lines, ...(holdBefore === undefined ? [] : [holdBefore])]);
  const result = example.ended.then(({ code, stdout, stderr }): PythonResult => {
    if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
    const told = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    return { printed: told.slice(0, -1).map(({ printed }) => printed), ...told.at(-1) };
  });
  // One who only kills it does not ask for the result.
  result.catch(() => {});
  return { ...example, result };
}

/** Runs a script of test/guide/python to its end, with the server's address. */
export const runPythonScript = (python: string, script: string, url: string) =>
  startExample(python, [fileURLToPath(new URL(script, folder)), url]).ended;
