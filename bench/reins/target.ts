import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { descendantsOf } from "../../test/support/processes.ts";
import { type ServerProcess, startServerProcess } from "../../test/support/server-process.ts";

/** The checkout that is measured: this one, unless BENCH_CHECKOUT names another. */
const root = resolve(process.env.BENCH_CHECKOUT ?? join(import.meta.dirname, "../.."));

export const roles = ["server", "children", "engine"] as const;
export type Role = (typeof roles)[number];
export type ByRole = Readonly<Record<Role, number>>;

/** A server as it comes, with an embedded database of its own, that is measured from outside. Linux only. */
export interface Target {
  readonly url: string;
  readonly client: ReinsClient;
  readonly server: ServerProcess;
  readonly dataDir: string;
  /** From the start of the process to the first answer of `/ok`; in ms. */
  readonly startedMs: number;
  /** A client with a connection of its own. */
  connect(): ReinsClient;
  /** Processor time so far, in ms. Of processes that have ended meanwhile nothing is known. */
  cpu(): ByRole;
  /** In MB: what each process has for itself and its share of the rest (PSS), or all that it has mapped (RSS). */
  memory(of: "Pss" | "Rss"): ByRole;
  /** Bytes that each has written to the disk so far, in pages of the file system. */
  written(): ByRole;
  stop(): Promise<void>;
}

export async function startTarget(env: Readonly<Record<string, string>> = {}): Promise<Target> {
  const dir = await mkdtemp(join(tmpdir(), "reins-bench-"));
  const began = performance.now();
  const dataDir = join(dir, "data");
  const settings = {
    REINS_CONFIG: join(root, "test/peers/graphs/langgraph.json"),
    REINS_DATA_DIR: dataDir,
    REINS_VENV_DIR: join(root, ".reins/venv"),
    ...env,
  };
  const command = [process.execPath, join(root, "src/main.ts"), "serve"];
  const server = await startServerProcess(settings, ["--port", "0"], root, command);
  while (!(await fetch(`${server.url}/ok`)).ok);
  const startedMs = performance.now() - began;
  const processes = () => [server.pid, ...descendantsOf(server.pid)].map((pid) => ({ pid, role: roleOf(server, pid) }));
  const byRole = (of: (pid: number) => number): ByRole => {
    const sum = { server: 0, children: 0, engine: 0 };
    for (const { pid, role } of processes()) sum[role] += of(pid);
    return sum;
  };
  return {
    url: server.url,
    client: server.client,
    server,
    dataDir,
    startedMs,
    connect: () => createReinsClient({ baseUrl: server.url }),
    cpu: () => byRole(cpuMsOf),
    memory: (of) => byRole((pid) => memoryOf(pid, of)),
    written: () => byRole((pid) => Number(/^write_bytes: (\d+)/m.exec(read(`/proc/${pid}/io`))?.[1] ?? 0)),
    async stop() {
      await server.end("SIGTERM");
      await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

function roleOf(server: ServerProcess, pid: number): Role {
  if (pid === server.pid) return "server";
  return read(`/proc/${pid}/cmdline`).includes("child/main") ? "children" : "engine";
}

/** Ticks of user and system time, of which Linux has a hundred a second. */
export function cpuMsOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" ? 0 : (Number(fields[11]) + Number(fields[12])) * 10;
}

export function memoryOf(pid: number, of: "Pss" | "Rss"): number {
  const line = new RegExp(`^${of}:\\s+(\\d+) kB`, "m").exec(read(`/proc/${pid}/smaps_rollup`));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Empty for a process that is gone. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

export const total = (of: ByRole): number => roles.reduce((sum, role) => sum + of[role], 0);

/** What something has cost; in the unit of what is read before and after it. */
export async function costOf(target: Target, what: () => Promise<unknown>): Promise<ByRole> {
  const before = target.cpu();
  await what();
  const after = target.cpu();
  return {
    server: after.server - before.server,
    children: after.children - before.children,
    engine: after.engine - before.engine,
  };
}
