import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type EngineName, engineNames } from "./engines.ts";

/** The places inside a data directory, and what is known of the engine that wrote it. */
export interface DataDirectory {
  readonly path: string;
  /** The engine's own files. */
  readonly dataPath: string;
  readonly logFile: string;
  /** An empty settings file for SecantusDB. */
  readonly configFile: string;
  /** The engine that wrote the data that is there, or undefined when there is none yet. */
  readonly writtenBy: EngineName | undefined;
  /** The port of the last start; mongod's replica set remembers it. */
  readonly lastPort: number | undefined;
  /** Stores both, in one step. */
  mark(engine: EngineName, port: number): void;
}

/** Opens a data directory, and creates it when it is not there. */
export function openDataDirectory(dataDir: string): DataDirectory {
  const path = resolve(dataDir);
  const dataPath = join(path, "data");
  mkdirSync(dataPath, { recursive: true, mode: 0o700 });
  const configFile = join(path, "secantusd.toml");
  writeFileSync(configFile, "# Empty: Reins gives every setting on the command line.\n");
  const markFile = join(path, "engine.json");
  const mark = readMark(markFile);
  return {
    path,
    dataPath,
    logFile: join(path, "engine.log"),
    configFile,
    // A start that failed before the first write leaves a mark that binds nobody.
    writtenBy: existsSync(join(dataPath, "WiredTiger")) ? mark?.engine : undefined,
    lastPort: mark?.port,
    mark(engine, port) {
      const temporary = `${markFile}.${process.pid}`;
      writeFileSync(temporary, `${JSON.stringify({ engine, port })}\n`);
      renameSync(temporary, markFile);
    },
  };
}

function readMark(path: string): { engine: EngineName; port?: number } | undefined {
  try {
    const mark = JSON.parse(readFileSync(path, "utf8")) as { engine?: EngineName; port?: number };
    return mark.engine !== undefined && engineNames.includes(mark.engine)
      ? { engine: mark.engine, port: mark.port }
      : undefined;
  } catch {
    return undefined;
  }
}
