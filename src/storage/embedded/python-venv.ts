import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type CommandOptions, findOnPath, isExecutable, runCommand } from "./executables.ts";
import { identifyProcess } from "./process-identity.ts";
import { pythonEngineRequirements } from "./python-engine-requirements.ts";

export const pythonPackage = { name: "SecantusDB", version: "0.7.0b3", commandModule: "secantus" } as const;

/** What is to be installed, and how to see that it is there. */
interface PythonPackages {
  /** What they are for, and their name and version: for sentences. */
  readonly is: string;
  readonly name: string;
  /** Exact: an environment with anything else is made anew. */
  readonly requirements: readonly string[];
  /** All that is to be installed, with hashes, as a requirements file has it: pip then takes wheels with these hashes and nothing else. */
  readonly hashed?: string;
  /** The last 3.x that it has wheels for; absent: any newer one will do. */
  readonly newestPython?: number;
  /** A module that can be imported when all is well. */
  readonly module: string;
}

export interface PythonVenvOptions {
  readonly venvDir: string;
  /** The embedded database by default. */
  readonly packages?: PythonPackages;
  /** What pip runs with: the PATH, and the index and proxy settings of the user. */
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: (sentence: string) => void;
}

export type PythonVenv =
  | { readonly ok: true /** The interpreter that has the package. */; readonly python: string }
  | { readonly ok: false; readonly reason: string };

const requirement = `${pythonPackage.name}==${pythonPackage.version}`;
const engine: PythonPackages = {
  is: "the embedded database",
  name: requirement,
  requirements: [requirement],
  hashed: pythonEngineRequirements,
  newestPython: 13,
  module: `${pythonPackage.commandModule}.cli`,
};
const stampName = "reins-engine.json";

/**
 * A Python environment with the packages in it, SecantusDB by default; installed when it is not there.
 *
 * Each installation happens in a folder of its own and is put in place, complete, by one rename. So an interrupted one
 * leaves nothing but a folder that a later one clears away, and of two at the same time the first wins and the other
 * uses it: no lock is needed. (A renamed environment works as long as it is entered through its interpreter; only the
 * scripts in its bin folder keep the old path.)
 */
export async function ensurePythonVenv(options: PythonVenvOptions): Promise<PythonVenv> {
  const { venvDir, packages = engine } = options;
  const python = join(venvDir, "bin", "python");
  if (await isComplete(venvDir, packages)) return { ok: true, python };

  const base = await findPython(options.environment, packages.newestPython);
  if ("reason" in base) return { ok: false, reason: base.reason };

  await mkdir(dirname(venvDir), { recursive: true });
  await removeAbandoned(venvDir);
  options.progress(
    `Installing ${packages.is} (${packages.name} for Python) into ${venvDir}: once, usually within a minute.`,
  );
  const building = `${venvDir}-${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    const reason = await install(base.path, building, packages, options.environment);
    if (reason !== undefined) return { ok: false, reason };
    await putInPlace(building, venvDir, packages);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return { ok: true, python };
}

const stampOf = ({ requirements }: PythonPackages) => ({ requirement: requirements.join(" ") });

/** Complete: stamped, of these versions, and its base interpreter (a link) is still there. */
async function isComplete(venvDir: string, packages: PythonPackages): Promise<boolean> {
  try {
    const stamp = JSON.parse(await readFile(join(venvDir, stampName), "utf8")) as { requirement?: string };
    return stamp.requirement === stampOf(packages).requirement && isExecutable(join(venvDir, "bin", "python"));
  } catch {
    return false;
  }
}

async function findPython(
  environment: CommandOptions["environment"],
  newest?: number,
): Promise<{ path: string } | { reason: string }> {
  const needed = newest === undefined ? "3.10 or newer" : `3.10 to 3.${newest}`;
  const script = `import sys; v = sys.version_info[:2]; print((3, 10) <= v <= (3, ${newest ?? 999}), '%d.%d' % v)`;
  let unfit: string | undefined;
  for (const name of ["python3", "python3.13", "python3.12", "python3.11", "python3.10"]) {
    const path = findOnPath(name, environment.PATH ?? "");
    if (path === undefined) continue;
    const result = await runCommand(path, ["-c", script], { environment, timeoutMs: 20_000 });
    if (result.ok && result.output.startsWith("True")) return { path };
    unfit ??= result.ok
      ? `${path} is Python ${result.output.trim().split(" ")[1]}, and ${needed} is needed`
      : `${path} does not run (${result.reason})`;
  }
  return { reason: unfit ?? `there is no python3 on the PATH (${needed} is needed)` };
}

/** Returns why it failed, if it did. */
async function install(
  basePython: string,
  folder: string,
  packages: PythonPackages,
  environment: CommandOptions["environment"],
): Promise<string | undefined> {
  const { name, requirements, hashed, module } = packages;
  const venv = await runCommand(basePython, ["-m", "venv", folder], { environment, timeoutMs: 120_000 });
  if (!venv.ok)
    return `"${basePython} -m venv" failed (${venv.reason}); Debian and Ubuntu need the package python3-venv`;
  const file = join(folder, "requirements.txt");
  if (hashed !== undefined) await writeFile(file, hashed);
  // A package that is built here would bring what builds it, of which there are no hashes.
  const wanted =
    hashed === undefined ? requirements : ["--require-hashes", "--only-binary=:all:", "--requirement", file];
  const pip = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet", ...wanted];
  const python = join(folder, "bin", "python");
  const installed = await runCommand(python, pip, { environment, timeoutMs: 900_000 });
  if (!installed.ok) return `pip could not install ${name} (${installed.reason})`;
  const imported = await runCommand(python, ["-c", `import ${module}`], { environment, timeoutMs: 120_000 });
  if (!imported.ok) return `${name} does not load here (${imported.reason})`;
  await writeFile(join(folder, stampName), `${JSON.stringify(stampOf(packages))}\n`);
  return undefined;
}

/** Renames the complete folder to its name. Another process may have been first, which is as good. */
async function putInPlace(building: string, venvDir: string, packages: PythonPackages): Promise<void> {
  for (;;) {
    try {
      return await rename(building, venvDir);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    }
    if (await isComplete(venvDir, packages)) return;
    // What is there is of another version or broken: out of the way in one step, then deleted.
    const old = `${venvDir}-${process.pid}-old${randomBytes(4).toString("hex")}`;
    await rename(venvDir, old).catch(() => {});
    await rm(old, { recursive: true, force: true });
  }
}

/** Clears away the folders of installations whose process is gone. */
async function removeAbandoned(venvDir: string): Promise<void> {
  const pattern = new RegExp(`^${basename(venvDir).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}-(\\d+)-\\w+$`);
  for (const name of await readdir(dirname(venvDir))) {
    const pid = pattern.exec(name)?.[1];
    if (pid === undefined || identifyProcess(Number(pid)) !== undefined) continue;
    await rm(join(dirname(venvDir), name), { recursive: true, force: true }).catch(() => {});
  }
}
