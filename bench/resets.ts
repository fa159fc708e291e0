import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { ResetKind } from "./resets/resetter.ts";
import { startServer } from "./resets/server.ts";
import { watchThread } from "./thread-work.ts";

/** What a connection that resets its calls as fast as it can costs the others. See README.md beside this file. */
const app = await startServer();
// Processes of their own, so that neither the server nor the client that is measured waits for the one that resets.
const [caller, resetter, bystander] = ["caller", "resetter", "bystander"].map((name) =>
  fork(new URL(`./resets/${name}.ts`, import.meta.url), [String(app.port)]),
) as [ChildProcess, ChildProcess, ChildProcess];
/** Every call's time, by what went on beside it. */
const all = new Map<string, number[]>();
try {
  const [elsewhere] = (await once(bystander, "message")) as [number];
  await ask(caller, "call");
  console.log(
    `${"the others' calls, and the serving thread, in ms".padEnd(52)}    p50    p99   most  stall  at once   work`,
  );
  // By turns, since whatever else the machine does changes from one moment to the next.
  for (let round = 0; round < 6; round += 1) {
    await measure("nobody else");
    for (const [kind, says] of [
      ["begun", "begun and reset at once"],
      ["whole", "sent whole and reset at once"],
    ] as const) {
      await measure(`10,000 calls a second, ${says}`, { kind, port: app.port });
      await measure(`10,000 elsewhere, ${says}`, { kind, port: elsewhere });
    }
  }
  console.log("all rounds together");
  for (const [name, times] of all) {
    console.log(`${name.padEnd(52)} ${[0.5, 0.99, 1].map((share) => at(times, share)).join(" ")}`);
  }
} finally {
  caller.kill();
  resetter.kill();
  if (bystander.connected) {
    bystander.send("stop");
    await once(bystander, "exit");
  }
  await app.stop();
}

/** A share of all times is at most this, in ms. */
function at(times: number[], share: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1).padStart(6);
}

async function measure(name: string, resets?: { kind: ResetKind; port: number }): Promise<void> {
  const resetting = resets && ask<(number | null)[]>(resetter, resets);
  const stop = watchThread();
  const times = await ask<number[]>(caller, "call");
  const { stall, atOnce, work } = stop();
  if (resets) resetter.send("stop");
  const goaways = await resetting;
  all.set(name, [...(all.get(name) ?? []), ...times]);
  const numbers = [...[0.5, 0.99, 1].map((share) => at(times, share)), stall.toFixed(1).padStart(6)];
  console.log(
    `${name.padEnd(52)} ${numbers.join(" ")} ${atOnce.toFixed(1).padStart(8)} ${work.toFixed(0).padStart(6)}` +
      (goaways ? `  connections ended with ${goaways.join(", ")}` : ""),
  );
}

async function ask<T>(child: ChildProcess, message: unknown): Promise<T> {
  const answered = once(child, "message");
  child.send(message as object);
  return (await answered)[0] as T;
}
