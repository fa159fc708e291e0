import { createServer } from "node:net";
import { homedir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { DomainError } from "../../domain/errors.ts";
import { keepTrying } from "../../domain/keep-trying.ts";
import { chooseEngine } from "./choose-engine.ts";
import { type DataDirectory, openDataDirectory } from "./data-directory.ts";
import { type DirectoryHold, holdDirectory, inUse } from "./directory-hold.ts";
import { logEnd, readLogFrom } from "./engine-log.ts";
import { EngineFailure } from "./engine-process.ts";
import { ensureUser } from "./engine-user.ts";
import {
  dataLockedPattern,
  type EngineName,
  engineLaunch,
  engineTitles,
  engineUri,
  maxPoolSizes,
  takesKey,
} from "./engines.ts";
import { lastLines } from "./executables.ts";
import { endProcess } from "./process-identity.ts";
import { ensureReplicaSet } from "./replica-set.ts";
import { type SupervisedEngine, superviseEngine } from "./supervised-engine.ts";

export interface EmbeddedDatabaseOptions {
  /** Holds the data, the log and the marks of the engine; created when missing. One Reins at a time. */
  readonly dataDir: string;
  /** Where the Python engine is installed when it comes to that; shared by any number of data directories. */
  readonly venvDir: string;
  readonly engine?: EngineName | "auto";
  /** A mongod to use (REINS_MONGOD) and a secantusd-rs (REINS_SECANTUSD), instead of those on the PATH. */
  readonly mongodPath?: string;
  readonly secantusdPath?: string;
  readonly pathVariable: string;
  /** What pip is run with beside the PATH: the user's index, proxy and certificate settings. */
  readonly installEnvironment?: Readonly<Record<string, string | undefined>>;
  /** Receives a sentence for the user whenever the start takes long or passes over something. */
  readonly progress: (sentence: string) => void;
  readonly log: Logger;
}

export interface EmbeddedDatabase {
  /** With the engine's key, where it takes one. Stays valid over crashes of the engine, which comes back on the same port. */
  readonly uri: string;
  readonly engine: EngineName;
  /** The number of connections that this engine serves best. */
  readonly maxPoolSize: number;
  /** Ends the engine; resolves when it is gone and the directory is free. */
  stop(): Promise<void>;
  /** The listener is called once, if the engine fails again and again and is given up. */
  onExit(listener: (error: Error) => void): void;
}

/** How long a start waits for the engine of a Reins that was killed to let go of the data. */
const leftoverPatienceMs = 10_000;

/**
 * Starts the database that Reins brings along, and resolves when it takes writes. Throws a DomainError whose message
 * tells the user what is missing, which process has the directory, or what the engine's log ends with.
 */
export async function startEmbeddedDatabase(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
  const directory = openDataDirectory(options.dataDir);
  const hold = holdDirectory(directory.path);
  let supervised: SupervisedEngine | undefined;
  try {
    const base = baseEnvironment(options.pathVariable);
    const chosen = await chooseEngine({
      ...options,
      engine: options.engine ?? "auto",
      environment: { ...definedOnly(options.installEnvironment ?? {}), ...base },
      dataDir: directory.path,
      writtenBy: directory.writtenBy,
    });
    const { engine } = chosen;
    if (hold.leftover !== undefined) await endProcess(hold.leftover, leftoverPatienceMs);

    const startEngine = async (access: "open" | "with key") => {
      const launch = engineLaunch(engine, directory, access);
      const port = launch.choosesPort ? 0 : await freePort(directory.lastPort);
      directory.mark(engine, port);
      const started = await startWhenUnlocked(directory, hold, () =>
        superviseEngine({
          command: chosen.command,
          args: [...chosen.leadingArgs, ...launch.args],
          environment: base,
          port,
          readyPattern: launch.readyPattern,
          logFile: directory.logFile,
          log: options.log,
          onEngineProcess: (pid) => hold.recordEngine(pid),
        }),
      );
      directory.mark(engine, started.port);
      return started;
    };
    if (takesKey(engine) && !directory.hasUser) {
      // Once for a data directory, before any graph is loaded.
      supervised = await startEngine("open");
      await ensureUser(engineUri(engine, supervised.port), directory.key);
      await supervised.stop();
      directory.markUser();
    }
    supervised = await startEngine("with key");
    const uri = engineUri(engine, supervised.port, takesKey(engine) ? directory.key : undefined);
    if (engine === "mongod") await ensureReplicaSet(uri, supervised.port);
    return embeddedDatabase(engine, uri, supervised, hold);
  } catch (error) {
    await supervised?.stop();
    hold.release();
    throw error instanceof EngineFailure ? startFailure(error, directory) : error;
  }
}

function embeddedDatabase(
  engine: EngineName,
  uri: string,
  supervised: SupervisedEngine,
  hold: DirectoryHold,
): EmbeddedDatabase {
  return {
    uri,
    engine,
    maxPoolSize: maxPoolSizes[engine],
    onExit: (listener) => supervised.onExit((error) => listener(new Error(`${engineTitles[engine]} ${error.message}`))),
    async stop() {
      await supervised.stop();
      hold.release();
    },
  };
}

/** A killed Reins leaves an engine that its watcher is just ending: the start is repeated until the data is free. */
async function startWhenUnlocked(
  directory: DataDirectory,
  hold: DirectoryHold,
  start: () => Promise<SupervisedEngine>,
): Promise<SupervisedEngine> {
  const end = performance.now() + (hold.takenOver ? leftoverPatienceMs : 0);
  let logStart = 0;
  const isLocked = () => dataLockedPattern.test(readLogFrom(directory.logFile, logStart));
  const tryToStart = () => {
    logStart = logEnd(directory.logFile);
    return start();
  };
  return keepTrying(tryToStart, {
    isTransient: () => isLocked() && performance.now() < end,
    pause: () => sleep(100),
  }).catch((error: unknown) => {
    throw isLocked() ? inUse(directory.path, undefined) : error;
  });
}

function startFailure(failure: EngineFailure, directory: DataDirectory): DomainError {
  const tail = lastLines(readLogFrom(directory.logFile, 0), 10).map((line) => `  ${line}`);
  return new DomainError(
    "DATABASE_UNAVAILABLE",
    [`The embedded database ${failure.message}. Its log ${directory.logFile} ends with:`, ...tail].join("\n"),
    { cause: failure },
  );
}

/** Engines see nothing of Reins' own environment: settings of theirs in it could make them less durable. */
function baseEnvironment(pathVariable: string): Record<string, string> {
  return { PATH: pathVariable, HOME: homedir(), LC_ALL: "C.UTF-8", PYTHONUNBUFFERED: "1" };
}

function definedOnly(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}

/** The preferred port when nobody has it, else any free one, on loopback. */
async function freePort(preferred: number | undefined): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number>((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
      });
    });
  return tryPort(preferred ?? 0).catch(() => tryPort(0));
}
