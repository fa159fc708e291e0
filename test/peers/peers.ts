import { cpSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { installJavascript, installPython, type PythonRelease } from "./install.ts";
import { type PeerServer, spawnServer } from "./spawned-server.ts";

/** Starts Reins and the two official in-memory servers, all with the same graphs and as quiet as they can be. */
const graphs = join(import.meta.dirname, "graphs");
const root = resolve(import.meta.dirname, "../..");
const graphNames = ["agent", "deaf", "busy", "parent"];

/** No tracing, no analytics, no look for a newer version: nothing leaves this machine. */
const offline = {
  LANGSMITH_TRACING: "false",
  LANGGRAPH_CLI_NO_ANALYTICS: "1",
  LANGGRAPH_NO_VERSION_CHECK: "true",
};

/** Reins on an embedded database of its own; `env` changes its settings. */
export const startReins = (env: Readonly<Record<string, string>> = {}): Promise<PeerServer> =>
  spawnServer((port) => ({
    name: "reins",
    command: process.execPath,
    args: [
      ...[join(root, "src/main.ts"), "serve", "--port", String(port)],
      ...["--config", join(graphs, "langgraph.json"), "--data-dir", "data"],
    ],
    env: { REINS_VENV_DIR: join(root, ".reins/venv"), REINS_LOG_LEVEL: "warn", ...env },
  }));

/** `@langchain/langgraph-api` on this Node. `jobs` are its workers, 10 by its CLI's default. */
export async function startJavascript({ jobs = 10 } = {}): Promise<PeerServer> {
  const modules = join(installJavascript(), "node_modules");
  const moduleUrl = (path: string) => pathToFileURL(join(modules, path)).href;
  return spawnServer((port, folder) => {
    cpSync(join(graphs, "graphs.ts"), join(folder, "graphs.ts"));
    cpSync(join(import.meta.dirname, "js/start.mjs"), join(folder, "start.mjs"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    symlinkSync(modules, join(folder, "node_modules"));
    const options = {
      port,
      host: "127.0.0.1",
      cwd: folder,
      nWorkers: jobs,
      graphs: Object.fromEntries(graphNames.map((name) => [name, `./graphs.ts:${name}`])),
    };
    return {
      name: "javascript",
      command: process.execPath,
      args: [
        ...[
          "--import",
          moduleUrl("tsx/dist/loader.mjs"),
          "--import",
          moduleUrl("@langchain/langgraph-api/dist/preload.mjs"),
        ],
        ...["start.mjs", JSON.stringify(options)],
      ],
      env: { ...offline, LOG_LEVEL: "error" },
    };
  });
}

interface PythonOptions {
  /** The runs that it executes at a time. */
  readonly jobs?: number;
  readonly release?: PythonRelease;
}

/** `langgraph dev`. */
export async function startPython({ jobs = 10, release = "newest" }: PythonOptions = {}): Promise<PeerServer> {
  const installed = installPython(release);
  return spawnServer((port, folder) => {
    cpSync(join(graphs, "graphs.py"), join(folder, "graphs.py"));
    const served = Object.fromEntries(graphNames.map((name) => [name, `./graphs.py:${name}`]));
    writeFileSync(join(folder, "langgraph.json"), JSON.stringify({ dependencies: ["."], graphs: served }));
    return {
      name: "python",
      command: join(installed, "venv/bin/langgraph"),
      args: [
        ...["dev", "--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", String(port)],
        // Signs of life are small blocking writes, which it would refuse otherwise.
        ...["--n-jobs-per-worker", String(jobs), "--allow-blocking", "--server-log-level", "error"],
      ],
      env: { ...offline, LOG_LEVEL: "ERROR", LOG_COLOR: "false" },
    };
  });
}
