import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How a node behaves while it waits: it hears the signal, awaits without hearing it, or blocks its process. */
export type Manner = "polite" | "deaf" | "busy";

/**
 * Says that the step has started, then waits until the test opens its gate. While it waits it leaves signs of life. Tests hold
 * the other end: see support/gates.ts.
 */
export async function gate(dir: string, step: string, manner: Manner, signal: AbortSignal | undefined): Promise<void> {
  const beat = () => appendFileSync(join(dir, "beats"), `${step}\n`);
  const isOpen = () => existsSync(join(dir, `${step}.open`)) || existsSync(join(dir, "all.open"));
  appendFileSync(join(dir, "steps"), `${step} ${process.pid}\n`);
  appendFileSync(join(dir, "spans"), `begin ${step}\n`);
  writeFileSync(join(dir, `${step}.started`), String(process.pid));
  while (!isOpen()) {
    beat();
    if (manner === "busy") for (const end = Date.now() + 5; Date.now() < end; );
    else await sleep(5, undefined, manner === "polite" ? { signal } : {});
  }
  appendFileSync(join(dir, "spans"), `end ${step}\n`);
  writeFileSync(join(dir, `${step}.done`), String(process.pid));
}
