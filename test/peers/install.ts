import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * Installs the servers on demand, each in a folder of its own under .reins/peers which is named after its pinned versions:
 * nothing of them gets into this project's dependencies. Answers the folder.
 */
const cache = resolve(import.meta.dirname, "../../.reins/peers");

export const installJavascript = (): string =>
  installOnce(
    "javascript",
    join(import.meta.dirname, "js"),
    ["package.json", "package-lock.json", ".npmrc"],
    (folder) => run("npm", ["ci", "--no-progress"], folder),
  );

export const installRestate = (): string =>
  installOnce(
    "restate",
    join(import.meta.dirname, "restate"),
    ["package.json", "package-lock.json", ".npmrc", "service.mjs"],
    (folder) => run("npm", ["ci", "--no-progress", "--ignore-scripts"], folder),
  );

/** The releases of the Python server, each with its pins: the newest one, and the preview of the next. */
export const pythonReleases = { newest: "requirements.txt", next: "requirements-next.txt" } as const;
export type PythonRelease = keyof typeof pythonReleases;

/** Needs Python 3.11 or newer. */
export const installPython = (release: PythonRelease): string => {
  const pins = pythonReleases[release];
  return installOnce("python", join(import.meta.dirname, "python"), [pins], (folder) => {
    run("python3", ["-m", "venv", "venv"], folder);
    run("venv/bin/pip", ["install", "--quiet", "--requirement", pins], folder);
  });
};

function installOnce(name: string, source: string, files: readonly string[], install: (folder: string) => void) {
  const pins = files
    .map((file) => readFileSync(join(source, file)))
    .reduce((hash, text) => hash.update(text), sha256());
  const folder = join(cache, `${name}-${pins.digest("hex").slice(0, 12)}`);
  const done = join(folder, "installed");
  if (existsSync(done)) return folder;
  console.error(`installing the ${name} server, once ...`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of files) cpSync(join(source, file), join(folder, file));
  install(folder);
  writeFileSync(done, "");
  return folder;
}

const sha256 = () => createHash("sha256");

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? `${stdout}${stderr}`}`);
}
