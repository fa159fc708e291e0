import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "./demo/server.ts";

/**
 * `npm run test:schemathesis`: sends a server what its OpenAPI page says, and what it does not, and compares the answers with the
 * page. It fails on a 5xx, and on an answer that the page does not have. `-- --seconds 600` says for how long; other arguments
 * after a second `--` go to schemathesis. It is installed once, under .reins; needs Python 3.10 or newer.
 */
const version = "4.32.5";
const { values, positionals } = parseArgs({
  options: { seconds: { type: "string", default: "120" } },
  allowPositionals: true,
});

/** What a description of shapes can say, and therefore a check of it. */
const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
  "unsupported_method",
];
/** Crons answer 501 on purpose, and a thread's streams have no end. */
const leftOut = "/crons|^/threads/\\{thread_id\\}/stream";

function install(): string {
  const folder = resolve(import.meta.dirname, `../.reins/schemathesis-${version}`);
  const done = join(folder, "installed");
  if (!existsSync(done)) {
    console.error("installing schemathesis, once ...");
    run("python3", ["-m", "venv", "--clear", folder]);
    run(join(folder, "bin/pip"), ["install", "--quiet", `schemathesis==${version}`]);
    writeFileSync(done, "");
  }
  return join(folder, "bin/schemathesis");
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

const schemathesis = install();
const folder = mkdtempSync(join(tmpdir(), "reins-schemathesis-"));
const server = await startServer(folder, console.log);
try {
  const args = [
    ...["run", `${server.url}/openapi.json`, "--max-time", values.seconds, "--checks", checks.join(",")],
    ...["--exclude-path-regex", leftOut, "--request-timeout", "30", "--generation-database", "none", ...positionals],
  ];
  const child = spawn(schemathesis, args, { stdio: "inherit", cwd: folder });
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
