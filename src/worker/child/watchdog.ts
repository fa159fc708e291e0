import { fstatSync } from "node:fs";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** The file descriptor on which a child gets its lifeline: a socket whose other end only the server holds. */
export const lifelineFd = 4;

/** The argument that tells a child that it has a lifeline; what stands at the descriptor otherwise is anybody's. */
export const lifelineArgument = "--reins-lifeline";

/**
 * Milliseconds of the machine's monotonic clock. Every process of the machine reads the same value, so that a lease's end
 * can be passed on as a moment and is not prolonged by the time that the message lay unread.
 */
export function machineNowMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/**
 * Starts the thread that kills this process with its whole group as soon as the server is gone, or the lease it last
 * relayed is over. It has an event loop of its own and so works while the main thread is in a busy loop. Resolves when it
 * stands guard. In a process that was started without a lifeline it does nothing.
 */
export async function startWatchdog(): Promise<void> {
  if (!process.argv.includes(lifelineArgument)) return;
  if (!fstatSync(lifelineFd).isSocket()) throw new Error(`File descriptor ${lifelineFd} is not a lifeline`);

  // The file's own extension, because the same code runs as TypeScript and as compiled JavaScript.
  const thread = new URL(`./watchdog-thread${extname(import.meta.filename)}`, import.meta.url);
  // No environment and no flags: nothing that was meant for the graphs may disturb the guard.
  const worker = new Worker(thread, { name: "watchdog", env: {}, execArgv: [] });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  // A process without its guard could outlive its server.
  worker.once("exit", () => process.kill(process.pid, "SIGKILL"));
  worker.on("error", (error) => process.stderr.write(`The watchdog failed: ${error.stack}\n`));
  worker.unref();
}
