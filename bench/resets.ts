import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { startApp } from "../src/app.ts";
import { readConfig } from "../src/config.ts";

/** What a connection that resets its calls as fast as it can costs the others. See README.md beside this file. */
const dataDir = await mkdtemp(join(tmpdir(), "reins-resets-"));
const configFile = fileURLToPath(new URL("./bodies/langgraph.json", import.meta.url));
const env = { ...process.env, REINS_PORT: "0", REINS_DATA_DIR: dataDir, REINS_CONFIG: configFile, REINS_CHILDREN: "1" };
const app = await startApp(readConfig([], env, process.cwd()), {
  log: pino({ level: "silent" }),
  progress: (sentence) => console.error(sentence),
});
const clients = fork(new URL("./resets/clients.ts", import.meta.url), [String(app.port)]);
try {
  await once(clients, "exit");
} finally {
  clients.kill();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
}
