import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { type EngineName, engineNames } from "./engines.ts";
import { closeFolder, writeOwnerOnly } from "./owner-only.ts";

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
  /** What the last start has marked. */
  readonly marked: { readonly engine: EngineName; readonly port?: number } | undefined;
  /** The password of the engine's only user: random, made once, in a file that only the server's user can read. */
  readonly key: string;
  /** The engine knows that user with this key. */
  readonly hasUser: boolean;
  /** Stores that it does. */
  markUser(): void;
  /** Stores both, in one step. */
  mark(engine: EngineName, port: number): void;
}

/** Opens a data directory, and creates it when it is not there. It is closed to other users. */
export function openDataDirectory(dataDir: string): DataDirectory {
  const path = resolve(dataDir);
  const dataPath = join(path, "data");
  mkdirSync(dataPath, { recursive: true, mode: 0o700 });
  for (const folder of [path, dataPath]) closeFolder(folder);
  const configFile = join(path, "secantusd.toml");
  writeOwnerOnly(configFile, "# Empty: Reins gives every setting on the command line.\n");
  const markFile = join(path, "engine.json");
  const mark = readMark(markFile);
  const logFile = join(path, "engine.log");
  appendFileSync(logFile, "");
  chmodSync(logFile, 0o600);
  const key = readKey(join(path, "key"));
  // Says for which key the engine has its user: after a key was lost, it is to be given the new one.
  const userFile = join(path, "user");
  return {
    path,
    dataPath,
    logFile,
    key,
    hasUser: readText(userFile) === fingerprint(key),
    markUser: () => writeOwnerOnly(userFile, fingerprint(key)),
    configFile,
    // A start that failed before the first write leaves a mark that binds nobody.
    writtenBy: existsSync(join(dataPath, "WiredTiger")) ? mark?.engine : undefined,
    lastPort: mark?.port,
    marked: mark,
    mark(engine, port) {
      const temporary = `${markFile}.${process.pid}`;
      writeOwnerOnly(temporary, `${JSON.stringify({ engine, port })}\n`);
      renameSync(temporary, markFile);
    },
  };
}

function readKey(path: string): string {
  const stored = readText(path);
  if (stored !== undefined && /^[\w-]{43}$/.test(stored)) {
    chmodSync(path, 0o600);
    return stored;
  }
  const key = randomBytes(32).toString("base64url");
  writeOwnerOnly(path, key);
  return key;
}

const fingerprint = (key: string): string => createHash("sha256").update(key).digest("base64url");

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
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
