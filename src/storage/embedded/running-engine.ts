import { setTimeout as sleep } from "node:timers/promises";
import { openDataDirectory } from "./data-directory.ts";
import { engineOf } from "./directory-hold.ts";
import { engineUri, takesKey } from "./engines.ts";

/** How long a server that is starting may take until its engine runs. */
const patienceMs = 10_000;

/**
 * The address of the engine that a Reins which runs now has started on a data directory, for a second process of the same user on this machine;
 * undefined when none runs.
 */
export async function findRunningEngine(dataDir: string): Promise<string | undefined> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = engineOf(dataDir);
    if (found === "none") return undefined;
    const { marked, key, hasUser } = openDataDirectory(dataDir);
    const isReady = found === "runs" && marked?.port !== undefined && marked.port > 0;
    if (isReady && (!takesKey(marked.engine) || hasUser)) {
      return engineUri(marked.engine, marked.port!, takesKey(marked.engine) ? key : undefined);
    }
    if (performance.now() > end) return undefined;
    await sleep(100);
  }
}
