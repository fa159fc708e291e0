import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { parentPort } from "node:worker_threads";
import { lifelineFd, machineNowMs } from "./watchdog.ts";

// The thread behind startWatchdog(). Each line on the lifeline is the moment (machine clock, ms) at which the lease ends, or
// empty: the process executes nothing that has a lease.

let leaseEndsAt: number | undefined;
let timer: NodeJS.Timeout | undefined;

function killOwnGroup(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } catch {
    // Not the leader of a group.
    process.kill(process.pid, "SIGKILL");
  }
}

function guard(): void {
  clearTimeout(timer);
  if (leaseEndsAt === undefined) return;
  timer = setTimeout(
    // After a pause of the whole process timers run before sockets are read: look first what lies there.
    () => setImmediate(() => (leaseEndsAt !== undefined && machineNowMs() >= leaseEndsAt ? killOwnGroup() : guard())),
    Math.max(0, leaseEndsAt - machineNowMs()),
  );
}

const lifeline = new Socket({ fd: lifelineFd });
lifeline.once("error", killOwnGroup);
lifeline.once("close", killOwnGroup);
lifeline.once("end", killOwnGroup);
createInterface({ input: lifeline }).on("line", (line) => {
  leaseEndsAt = line === "" ? undefined : Number(line);
  guard();
});
parentPort?.postMessage("on guard");
