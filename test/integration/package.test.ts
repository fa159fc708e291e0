import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { fromPayload, RunStatus, toPayload } from "../../src/client/index.ts";
import { capabilities, olderNode } from "../support/capabilities.ts";
import { isAlive, until } from "../support/gates.ts";
import { descendantsOf } from "../support/processes.ts";
import { startServerProcess } from "../support/server-process.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const env = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

/** What somebody has who installs the package into an empty project, and has never seen the checkout. */
describe("the package", { timeout: 600_000 }, () => {
  let project: string;
  /** What npm has said of the installation. */
  let warnings: string;
  const installed = (...path: string[]) => join(project, "node_modules", ...path);
  const filesOf = async (folder: string) => (await readdir(folder, { recursive: true })).sort();

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "reins-package-"));
    await run("npm", ["pack", "--pack-destination", project], { cwd: root, env });
    await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
    // Nothing depends on a script that runs at the installation: many do not let any run.
    const quickly = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
    ({ stderr: warnings } = await run("npm", ["install", ...quickly, `./reins-${version}.tgz`], { cwd: project, env }));
  }, 600_000);
  afterAll(() => rm(project, { recursive: true, force: true }));

  it("is installed without a warning", () => {
    // Of deprecated packages, of peers and engines that do not fit, of fields that npm does not take.
    expect(warnings.split("\n").filter((line) => /^npm (?:warn|error)/i.test(line))).toEqual([]);
  });

  it.runIf(capabilities["older Node"].has())("says to a Node.js that is too old what it needs", async () => {
    const outdated = olderNode()!;
    const { stdout: its } = await run(outdated, ["--version"]);
    const says = (program: string) =>
      run(outdated, [program, "--version"], { cwd: project, env }).catch((error) => error);
    const sentence = `Reins needs Node.js 22.18 or newer; this is ${its.trim().slice(1)}.`;
    expect(await says(installed("reins", "bin", "reins.mjs"))).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `${sentence} Install a newer one from https://nodejs.org or with your version manager.\n`,
    });
    const { code, stdout, stderr } = await says(join(root, "bin", "reins.mjs"));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^Reins needs .* "npm install" brings a newer one, .*, then "npm start"\.\n$/);
    expect(stderr).toContain(sentence);
  });

  it("has what it needs to run and to be generated from, and nothing else", async () => {
    const top = ["LICENSE", "README.md", "bin", "buf.yaml", "dist", "examples", "package.json", "proto", "third_party"];
    expect((await readdir(installed("reins"))).sort()).toEqual(top);
    const files = await filesOf(installed("reins"));
    expect(files).toContain("proto/reins/v1/run_service.proto");
    expect(files.filter((file) => file.startsWith("dist/") && /(?<!\.d)\.tsx?$|\.test\.|\.map$/.test(file))).toEqual(
      [],
    );
  });

  it.each([
    [["--version"], new RegExp(`^${version.replaceAll(".", "\\.")}\n$`)],
    [["version"], new RegExp(`^${version.replaceAll(".", "\\.")}\n$`)],
    [[], /^Runs LangGraph\.js agents .*\n\nreins serve \[options\] .*--port, REINS_PORT\n/s],
    [["--help"], /^Runs LangGraph\.js agents .*--port, REINS_PORT\n/s],
    [["serve", "--help"], /^Runs LangGraph\.js agents .*--port, REINS_PORT\n/s],
  ])("answers reins %j", async (args, expected) => {
    const { stdout, stderr } = await run(installed(".bin", "reins"), args, { cwd: project, env });
    expect(stdout).toMatch(expected);
    expect(stderr).toBe("");
  });

  it("says which commands there are", async () => {
    const failure = await run(installed(".bin", "reins"), ["server"], { cwd: project, env }).catch((error) => error);
    expect(failure).toMatchObject({ code: 1, stdout: "" });
    expect(failure.stderr).toBe(
      '"server" is no command; "serve", "migrate", "keys", "webhooks", "help" and "version" are\n',
    );
  });

  const readmeClient = async () => {
    const readme = await readFile(installed("reins", "README.md"), "utf8");
    return /```ts\n(.*?createReinsClient.*?)```/s.exec(readme)![1]!;
  };

  it.each([
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ])("has types for a strict client with module %s and resolution %s", async (module, moduleResolution) => {
    const files = { "client.ts": await readmeClient(), "typed.ts": typedClient };
    for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
    const strict = { strict: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true, skipLibCheck: false };
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2024",
      lib: ["es2024", "dom", "esnext.disposable"],
      ...strict,
      types: [],
      noEmit: true,
    };
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
    const { stdout } = await run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: project, env }).catch(
      (e) => e,
    );
    expect(stdout).toBe("");
  });

  const settings = {
    REINS_ENGINE: inject("engine").engine,
    REINS_VENV_DIR: join(root, ".reins/venv"),
    REINS_CHILDREN: "1",
  };

  it("serves its examples on the database that it brings along, runs one, and changes nothing of itself", async () => {
    const before = await filesOf(installed("reins"));
    const server = await startServerProcess(settings, ["--port", "0"], project, [
      process.execPath,
      installed(".bin", "reins"),
      "serve",
    ]);
    try {
      await writeFile(join(project, "run.ts"), (await readmeClient()).replaceAll("http://127.0.0.1:2024", server.url));
      const { stdout } = await run(process.execPath, ["run.ts"], { cwd: project, env });
      expect(stdout).toMatch(new RegExp(`^\\d+n values .*\\nended ${RunStatus.SUCCESS}\\n$`, "s"));
      expect(await (await fetch(server.url, { headers: { accept: "text/html" } })).text()).toContain(
        `<h1>Reins ${version}</h1>`,
      );
    } finally {
      expect(await server.end("SIGTERM")).toBe(0);
    }
    expect(await filesOf(installed("reins"))).toEqual(before);
    expect((await readdir(join(project, ".reins"))).sort()).toEqual(["cache", "data"]);
  });

  it("serves graphs of one's own by the lines of the README as they stand", async () => {
    const readme = await readFile(installed("reins", "README.md"), "utf8");
    const [, install, serve] = /```sh\n(npm install path\/to\/\S+)\n(npx reins .*)\n```/.exec(readme)!;
    expect(install).toBe(`npm install path/to/reins-${version}.tgz`);
    await writeFile(join(project, "langgraph.json"), JSON.stringify({ graphs: { echo: "./echo.ts:graph" } }));
    await writeFile(join(project, "echo.ts"), echo);
    const own = { ...settings, REINS_PORT: "0", PATH: env.PATH };
    const server = await startServerProcess(own, [], project, ["bash", "-c", `exec ${serve}`]);
    const started = descendantsOf(server.pid);
    try {
      const { thread } = await server.client.threads.createThread({});
      const spec = { assistantId: "echo", input: toPayload({ text: "hello" }) };
      const { run: over, values } = await server.client.runs.waitRun({ create: { threadId: thread!.threadId, spec } });
      expect([over?.status, fromPayload(values)]).toEqual([RunStatus.SUCCESS, { text: "hello, hello" }]);
      // The shell between them passes nothing on.
      await server.end("SIGTERM");
      await until(() => !started.some(isAlive));
    } finally {
      for (const pid of started.filter(isAlive)) process.kill(pid, "SIGKILL");
    }
  });
});

const echo = `
import { Annotation, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ text: Annotation<string>() });

export const graph = new StateGraph(State)
  .addNode("repeat", ({ text }) => ({ text: \`\${text}, \${text}\` }))
  .addEdge(START, "repeat")
  .compile();
`;

const typedClient = `
import { createGrpcJsClient, createReinsClient, type ReinsClient, RunService, type RunStatus } from "reins/client";
import { createReinsClientOn } from "reins/client/web";

const client: ReinsClient = createReinsClient({ baseUrl: "http://127.0.0.1:2024", protocol: "connect" });
const { run } = await client.runs.getRun({ threadId: "", runId: "" });
export const status: RunStatus | undefined = run?.status;
export const close: void = createGrpcJsClient(RunService, "127.0.0.1:2024").close();
export const on: typeof createReinsClientOn = createReinsClientOn;
// @ts-expect-error there is no such field
await client.threads.createThread({ thread: "" });
// @ts-expect-error a run may be absent
export const id: string = run.runId;
`;
