import { type ChildProcess, fork, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it, vi } from "vitest";
import { gone, isAlive, patience } from "../support/fake-child-pool.ts";

let server: ChildProcess;
let lines: { pids?: number[]; busy?: number[]; grandchild?: number; attemptId?: string; outcome?: unknown }[];

interface Server {
  readonly pids: number[];
  /** Those that execute an attempt. */
  readonly busy: number[];
  readonly grandchild: number;
}

/** A server process whose two shared children are in a busy loop. */
async function startServer(leaseMs: number): Promise<Server> {
  lines = [];
  const script = new URL("../support/fake-child-parent.ts", import.meta.url).pathname;
  server = spawn(process.execPath, [script, String(leaseMs)], { stdio: ["ignore", "pipe", "inherit"] });
  createInterface({ input: server.stdout! }).on("line", (line) => lines.push(JSON.parse(line)));
  const { pids, busy, grandchild } = await vi.waitUntil(() => lines.find((line) => line.pids), patience);
  // Two shared processes and the spare.
  expect(pids).toHaveLength(3);
  for (const pid of [...pids!, grandchild!]) expect(await isAlive(pid)).toBe(true);
  return { pids: pids!, busy: busy!, grandchild: grandchild! };
}

afterEach(async () => {
  if (server.exitCode === null && server.signalCode === null) {
    server.kill("SIGKILL");
    await new Promise((resolve) => server.once("exit", resolve));
  }
});

describe("the watchdog", { timeout: 40_000 }, () => {
  it("kills every child and what it started when the server is killed, busy loops included", async () => {
    const { pids, grandchild } = await startServer(600_000);
    server.kill("SIGKILL");
    await gone([...pids, grandchild]);
  });

  it("kills what executes attempts when their lease is over since the server stands still, and nothing idle", async () => {
    const { pids, busy, grandchild } = await startServer(2_000);
    server.kill("SIGSTOP");
    await gone([...busy, grandchild]);
    const idle = pids.filter((pid) => !busy.includes(pid));
    expect(await Promise.all(idle.map(isAlive))).toEqual([true]);
    // The server finds out when it goes on.
    server.kill("SIGCONT");
    await vi.waitUntil(() => lines.filter((line) => line.attemptId).length === 2, patience);
    expect(lines.filter((line) => line.attemptId).map(({ outcome }) => outcome)).toEqual([
      { how: "lapsed" },
      { how: "lapsed" },
    ]);
  });

  it("lives as long as the lease is renewed", async () => {
    const { pids } = await startServer(500);
    const since = performance.now();
    await vi.waitUntil(() => performance.now() - since > 4 * 500, patience);
    expect(await Promise.all(pids.map(isAlive))).not.toContain(false);
  });

  it("does nothing in a process that was started without a lifeline", async () => {
    const child = fork(new URL("../support/fake-child.ts", import.meta.url), {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    server = child;
    const answer = new Promise((resolve) => child.once("message", resolve));
    child.send({ type: "ping", sequence: 1 });
    expect(await answer).toEqual({ type: "pong", sequence: 1, running: {} });
  });
});
