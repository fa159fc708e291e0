import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type EngineCommand, startEngineProcess } from "../../src/storage/embedded/engine-process.ts";

/** How an engine is ended. The engine here is a small script that writes a file and says when it was asked to end. */

let folder: string;
let engine: EngineCommand;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reins-engine-"));
  const command = join(folder, "engine");
  await writeFile(
    command,
    `#!/bin/sh
trap 'echo asked to end; exit 4' TERM
echo data > "$1/data"
echo listening on "$2"
while :; do sleep 0.1; done
`,
  );
  await chmod(command, 0o700);
  const readyPattern = "listening on (\\d+)";
  const environment = { PATH: "/usr/bin:/bin" };
  engine = { command, args: [folder, "{port}"], environment, port: 4711, readyPattern, logFile: join(folder, "log") };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = () => readFileSync(engine.logFile, "utf8");

test("a stop asks it to end, and its files are its owner's alone", async () => {
  const started = startEngineProcess(engine);
  expect(await started.serves).toBe(4711);
  await started.stop();
  expect(await started.ended).toBe("ended with exit code 4");
  expect(log()).toBe("listening on 4711\nasked to end\n");
  expect(statSync(join(folder, "data")).mode & 0o777).toBe(0o600);
});

test("it is asked to end when its server is killed", async () => {
  const module = pathToFileURL(join(import.meta.dirname, "../../src/storage/embedded/engine-process.ts")).href;
  const code = `
    const { startEngineProcess } = await import(${JSON.stringify(module)});
    await startEngineProcess(${JSON.stringify(engine)}).serves;
    process.kill(process.pid, "SIGKILL");
  `;
  const server = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "inherit" });
  expect(await once(server, "exit")).toEqual([null, "SIGKILL"]);
  await vi.waitFor(() => expect(log()).toBe("listening on 4711\nasked to end\n"), 10_000);
});

test("its log is emptied when it has become long, and the lines before are kept beside it", async () => {
  const before = "x".repeat(9 * 1024 * 1024);
  await writeFile(engine.logFile, before, { mode: 0o600 });
  const started = startEngineProcess(engine);
  await started.serves;
  await started.stop();
  expect(log()).toBe("listening on 4711\nasked to end\n");
  const kept = `${engine.logFile}.1`;
  expect(statSync(kept).size).toBe(before.length);
  expect(statSync(kept).mode & 0o777).toBe(0o600);
});
