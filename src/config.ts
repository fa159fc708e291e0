import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { didYouMean } from "./domain/closest-word.ts";
import { handOverSecrets, takeSecrets } from "./hand-over-secrets.ts";

/** Everything that a deployment may set. Durations in milliseconds. */
export interface Config {
  /** The graphs: a file in the LangGraph CLI's format. The bundled examples when absent. */
  readonly configFile: string | undefined;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The user's database; an embedded one is started without it. */
  readonly mongodbUri: string | undefined;
  readonly databaseName: string;
  /** Connections to the database that MONGODB_URI names; an embedded one gets what its engine serves best. */
  readonly databasePoolSize: number;
  readonly embedded: {
    readonly dataDir: string;
    readonly venvDir: string;
    readonly engine: "auto" | "mongod" | "secantusd-rs" | "secantusd-py";
    readonly mongodPath: string | undefined;
    readonly secantusdPath: string | undefined;
    readonly pathVariable: string;
    /** For pip: the user's index, proxy and certificate settings. */
    readonly installEnvironment: Readonly<Record<string, string | undefined>>;
  };
  /** Processes that execute runs side by side, and runs in each. */
  readonly children: number;
  readonly slotsPerChild: number;
  readonly leaseMs: number;
  /** How long a node may take to stop before its process is killed. */
  readonly graceMs: number;
  /** An event loop that is blocked for so long is killed without any cancel; 0: never. */
  readonly blockedLimitMs: number;
  /** How long a shutdown waits for calls and runs. */
  readonly drainMs: number;
  /** How often to look for what no signal told. */
  readonly pollMs: number;
  /** How long a run's events, and its record, are kept after its end; 0: for ever. */
  readonly eventsTtlMs: number;
  readonly runTtlMs: number;
  readonly maxRequestBytes: number;
  /** Lists, objects, texts, numbers and the like in one request. */
  readonly maxRequestValues: number;
  /** How often an unfinished answer of the REST edge shows that it goes on. */
  readonly restBeatMs: number;
  /** Live runs of a thread, and of the whole queue. */
  readonly maxThreadRuns: number;
  readonly maxLiveRuns: number;
  /** Of a run or a thread, as JSON text. */
  readonly maxMetadataBytes: number;
  /** The value of an item of the long-term memory, as JSON text. */
  readonly maxItemBytes: number;
  /** The most runs that one BatchCreateRuns creates. */
  readonly maxBatch: number;
  /** What one call of a webhook may take, and the pause after the first failure; each later one is five times as long. */
  readonly webhookLimitMs: number;
  readonly webhookPauseMs: number;
  /** The most runs that one call with a filter cancels. */
  readonly cancelLimit: number;
  /** At a time; more are refused. */
  readonly maxConnections: number;
  /** How long a client may take to send a request. */
  readonly requestTimeoutMs: number;
  /** How long a connection without a request is kept. */
  readonly idleTimeoutMs: number;
  readonly corsOrigins: readonly string[] | undefined;
  readonly allowedHosts: readonly string[];
  /** Who may call; without it, and without API keys, everybody who reaches the server. */
  readonly accessFile: string | undefined;
  /** API keys are taken, and asked for, without an access file. */
  readonly apiKeys: boolean;
  /** How long an entry of the audit is kept; 0: for ever. */
  readonly auditTtlMs: number;
  readonly logLevel: string;
  readonly logFormat: LogFormat | "auto";
  /** Where Node keeps the code that it has compiled, for the next start. */
  readonly cacheDir: string;
  /** By `npm start` and the like. */
  readonly isStartedByNpm: boolean;
  /** As text; undefined: they run as the server does. */
  readonly childUser: string | undefined;
  /** What children get of the environment: all of it but Reins' own settings and the database's address. */
  readonly childEnv: Readonly<Record<string, string>>;
  /** The names of the variables that an auth file's process alone has, and what the environment says under them. */
  readonly authEnv: readonly string[];
  readonly authSecrets: Readonly<Record<string, string>>;
}

/** A sentence for the person who starts the server. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

type Env = Readonly<Record<string, string | undefined>>;

/** Ten years. */
const longestTtlMs = 315_360_000_000;

const engines = ["auto", "mongod", "secantusd-rs", "secantusd-py"] as const;
const logFormats = ["auto", "pretty", "json"] as const;
/** Lines for people, or one JSON object a line. */
export type LogFormat = Exclude<(typeof logFormats)[number], "auto">;
const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

/** Each option: its flag (absent for those that only the environment sets), its variable, and what it is for. */
export const options = [
  { flag: "--config", variable: "REINS_CONFIG", is: "langgraph.json with the graphs; the bundled examples without it" },
  { flag: "--host", variable: "REINS_HOST", is: "loopback address to listen on (127.0.0.1)" },
  { flag: "--port", variable: "REINS_PORT", is: "port to listen on (2024); 0 takes a free one" },
  { flag: "--data-dir", variable: "REINS_DATA_DIR", is: "where the embedded database keeps its data (.reins/data)" },
  { variable: "REINS_VENV_DIR", is: "where the embedded engine's Python environment is kept (.reins/venv)" },
  { variable: "REINS_ENGINE", is: `embedded engine: ${engines.join(", ")} (auto)` },
  { variable: "REINS_MONGOD", is: "path of a mongod for the embedded database" },
  { variable: "REINS_SECANTUSD", is: "path of a secantusd-rs for the embedded database" },
  { variable: "REINS_DATABASE", is: "name of the database (reins)" },
  { variable: "REINS_DATABASE_POOL", is: "connections to the database that MONGODB_URI names (50)" },
  { variable: "REINS_CHILDREN", is: "processes that execute runs, at most (one a core)" },
  { variable: "REINS_SLOTS", is: "runs in each of these processes at a time (16)" },
  {
    variable: "REINS_CHILD_USER",
    is: "user of these processes: a name, uid or uid:gid; only as root (the server's own)",
  },
  { variable: "REINS_LEASE_MS", is: "lease of a run; a dead worker is noticed after it (10000)" },
  { variable: "REINS_GRACE_MS", is: "time that a node may take to stop before its process is killed (2000)" },
  {
    variable: "REINS_BLOCKED_LIMIT_MS",
    is: "kill a process that is blocked so long, without any cancel; 0: never (60000)",
  },
  { variable: "REINS_DRAIN_MS", is: "time that a shutdown waits for calls and runs (5000)" },
  { variable: "REINS_POLL_MS", is: "how often to look for what no signal told (5000)" },
  { variable: "REINS_EVENTS_TTL_MS", is: "how long a run's events are kept after its end; 0: for ever (3600000)" },
  { variable: "REINS_RUN_TTL_MS", is: "how long a run is kept after its end; 0: for ever (2592000000)" },
  { variable: "REINS_MAX_REQUEST_BYTES", is: "largest request message (16777216)" },
  {
    variable: "REINS_MAX_REQUEST_VALUES",
    is: "most values in a request, those in lists and objects included (500000)",
  },
  { variable: "REINS_REST_BEAT_MS", is: "how often an unfinished REST answer shows that it goes on (5000)" },
  { variable: "REINS_MAX_THREAD_RUNS", is: "live runs that a thread may have (1000)" },
  { variable: "REINS_MAX_LIVE_RUNS", is: "live runs that there may be on all threads together (100000)" },
  { variable: "REINS_MAX_METADATA_BYTES", is: "largest metadata of a run or a thread, as JSON (65536)" },
  { variable: "REINS_MAX_ITEM_BYTES", is: "largest value of an item in long-term memory, as JSON (1048576)" },
  { variable: "REINS_MAX_BATCH", is: "most runs of one BatchCreateRuns (100)" },
  { variable: "REINS_WEBHOOK_LIMIT_MS", is: "time that a webhook may take to answer (10000)" },
  {
    variable: "REINS_WEBHOOK_PAUSE_MS",
    is: "pause before a failed webhook is called again; then five times that (1000)",
  },
  { variable: "REINS_CANCEL_LIMIT", is: "runs that one CancelRuns with a filter cancels (10000)" },
  { variable: "REINS_MAX_CONNECTIONS", is: "connections at a time; more are refused (10000)" },
  { variable: "REINS_REQUEST_TIMEOUT_MS", is: "time that a client may take to send a request (120000)" },
  { variable: "REINS_IDLE_TIMEOUT_MS", is: "how long a connection without a request is kept (60000)" },
  { variable: "REINS_CORS_ORIGINS", is: "web origins that may call, separated by commas (all loopback ones)" },
  { variable: "REINS_ALLOWED_HOSTS", is: "host names besides the loopback ones that requests may be addressed to" },
  { flag: "--access", variable: "REINS_ACCESS", is: "file that says who may call (docs/access.md)" },
  { variable: "REINS_API_KEYS", is: `true: whoever calls needs a key of "reins keys"; false (false)` },
  { variable: "REINS_AUTH_ENV", is: "variables that only the auth file of langgraph.json gets, separated by commas" },
  { variable: "REINS_AUDIT_TTL_MS", is: "how long an entry of the audit is kept; 0: for ever (31536000000)" },
  { variable: "REINS_LOG_LEVEL", is: `${logLevels.join(", ")} (info)` },
  { variable: "REINS_LOG_FORMAT", is: "pretty, json, or auto: pretty on a terminal, else json (auto)" },
  { variable: "REINS_CACHE_DIR", is: "where Node keeps compiled code for the next start (.reins/cache)" },
] as const;

/** The configuration of this process: its arguments after the command, and its environment. */
export function readProcessConfig(flags: readonly string[]): Config {
  handOverSecrets(process.env);
  return readConfig(flags, takeSecrets(process.env), process.cwd());
}

/** Reads flags and environment; flags win. Throws a ConfigError with one sentence for anything illegal or unknown. */
export function readConfig(flags: readonly string[], env: Env, cwd: string): Config {
  const set = readSettings(flags, env);
  const authEnv = authVariables(set);
  const children = childEnvironment(env);
  const path = (variable: string) => (set[variable] === undefined ? undefined : resolve(cwd, set[variable]));
  return Object.freeze({
    configFile: path("REINS_CONFIG"),
    host: set.REINS_HOST ?? "127.0.0.1",
    port: whole(set, "REINS_PORT", 2024, 0, 65_535),
    mongodbUri: databaseUri(env, cwd),
    databaseName: matching(
      set,
      "REINS_DATABASE",
      "reins",
      /^[A-Za-z0-9_-]{1,60}$/,
      "letters, digits, _ and - (1 to 60)",
    ),
    databasePoolSize: whole(set, "REINS_DATABASE_POOL", 50, 1, 10_000),
    embedded: {
      dataDir: path("REINS_DATA_DIR") ?? resolve(cwd, ".reins/data"),
      venvDir: path("REINS_VENV_DIR") ?? resolve(cwd, ".reins/venv"),
      engine: oneOf(set, "REINS_ENGINE", "auto", engines),
      mongodPath: path("REINS_MONGOD"),
      secantusdPath: path("REINS_SECANTUSD"),
      pathVariable: env.PATH ?? "",
      installEnvironment: env,
    },
    children: whole(set, "REINS_CHILDREN", availableParallelism(), 1, 256),
    slotsPerChild: whole(set, "REINS_SLOTS", 16, 1, 1000),
    leaseMs: whole(set, "REINS_LEASE_MS", 10_000, 500, 3_600_000),
    graceMs: whole(set, "REINS_GRACE_MS", 2_000, 0, 600_000),
    blockedLimitMs: whole(set, "REINS_BLOCKED_LIMIT_MS", 60_000, 0, 86_400_000),
    drainMs: whole(set, "REINS_DRAIN_MS", 5_000, 0, 600_000),
    pollMs: whole(set, "REINS_POLL_MS", 5_000, 10, 60_000),
    eventsTtlMs: whole(set, "REINS_EVENTS_TTL_MS", 3_600_000, 0, longestTtlMs),
    runTtlMs: whole(set, "REINS_RUN_TTL_MS", 30 * 24 * 3_600_000, 0, longestTtlMs),
    maxRequestBytes: whole(set, "REINS_MAX_REQUEST_BYTES", 16 * 1024 * 1024, 1024, 64 * 1024 * 1024),
    maxRequestValues: whole(set, "REINS_MAX_REQUEST_VALUES", 500_000, 1000, 5_000_000),
    restBeatMs: whole(set, "REINS_REST_BEAT_MS", 5_000, 10, 3_600_000),
    maxThreadRuns: whole(set, "REINS_MAX_THREAD_RUNS", 1000, 1, 1_000_000),
    maxLiveRuns: whole(set, "REINS_MAX_LIVE_RUNS", 100_000, 1, 100_000_000),
    maxMetadataBytes: whole(set, "REINS_MAX_METADATA_BYTES", 65_536, 2, 8 * 1024 * 1024),
    maxItemBytes: whole(set, "REINS_MAX_ITEM_BYTES", 1024 * 1024, 2, 8 * 1024 * 1024),
    maxBatch: whole(set, "REINS_MAX_BATCH", 100, 1, 10_000),
    webhookLimitMs: whole(set, "REINS_WEBHOOK_LIMIT_MS", 10_000, 10, 600_000),
    webhookPauseMs: whole(set, "REINS_WEBHOOK_PAUSE_MS", 1_000, 10, 60_000),
    cancelLimit: whole(set, "REINS_CANCEL_LIMIT", 10_000, 1, 10_000),
    maxConnections: whole(set, "REINS_MAX_CONNECTIONS", 10_000, 1, 1_000_000),
    requestTimeoutMs: whole(set, "REINS_REQUEST_TIMEOUT_MS", 120_000, 100, 3_600_000),
    idleTimeoutMs: whole(set, "REINS_IDLE_TIMEOUT_MS", 60_000, 100, 3_600_000),
    corsOrigins: list(set.REINS_CORS_ORIGINS),
    allowedHosts: list(set.REINS_ALLOWED_HOSTS) ?? [],
    accessFile: path("REINS_ACCESS"),
    apiKeys: oneOf(set, "REINS_API_KEYS", "false", ["true", "false"]) === "true",
    auditTtlMs: whole(set, "REINS_AUDIT_TTL_MS", 365 * 24 * 3_600_000, 0, longestTtlMs),
    logLevel: oneOf(set, "REINS_LOG_LEVEL", "info", logLevels),
    logFormat: oneOf(set, "REINS_LOG_FORMAT", "auto", logFormats),
    cacheDir: path("REINS_CACHE_DIR") ?? resolve(cwd, ".reins/cache"),
    isStartedByNpm: env.npm_lifecycle_event !== undefined,
    childUser: set.REINS_CHILD_USER,
    childEnv: chosen(children, (name) => !authEnv.includes(name)),
    authEnv,
    authSecrets: chosen(children, (name) => authEnv.includes(name)),
  });
}

type Settings = Partial<Record<string, string>>;

function readSettings(flags: readonly string[], env: Env): Settings {
  const variables = new Set<string>(options.map((option) => option.variable));
  const settings: Settings = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("REINS_")) continue;
    if (!variables.has(name)) {
      const all = [...variables].sort();
      throw new ConfigError(`${name} is no setting of Reins${didYouMean(name, all)} Known are ${all.join(", ")}`);
    }
    if (value !== undefined && value !== "") settings[name] = value;
  }
  for (let i = 0; i < flags.length; i += 1) {
    const [flag, inline] = flags[i]!.split(/=(.*)/s, 2) as [string, string | undefined];
    const option = options.find((one) => "flag" in one && one.flag === flag);
    const known = options.flatMap((one) => ("flag" in one ? [one.flag] : []));
    if (!option) throw new ConfigError(`${flag} is no option${didYouMean(flag, known)} Known are ${known.join(", ")}`);
    const value = inline ?? flags[++i];
    if (value === undefined || value === "") throw new ConfigError(`${flag} needs a value: ${option.is}`);
    settings[option.variable] = value;
  }
  return settings;
}

/** The names under which a setting can be given, for a sentence. */
function nameOf(variable: string): string {
  const option = options.find((one) => one.variable === variable)!;
  return "flag" in option ? `${option.flag} (${variable})` : variable;
}

function whole(settings: Settings, variable: string, fallback: number, least: number, most: number): number {
  const text = settings[variable];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new ConfigError(`${nameOf(variable)} is "${text}"; it must be a whole number from ${least} to ${most}`);
}

function oneOf<T extends string>(settings: Settings, variable: string, fallback: T, allowed: readonly T[]): T {
  const text = settings[variable];
  if (text === undefined) return fallback;
  const value = allowed.find((one) => one === text);
  if (value !== undefined) return value;
  throw new ConfigError(`${nameOf(variable)} is "${text}"; it must be one of ${allowed.join(", ")}`);
}

function matching(settings: Settings, variable: string, fallback: string, shape: RegExp, allowed: string): string {
  const text = settings[variable] ?? fallback;
  if (shape.test(text)) return text;
  throw new ConfigError(`${nameOf(variable)} is "${text}"; it may hold ${allowed}`);
}

const list = (text: string | undefined): string[] | undefined =>
  text
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");

/** From the environment itself, or from the file that it names; the sentences show nothing of it. */
function databaseUri(env: Env, cwd: string): string | undefined {
  const { MONGODB_URI: uri, MONGODB_URI_FILE: named } = env;
  if (!named) return uri || undefined;
  if (uri)
    throw new ConfigError("MONGODB_URI and MONGODB_URI_FILE are both set; one of them says where the database is");
  const file = resolve(cwd, named);
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`MONGODB_URI_FILE names ${file}, which cannot be read (${code})`);
  }
  if (text === "") throw new ConfigError(`MONGODB_URI_FILE names ${file}, which is empty`);
  return text;
}

const databaseVariables = ["MONGODB_URI", "MONGODB_URI_FILE"];

function childEnvironment(env: Env): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !databaseVariables.includes(entry[0]) && !entry[0].startsWith("REINS_"),
  );
  return Object.fromEntries(kept);
}

const chosen = (env: Readonly<Record<string, string>>, isWanted: (name: string) => boolean): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => isWanted(name)));

function authVariables(set: Settings): string[] {
  const names = list(set.REINS_AUTH_ENV) ?? [];
  const bad = names.find((name) => !/^[A-Za-z_]\w*$/.test(name) || /^(REINS_|MONGODB_URI)/.test(name));
  if (bad === undefined) return names;
  throw new ConfigError(`REINS_AUTH_ENV names "${bad}"; it takes names of variables that are not the server's own`);
}
