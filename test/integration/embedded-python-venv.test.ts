import { execFileSync, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pythonEngineRequirements } from "../../src/storage/embedded/python-engine-requirements.ts";
import { ensurePythonVenv, pythonPackage } from "../../src/storage/embedded/python-venv.ts";
import { capabilities } from "../support/capabilities.ts";

/**
 * The installation of the Python engine, with a Python that is a script: it makes environments, "installs" by writing
 * a file, and counts. (The real one is installed by a test run that has no other engine.)
 */

let root: string;
let bin: string;
let venvDir: string;
let progress: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "reins-venv-"));
  bin = join(root, "bin");
  venvDir = join(root, "project", "venv");
  progress = [];
  await mkdir(bin);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** `onInstall` is what `pip install` does. */
async function fakePython(onInstall = "echo installed >> $LOG", version = "True 3.12"): Promise<void> {
  const path = join(bin, "python3");
  const body = `#!/bin/sh
PATH=/usr/bin:/bin
LOG=${join(root, "installs")}
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") ${onInstall} ;;
  -c*) case "$2" in *version_info*) echo ${version} ;; esac ;;
esac`;
  await writeFile(path, body);
  await chmod(path, 0o755);
}

const ensure = () =>
  ensurePythonVenv({ venvDir, environment: { PATH: bin }, progress: (sentence) => progress.push(sentence) });

async function installs(): Promise<number> {
  const text = await readFile(join(root, "installs"), "utf8").catch(() => "");
  return text.split("\n").length - 1;
}

test("installs once, saying so, and then finds it", async () => {
  await fakePython();
  const python = join(venvDir, "bin", "python");
  expect(await ensure()).toEqual({ ok: true, python });
  expect(existsSync(python)).toBe(true);
  expect(progress).toEqual([expect.stringMatching(/^Installing the embedded database \(SecantusDB==.* into .*venv/)]);
  expect(await ensure()).toEqual({ ok: true, python });
  expect(progress).toHaveLength(1);
  expect(await installs()).toBe(1);
  expect(await readdir(join(root, "project"))).toEqual(["venv"]);
});

test("several at the same time all get the one that was first", async () => {
  await fakePython();
  const results = await Promise.all([ensure(), ensure(), ensure(), ensure()]);
  for (const result of results) expect(result).toEqual({ ok: true, python: join(venvDir, "bin", "python") });
  expect(await readdir(join(root, "project"))).toEqual(["venv"]);
});

test("an environment of another version, or half of one, is replaced", async () => {
  await fakePython();
  await mkdir(join(venvDir, "bin"), { recursive: true });
  await writeFile(join(venvDir, "half"), "");
  expect(await ensure()).toMatchObject({ ok: true });
  expect(existsSync(join(venvDir, "half"))).toBe(false);

  await writeFile(join(venvDir, "reins-engine.json"), JSON.stringify({ requirement: "SecantusDB==0.0.1" }));
  expect(await ensure()).toMatchObject({ ok: true });
  expect(await installs()).toBe(2);
});

test("an installation whose process was killed half-way is cleared away and repeated", async () => {
  await fakePython(`echo $$ > ${join(root, "pip.pid")}; echo half > "$(dirname "$0")/../half"; exec sleep 60`);
  const module = JSON.stringify(join(import.meta.dirname, "../../src/storage/embedded/python-venv.ts"));
  const entry = join(root, "install.mjs");
  await writeFile(
    entry,
    `import { ensurePythonVenv } from ${module};
     const [venvDir, PATH] = process.argv.slice(2);
     await ensurePythonVenv({ venvDir, environment: { PATH }, progress() {} });`,
  );
  const child = fork(entry, [venvDir, bin], { execArgv: [], stdio: "ignore" });
  await vi.waitFor(() => expect(existsSync(join(root, "pip.pid"))).toBe(true), { timeout: 20_000 });
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  await vi.waitFor(async () => process.kill(Number(await readFile(join(root, "pip.pid"), "utf8")), "SIGKILL"));
  expect(await readdir(join(root, "project"))).toEqual([expect.stringMatching(/^venv-/)]);

  await fakePython();
  expect(await ensure()).toMatchObject({ ok: true });
  expect(await readdir(join(root, "project"))).toEqual(["venv"]);
});

test("what fails is told with its reason, and leaves nothing", async () => {
  await fakePython("echo 'ERROR: No matching distribution found for SecantusDB' >&2; exit 1");
  expect(await ensure()).toEqual({
    ok: false,
    reason: expect.stringMatching(/^pip could not install SecantusDB==.* \(.*No matching distribution/),
  });
  expect(await readdir(join(root, "project"))).toEqual([]);

  await fakePython("", "False 3.9");
  expect(await ensure()).toEqual({
    ok: false,
    reason: expect.stringMatching(/python3 is Python 3.9, and 3.10 to 3.13 is needed/),
  });
});

test("an environment that is there is taken as it is", async () => {
  await mkdir(join(venvDir, "bin"), { recursive: true });
  await writeFile(join(venvDir, "bin", "python"), "#!/bin/sh", { mode: 0o755 });
  const { name, version } = pythonPackage;
  await writeFile(join(venvDir, "reins-engine.json"), JSON.stringify({ requirement: `${name}==${version}` }));
  // There is no Python that could make another.
  expect(await ensure()).toEqual({ ok: true, python: join(venvDir, "bin", "python") });
});

test("pip gets the engine's requirements with their hashes, and may build nothing", async () => {
  await fakePython(`echo "$@" > ${join(root, "arguments")}; cp "$(dirname "$0")/../requirements.txt" ${root}`);
  expect(await ensure()).toMatchObject({ ok: true });
  const given = await readFile(join(root, "arguments"), "utf8");
  expect(given).toMatch(/ --require-hashes --only-binary=:all: --requirement \S+\/requirements\.txt\n$/);
  expect(await readFile(join(root, "requirements.txt"), "utf8")).toBe(pythonEngineRequirements);
});

test("the engine's requirements are exact, with hashes of each", () => {
  const all = pythonEngineRequirements.trim().split(/(?<!\\)\n/);
  const exact = /^[\w-]+==[\w.]+(?: ; [^\\]+)?(?: \\\n {4}--hash=sha256:[0-9a-f]{64})+$/;
  expect(all.filter((one) => !exact.test(one))).toEqual([]);
  expect(all.map((one) => one.split("=")[0])).toEqual(expect.arrayContaining(["secantusdb", "pymongo"]));
  const { name, version } = pythonPackage;
  expect(all.some((one) => one.startsWith(`${name.toLowerCase()}==${version} `))).toBe(true);
});

describe.runIf(capabilities.python.has())("with a real pip", () => {
  /** A package of one module, as a file that pip can install from a folder. */
  async function makeWheel(): Promise<string> {
    const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("tiny.py", "")
    wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\\n")
`;
    const wheel = join(root, "tiny-1.0-py3-none-any.whl");
    execFileSync("python3", ["-c", script, wheel]);
    return createHash("sha256")
      .update(await readFile(wheel))
      .digest("hex");
  }

  const install = (hash: string, newestPython?: number) =>
    ensurePythonVenv({
      venvDir,
      packages: {
        is: "a test",
        name: "tiny",
        requirements: ["tiny==1.0"],
        hashed: `--no-index\n--find-links ${root}\ntiny==1.0 --hash=sha256:${hash}\n`,
        newestPython,
        module: "tiny",
      },
      environment: process.env as Record<string, string>,
      progress: () => {},
    });

  test("a Python that is too new for the wheels is none", async () => {
    expect(await install("", 9)).toEqual({
      ok: false,
      reason: expect.stringMatching(/python3 is Python 3\.\d+, and 3\.10 to 3\.9 is needed$/),
    });
  });

  test("a package with another hash is refused, and one with its own is installed", async () => {
    const hash = await makeWheel();
    const wrong = hash.replace(/^./, (first) => (first === "0" ? "1" : "0"));
    expect(await install(wrong)).toEqual({
      ok: false,
      reason: expect.stringMatching(
        new RegExp(`^pip could not install tiny .*Expected sha256 ${wrong}.*Got.* ${hash}`),
      ),
    });
    expect(await readdir(join(root, "project"))).toEqual([]);
    expect(await install(hash)).toEqual({ ok: true, python: join(venvDir, "bin", "python") });
  });
});
