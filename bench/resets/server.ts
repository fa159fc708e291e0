import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { startApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";

/** A server on a database of its own; `stop` removes both. */
export async function startServer(): Promise<{ port: number; stop(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "reins-resets-"));
  const configFile = fileURLToPath(new URL("../bodies/langgraph.json", import.meta.url));
  const env = {
    ...process.env,
    REINS_PORT: "0",
    REINS_DATA_DIR: dataDir,
    REINS_CONFIG: configFile,
    REINS_CHILDREN: "1",
  };
  const app = await startApp(readConfig([], env, process.cwd()), {
    log: pino({ level: "silent" }),
    progress: (sentence) => console.error(sentence),
  });
  return {
    port: app.port,
    stop: async () => {
      await app.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
