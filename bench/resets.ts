import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { startApp } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { watchThread } from "./thread-work.ts";

/** What a connection that resets its calls as fast as it can costs the others. See README.md beside this file. */
const dataDir = await mkdtemp(join(tmpdir(), "reins-resets-"));
const configFile = fileURLToPath(new URL("./bodies/langgraph.json", import.meta.url));
const env = { ...process.env, REINS_PORT: "0", REINS_DATA_DIR: dataDir, REINS_CONFIG: configFile, REINS_CHILDREN: "1" };
const app = await startApp(readConfig([], env, process.cwd()), {
  log: pino({ level: "silent" }),
  progress: (sentence) => console.error(sentence),
});
// Processes of their own, so that neither the server nor the client that is measured waits for the one that resets.
const [caller, resetter] = ["caller", "resetter"].map((name) =>
  fork(new URL(`./resets/${name}.ts`, import.meta.url), [String(app.port)]),
) as [ChildProcess, ChildProcess];
try {
  await ask(caller, "call");
  console.log(
    `${"the others' calls, and the serving thread, in ms".padEnd(52)}    p50    p99   most  stall  at once   work`,
  );
  // By turns, since whatever else the machine does changes from one moment to the next.
  for (let round = 0; round < 4; round += 1) {
    await measure("nobody else");
    await measure("10,000 calls a second, begun and reset at once", "begun");
    await measure("10,000 calls a second, sent whole and reset at once", "whole");
  }
} finally {
  caller.kill();
  resetter.kill();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
}

async function measure(name: string, kind?: "begun" | "whole"): Promise<void> {
  const resetting = kind && ask<(number | null)[]>(resetter, kind);
  const stop = watchThread();
  const times = await ask<number[]>(caller, "call");
  const { stall, atOnce, work } = stop();
  if (kind) resetter.send("stop");
  const goaways = await resetting;
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  const numbers = [at(0.5), at(0.99), at(1), stall].map((ms) => ms.toFixed(1).padStart(6));
  console.log(
    `${name.padEnd(52)} ${numbers.join(" ")} ${atOnce.toFixed(1).padStart(8)} ${work.toFixed(0).padStart(6)}` +
      (goaways ? `  connections ended with ${goaways.join(", ")}` : ""),
  );
}

async function ask<T>(child: ChildProcess, message: string): Promise<T> {
  const answered = once(child, "message");
  child.send(message);
  return (await answered)[0] as T;
}
