import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Server } from "../domain/server.ts";

/**
 * Names the process table that this process's id is in: two servers with the same name can look each other's ids up. A
 * container has a table of its own.
 */
export function machineName(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

export type Presence = "alive" | "dead" | "silent";

export interface PresenceOptions {
  /** This server's machine. */
  readonly machine: string;
  /** Whether the very process runs, not a later one that got its id. */
  readonly isAlive: (process: { pid: number; started: string }) => boolean;
  readonly silentAfterMs: number;
}

/**
 * Whether another server lives: `dead` when its process is known to be gone, `silent` when its lease is over, whatever its
 * process does.
 */
export function presenceOf(server: Server, options: PresenceOptions): Presence {
  if (server.machine === options.machine && !options.isAlive(server)) return "dead";
  return server.readAt.getTime() - server.seenAt.getTime() > options.silentAfterMs ? "silent" : "alive";
}

/**
 * Kills what a dead server of this machine has left. Its children's watchdogs do the same at once; this is for the moment in
 * which they have not yet. Resolves when the processes are gone.
 */
export async function killChildren(pids: readonly number[], isChild: (commandLine: string) => boolean): Promise<void> {
  const left = () => pids.filter((pid) => isChild(commandLine(pid)));
  for (const pid of left()) {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Gone in between.
    }
  }
  while (left().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** The command line of a process; empty when it does not run (any more). The id may have gone to a stranger. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}
