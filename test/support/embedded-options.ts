import { resolve } from "node:path";
import pino from "pino";
import { type EngineName, engineNames } from "../../src/storage/embedded/engines.ts";
import type { EmbeddedDatabaseOptions } from "../../src/storage/embedded/start-embedded-database.ts";

export const silentLog = pino({ level: "silent" });

/** The engine that REINS_TEST_ENGINE names, or the best one there is. */
export function wantedTestEngine(): EngineName | "auto" {
  const wanted = process.env.REINS_TEST_ENGINE ?? "auto";
  if (wanted === "auto") return wanted;
  const known = engineNames.find((name) => name === wanted);
  if (known === undefined) throw new Error(`REINS_TEST_ENGINE is ${wanted}; known are auto, ${engineNames.join(", ")}`);
  return known;
}

/** The options of an embedded database for tests in this directory; the Python environment is the project's own. */
export function embeddedOptions(dataDir: string): EmbeddedDatabaseOptions {
  return {
    dataDir,
    venvDir: resolve(import.meta.dirname, "../../.reins/venv"),
    engine: wantedTestEngine(),
    pathVariable: process.env.PATH ?? "",
    installEnvironment: process.env,
    progress: (sentence) => process.stderr.write(`${sentence}\n`),
    log: silentLog,
  };
}
