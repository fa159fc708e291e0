import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Sends SIGKILL to every process of a group. False when the group has no process left. */
export function killGroup(leader: number): boolean {
  // kill(0) is the caller's own group and kill(-1) everybody.
  if (!Number.isInteger(leader) || leader <= 1) throw new RangeError(`Not a process group: ${leader}`);
  try {
    process.kill(-leader, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

/** Resolves when no process of the group runs any more. Whatever joins it until then is killed, too. */
export async function groupGone(leader: number): Promise<void> {
  for (let round = 1; killGroup(leader); round += 1) {
    // Without an init that reaps them (in many containers), orphans stay in their group as zombies for ever.
    if (round % 4 === 0 && !(await hasLiveMember(leader))) return;
    await delay(5);
  }
}

/** Whether a process of the group is more than a zombie, as far as /proc can tell. */
async function hasLiveMember(leader: number): Promise<boolean> {
  const entries = await readdir("/proc").catch(() => []);
  for (const pid of entries) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    // "pid (any name) state ppid pgrp …"
    const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(group) === leader && state !== "Z" && state !== "X") return true;
  }
  return false;
}
