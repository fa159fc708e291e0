import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { type EngineName, engineUri, takesKey } from "../../src/storage/embedded/engines.ts";

/** A running `reins serve` on a data directory, seen from outside: its API, its database, its processes. */
export interface DemoServer {
  readonly pid: number;
  readonly engine: string;
  readonly client: ReinsClient;
  readonly url: string;
  /** The server's database, to check the API's word against. */
  readonly mongo: MongoClient;
  /** All processes that the server has started, by what they do. */
  processes(): { pid: number; kind: "agents" | "database" | "other" }[];
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export async function startServer(dataDir: string, say: (sentence: string) => void): Promise<DemoServer> {
  const child = spawn(process.execPath, [main, "serve", "--port", "0", "--data-dir", dataDir], {
    // One process for agents, so that neighbours share it.
    env: { ...process.env, REINS_CHILDREN: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { url, engine, database } = await serving(child, say);
  const client = createReinsClient({ baseUrl: url });
  const key = takesKey(engine) ? readFileSync(join(dataDir, "key"), "utf8") : undefined;
  const mongo = await new MongoClient(engineUri(engine, Number(new URL(database).port), key), {
    maxPoolSize: 1,
  }).connect();
  const pid = child.pid!;
  const end = async (signal: NodeJS.Signals) => {
    await mongo.close();
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  };
  return {
    pid,
    engine,
    client,
    url,
    mongo,
    processes: () => descendants(pid),
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
  };
}

function serving(child: ChildProcess, say: (sentence: string) => void) {
  return new Promise<{ url: string; engine: EngineName; database: string }>((resolve, reject) => {
    const errors: string[] = [];
    let log = "";
    child.stdout!.on("data", (data: Buffer) => {
      log += data;
      const line = log.split("\n").find((one) => one.includes('"Reins serves"'));
      if (line) resolve(JSON.parse(line));
    });
    child.stderr!.on("data", (data: Buffer) => {
      errors.push(String(data));
      say(String(data).trim());
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${errors.join("")}`)));
  });
}

/** The process table's word, where there is one to read (Linux). */
function descendants(root: number): { pid: number; kind: "agents" | "database" | "other" }[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/stat`)) continue;
    const stat = read(`/proc/${name}/stat`);
    // "pid (command) state parent ...", where the command may hold anything.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state !== "Z") parents.set(Number(name), Number(parent));
  }
  const isDescendant = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === root || isDescendant(parent));
  };
  return [...parents.keys()].filter(isDescendant).map((pid) => ({ pid, kind: kindOf(read(`/proc/${pid}/cmdline`)) }));
}

function kindOf(commandLine: string): "agents" | "database" | "other" {
  if (commandLine.includes("worker/child/main")) return "agents";
  return /secantusd|mongod/.test(commandLine) ? "database" : "other";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export const isRunning = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !read(`/proc/${pid}/stat`).includes(") Z ");
