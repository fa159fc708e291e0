import type { Logger } from "pino";
import { DomainError } from "../../domain/errors.ts";
import { type EngineName, engineNames, engineTitles } from "./engines.ts";
import { findOnPath, isExecutable, runCommand } from "./executables.ts";
import { ensurePythonVenv, pythonPackage } from "./python-venv.ts";

export interface ChooseEngineOptions {
  readonly engine: EngineName | "auto";
  /** REINS_MONGOD and REINS_SECANTUSD: given ones are wishes, so a broken one is an error. */
  readonly mongodPath?: string;
  readonly secantusdPath?: string;
  readonly venvDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: (sentence: string) => void;
  readonly log: Logger;
  /** The engine that wrote the data, which then is the only one that may open it. */
  readonly writtenBy: EngineName | undefined;
  readonly dataDir: string;
}

export interface ChosenEngine {
  readonly engine: EngineName;
  readonly command: string;
  /** Arguments that come before the engine's own. */
  readonly leadingArgs: readonly string[];
  readonly version: string;
}

type Found =
  | { readonly ok: true; readonly chosen: ChosenEngine }
  /** `broken`: it is there and does not work, which the user should know even if another engine serves. */
  | { readonly ok: false; readonly reason: string; readonly broken: boolean };

const oldestMongod = 5;

/**
 * Finds the engine to start: the one that wrote the data; else the one that was asked for; else the first that works.
 *
 * Data stays with its engine. The two SecantusDB engines do open each other's files, but the Python server takes the
 * indexes that the Rust server has made for different ones of the same name and refuses to ensure them.
 */
export async function chooseEngine(options: ChooseEngineOptions): Promise<ChosenEngine> {
  const { writtenBy, progress, log } = options;
  const wanted = wantedEngine(options);
  if (writtenBy !== undefined && wanted !== undefined && wanted !== writtenBy) {
    throw unavailable(
      `The data in ${options.dataDir} was written by ${engineTitles[writtenBy]}, and ${engineTitles[wanted]} was asked ` +
        `for: ask for ${writtenBy}, or move the directory away to start with an empty database.`,
    );
  }
  const only = writtenBy ?? wanted;
  const reasons: string[] = [];
  for (const name of only === undefined ? engineNames : [only]) {
    const found = await finders[name](options);
    if (found.ok) {
      log.info(`The embedded database is ${engineTitles[name]}, ${found.chosen.version}.`);
      return found.chosen;
    }
    reasons.push(`${engineTitles[name]}: ${found.reason}`);
    if (found.broken && only === undefined) progress(`Passing over ${engineTitles[name]}: ${found.reason}.`);
  }
  if (writtenBy !== undefined) {
    throw unavailable(
      `The data in ${options.dataDir} was written by ${engineTitles[writtenBy]}, which cannot be started: ` +
        `${reasons[0]?.slice(engineTitles[writtenBy].length + 2)}. ${howToGet[writtenBy]}, or move the directory away ` +
        "to start with an empty database.",
    );
  }
  throw unavailable(only === undefined ? nothingFound(reasons) : `${reasons[0]}. ${howToGet[only]}.`);
}

function wantedEngine(options: ChooseEngineOptions): EngineName | undefined {
  if (options.engine !== "auto") return options.engine;
  if (options.mongodPath !== undefined) return "mongod";
  return options.secantusdPath === undefined ? undefined : "secantusd-rs";
}

const howToGet: Readonly<Record<EngineName, string>> = {
  mongod: "Put mongod on the PATH or name it in REINS_MONGOD",
  "secantusd-rs": "Put secantusd-rs on the PATH or name it in REINS_SECANTUSD",
  "secantusd-py": "It needs Python 3.10 to 3.13 with venv and pip, and a package index for the first start",
};

function nothingFound(reasons: readonly string[]): string {
  return [
    "There is no database: MONGODB_URI is not set, and no embedded one can be started.",
    ...reasons.map((reason) => `  - ${reason}`),
    ...engineNames.map((name) => `  * ${engineTitles[name]}: ${howToGet[name]}.`),
    "Or run MongoDB in a container: docker run -d -p 127.0.0.1:27017:27017 mongo:8",
    "and set MONGODB_URI=mongodb://127.0.0.1:27017",
  ].join("\n");
}

const finders: Readonly<Record<EngineName, (options: ChooseEngineOptions) => Promise<Found>>> = {
  async mongod(options) {
    const found = await findBinary("mongod", options.mongodPath, "REINS_MONGOD", options);
    if (!found.ok) return found;
    const major = Number(/v(\d+)\./.exec(found.chosen.version)?.[1]);
    if (major >= oldestMongod) return found;
    const reason = `${found.chosen.command} is ${found.chosen.version}, and ${oldestMongod}.0 or newer is needed`;
    return { ok: false, reason, broken: true };
  },
  "secantusd-rs": (options) => findBinary("secantusd-rs", options.secantusdPath, "REINS_SECANTUSD", options),
  async "secantusd-py"(options) {
    const venv = await ensurePythonVenv(options);
    if (!venv.ok) return { ok: false, reason: venv.reason, broken: false };
    const { commandModule, version } = pythonPackage;
    const chosen = { command: venv.python, leadingArgs: ["-m", commandModule], version };
    return { ok: true, chosen: { engine: "secantusd-py", ...chosen } };
  },
};

async function findBinary(
  engine: EngineName,
  given: string | undefined,
  variable: string,
  options: ChooseEngineOptions,
): Promise<Found> {
  if (given !== undefined && !isExecutable(given)) {
    return { ok: false, reason: `${variable} names ${given}, which is not an executable file`, broken: true };
  }
  const command = given ?? findOnPath(engine, options.environment.PATH ?? "");
  if (command === undefined) return { ok: false, reason: "not on the PATH", broken: false };
  const result = await runCommand(command, ["--version"], { environment: options.environment, timeoutMs: 15_000 });
  if (!result.ok) return { ok: false, reason: `${command} does not run (${result.reason})`, broken: true };
  const version = result.output.trim().split("\n")[0] ?? "";
  return { ok: true, chosen: { engine, command, leadingArgs: [], version } };
}

function unavailable(sentence: string): DomainError {
  return new DomainError("DATABASE_UNAVAILABLE", sentence);
}
