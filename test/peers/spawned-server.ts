import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { descendantsOf } from "../support/processes.ts";

/** A server that has the LangGraph API, as a process of its own on a free loopback port. */
export interface PeerServer {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** What it and all its processes hold in memory now, in bytes. Linux only. */
  memory(): number;
  log(): string;
  /** Ends it with all its processes, and removes its folder. */
  stop(): Promise<void>;
}

export interface Spawned {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

// The servers go with this process, also when it is told to stop.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** Starts what `describe` says in an empty folder of its own, and resolves when it serves. */
export async function spawnServer(describe: (port: number, folder: string) => Spawned): Promise<PeerServer> {
  const folder = mkdtempSync(join(tmpdir(), "reins-peer-"));
  const port = await freePort();
  const { name, command, args, env } = describe(port, folder);
  const logFile = join(folder, "server.log");
  const output = openSync(logFile, "a");
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", output, output],
    // A group of its own, so that all its processes can be ended together.
    detached: true,
  });
  closeSync(output);
  const remove = () => {
    killAll(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once("exit", remove);
  const server: PeerServer = {
    name,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    memory: () => [child.pid!, ...descendantsOf(child.pid!)].reduce((sum, pid) => sum + residentBytes(pid), 0),
    log: () => readFileSync(logFile, "utf8"),
    async stop() {
      const isOver = child.exitCode !== null || child.signalCode !== null;
      const ended = isOver ? undefined : once(child, "exit");
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(8_000, undefined, { ref: false })]);
      remove();
      await ended;
      process.off("exit", remove);
    },
  };
  try {
    await serving(server, child);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

async function serving({ name, url, log }: PeerServer, child: ChildProcess): Promise<void> {
  for (const end = Date.now() + 120_000; ; await sleep(50)) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${name} does not serve:\n${log()}`);
    if (
      await fetch(`${url}/ok`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
  }
}

/** Its group, and what has made a group of its own. */
function killAll({ pid }: ChildProcess): void {
  for (const one of [-pid!, ...descendantsOf(pid!)]) {
    try {
      process.kill(one, "SIGKILL");
    } catch {
      // It is gone.
    }
  }
}

function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
