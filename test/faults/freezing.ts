import { setTimeout as sleep } from "node:timers/promises";
import type { Freeze } from "./evidence.ts";
import { machineMs } from "./ledger.ts";

/** Sends a signal to a process that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Stops processes for a while, as a machine does that sleeps. */
export async function freeze(pids: readonly number[], ms: number): Promise<Freeze[]> {
  const from = machineMs();
  const stopped = pids.filter((pid) => signal(pid, "SIGSTOP"));
  await sleep(ms);
  const to = machineMs();
  for (const pid of stopped) signal(pid, "SIGCONT");
  return stopped.map((pid) => ({ pid, from, to }));
}
