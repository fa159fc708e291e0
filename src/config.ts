import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { didYouMean } from "./domain/closest-word.ts";
import { handOverSecrets, takeSecrets } from "./hand-over-secrets.ts";
import { engines, type LogFormat, logFormats, logLevels, migrations, options } from "./settings.ts";
import { type HostRule, readHostRule } from "./webhooks/host-rule.ts";

/** Everything that a deployment may set. Durations in milliseconds. */
export interface Config {
  /** The graphs: a file in the LangGraph CLI's format. The bundled examples when absent. */
  readonly configFile: string | undefined;
  readonly host: string;
  /** It is spelt out that whoever reaches the host needs no credentials. */
  readonly insecureNoAuth: boolean;
  /** PEM files; the port speaks TLS with them, and clear text without. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | undefined } | undefined;
  /** 0 takes a free one. */
  readonly port: number;
  /** The user's database; an embedded one is started without it. */
  readonly mongodbUri: string | undefined;
  readonly databaseName: string;
  /** Connections to the database that MONGODB_URI names; an embedded one gets what its engine serves best. */
  readonly databasePoolSize: number;
  /** Whether a start migrates a database of an older version, or refuses it until somebody does so by hand. */
  readonly migrate: (typeof migrations)[number];
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
  /** The same for all owners together, where there are several: each has processes of its own. */
  readonly maxChildren: number;
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
  /** Where webhooks may go; see receiver-rules.ts. */
  readonly webhookReceivers: {
    readonly allow: readonly HostRule[];
    readonly only: readonly HostRule[] | undefined;
    readonly httpsOnly: boolean;
  };
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
  /** An audit is kept without access control as well. */
  readonly audit: boolean;
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
  /** Of these, those that graphs get; undefined where nothing is said. See child-environment.ts. */
  readonly childEnvNames: readonly string[] | undefined;
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
    insecureNoAuth: isSet(set, "REINS_INSECURE_NO_AUTH"),
    tls: tlsFiles(path),
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
    migrate: oneOf(set, "REINS_MIGRATE", "auto", migrations),
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
    maxChildren: whole(set, "REINS_MAX_CHILDREN", Math.max(8, 4 * availableParallelism()), 1, 1024),
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
    webhookReceivers: {
      allow: hostRules(set, "REINS_WEBHOOK_ALLOW") ?? [],
      only: hostRules(set, "REINS_WEBHOOK_DOMAINS"),
      httpsOnly: oneOf(set, "REINS_WEBHOOK_HTTPS", "false", ["true", "false"]) === "true",
    },
    cancelLimit: whole(set, "REINS_CANCEL_LIMIT", 10_000, 1, 10_000),
    maxConnections: whole(set, "REINS_MAX_CONNECTIONS", 10_000, 1, 1_000_000),
    requestTimeoutMs: whole(set, "REINS_REQUEST_TIMEOUT_MS", 120_000, 100, 3_600_000),
    idleTimeoutMs: whole(set, "REINS_IDLE_TIMEOUT_MS", 60_000, 100, 3_600_000),
    corsOrigins: list(set.REINS_CORS_ORIGINS),
    allowedHosts: list(set.REINS_ALLOWED_HOSTS) ?? [],
    accessFile: path("REINS_ACCESS"),
    apiKeys: isSet(set, "REINS_API_KEYS"),
    audit: oneOf(set, "REINS_AUDIT", "false", ["true", "false"]) === "true",
    auditTtlMs: whole(set, "REINS_AUDIT_TTL_MS", 365 * 24 * 3_600_000, 0, longestTtlMs),
    logLevel: oneOf(set, "REINS_LOG_LEVEL", "info", logLevels),
    logFormat: oneOf(set, "REINS_LOG_FORMAT", "auto", logFormats),
    cacheDir: path("REINS_CACHE_DIR") ?? resolve(cwd, ".reins/cache"),
    isStartedByNpm: env.npm_lifecycle_event !== undefined,
    childUser: set.REINS_CHILD_USER,
    childEnv: chosen(children, (name) => !authEnv.includes(name)),
    childEnvNames: list(set.REINS_CHILD_ENV),
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
    const value = inline ?? ("isSwitch" in option ? "true" : flags[++i]);
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

const isSet = (settings: Settings, variable: string): boolean =>
  oneOf(settings, variable, "false", ["true", "false"]) === "true";

/** Both or none: half of it would be a server that its owner takes for one with TLS. */
function tlsFiles(path: (variable: string) => string | undefined): Config["tls"] {
  const [cert, key] = [path("REINS_TLS_CERT"), path("REINS_TLS_KEY")];
  const clientCa = path("REINS_TLS_CLIENT_CA");
  if (cert !== undefined && key !== undefined) return { cert, key, clientCa };
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  const missing = cert === undefined ? "REINS_TLS_CERT" : "REINS_TLS_KEY";
  throw new ConfigError(`TLS takes REINS_TLS_CERT and REINS_TLS_KEY; ${missing} is not set`);
}

const list = (text: string | undefined): string[] | undefined =>
  text
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");

function hostRules(settings: Settings, variable: string): HostRule[] | undefined {
  return list(settings[variable])?.map((text) => {
    const rule = readHostRule(text);
    if (rule) return rule;
    throw new ConfigError(
      `${nameOf(variable)} holds "${text}"; each entry must be a host, *.domain, an address or a CIDR range, with a port (:443) or without one, and IPv6 in brackets`,
    );
  });
}

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
