import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that stays told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in whatever form this platform gives; only ever compared. */
  readonly started: string;
}

/** The living process with this pid, or undefined. A zombie has let go of all its files and counts as gone. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const started = process.platform === "linux" ? startOnLinux(pid) : startByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.started === identity.started;
}

/** Waits until the process is gone; kills it when it is still there after the patience. */
export async function endProcess(identity: ProcessIdentity, patienceMs: number): Promise<void> {
  const end = performance.now() + patienceMs;
  while (isAlive(identity)) {
    if (performance.now() >= end) {
      try {
        process.kill(identity.pid, "SIGKILL");
      } catch {
        return; // gone in between, or not ours: then the engine's file lock decides
      }
    }
    await sleep(25);
  }
}

/** proc(5): after the name in parentheses come the state and, 19 fields on, the start in ticks since boot. */
function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

function startByPs(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    if (line === "" || line.startsWith("Z")) return undefined;
    return line.slice(line.indexOf(" ")).trim();
  } catch {
    return undefined;
  }
}
