import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { AssistantService } from "../gen/reins/v1/assistant_service_pb.ts";
import { file_reins_v1_error_details } from "../gen/reins/v1/error_details_pb.ts";
import { RunService } from "../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../gen/reins/v1/thread_service_pb.ts";
import { type Access, createAccess, openAccess } from "./access/access.ts";
import type { AccessSettings } from "./access/access-file.ts";
import { createPolicy } from "./access/authorize.ts";
import type { Identify } from "./access/identity.ts";
import { keysOnly, readAccessFile } from "./access/read-access-file.ts";
import { createBodyThread, createLargeBodies, type LargeBodies } from "./bodies/large-bodies.ts";
import { createJournal } from "./checkpoints/journal.ts";
import { type ChildUser, environmentOf, readChildUser, requireReadable } from "./child-user.ts";
import { childCompileCache } from "./compile-cache.ts";
import { type Config, ConfigError } from "./config.ts";
import { createRuns, type Runs } from "./create-runs.ts";
import { DomainError } from "./domain/errors.ts";
import { LifeIsOver } from "./domain/thread/decide.ts";
import { createRestEdge } from "./rest/edge.ts";
import type { About } from "./rest/welcome-page.ts";
import { requireLoopback } from "./server/listen-on.ts";
import { createServer, type ReinsServer } from "./server/server.ts";
import { toConnectError } from "./services/connect-errors.ts";
import { connectDatabase, ensureSchemaVersion, hostsOf, isDatabaseUnavailable } from "./storage/database.ts";
import { engineTitles } from "./storage/embedded/engines.ts";
import { startEmbeddedDatabase } from "./storage/embedded/start-embedded-database.ts";
import { openStores } from "./storage/stores.ts";
import { packageFolder, version } from "./version.ts";
import { type Api, type ApiParts, createApi } from "./wiring/api.ts";
import { startAuthFile, without } from "./wiring/auth-file.ts";
import type { AppParts } from "./wiring/parts.ts";
import type { AttemptHost } from "./worker/attempt-host.ts";
import { type ChildPoolOptions, createChildPool } from "./worker/child-pool.ts";
import { readLanggraphJson } from "./worker/langgraph-json.ts";
import { createLeaseClock } from "./worker/lease-clock.ts";
import type { GraphReport } from "./worker/protocol.ts";

export type { AppParts } from "./wiring/parts.ts";

export interface AppOptions {
  readonly log: Logger;
  /** Sentences for the person who starts the server, while it takes its time. */
  readonly progress: (sentence: string) => void;
  /** Tests put barriers and failures between the parts here. */
  readonly decorate?: (parts: AppParts) => AppParts;
  /** Tests say here who calls, by a request's headers. */
  readonly identify?: Identify | undefined;
  /** What executes; default: a pool of child processes of this server's own. */
  readonly createHost?: (options: ChildPoolOptions) => AttemptHost;
}

/** A server that serves. */
export interface App {
  readonly url: string;
  readonly port: number;
  /** The database's address, without credentials. */
  readonly database: string;
  /** What the embedded database is; "yours" for one that MONGODB_URI names. */
  readonly engine: string;
  readonly graphs: readonly GraphReport[];
  readonly about: About;
  /** Orderly shutdown: no new calls and claims, runs are handed back at their next step, then everything ends. */
  stop(): Promise<void>;
}

const examples = fileURLToPath(new URL("examples/agents/langgraph.json", packageFolder));
const childEntry = new URL(`./worker/child/main.${import.meta.url.endsWith(".js") ? "js" : "ts"}`, import.meta.url);

/** Starts everything, or nothing: what was started is ended again when a later part fails. */
export async function startApp(config: Config, options: AppOptions): Promise<App> {
  const { log } = options;
  requireLoopback(config.host);
  const { graphs, env, auth, warnings } = readLanggraphJson(config.configFile ?? examples);
  const settings = readSettings(config, auth !== undefined);
  for (const warning of warnings) log.warn(warning);
  await using started = new AsyncDisposableStack();
  const bodies = createBodyThread();
  started.defer(() => bodies.close());
  const large = createLargeBodies({ maxValues: config.maxRequestValues, run: bodies.run });
  // Before the rest: whose port is taken is told so before anything is started, and whoever asks in between is told to come back.
  const server = openServer(config, large, options);
  const listening = await server.listen();
  started.defer(() => server.close());

  const { uri, engine, data, maxPoolSize } = await databaseAddress(config, options, started);
  const database = await connectDatabase({ uri, maxPoolSize, databaseName: config.databaseName, log });
  started.defer(() => database.close());
  await ensureSchemaVersion(database.db);
  const files = [...graphs, ...(auth ? [auth] : [])].map(({ file }) => file);
  const user = childUser(config, [fileURLToPath(childEntry), ...files], log);
  const authFile = auth && (await startAuthFile({ spec: auth, config, env, user, log }));
  if (authFile) started.defer(() => authFile.process.stop());
  const host = (options.createHost ?? createChildPool)({
    entry: childEntry,
    graphs,
    children: config.children,
    slotsPerChild: config.slotsPerChild,
    env: without(config.authEnv, {
      ...(!user && childCompileCache(config.cacheDir)),
      ...config.childEnv,
      ...(user && environmentOf(user)),
      ...env,
    }),
    user,
    cwd: process.cwd(),
    log,
    graceMs: config.graceMs,
    leaseMs: config.leaseMs,
    blockedLimitMs: config.blockedLimitMs,
  });
  started.defer(() => host.stop());
  const clock = createLeaseClock(config.leaseMs);
  const { now } = clock;
  const { eventsTtlMs, runTtlMs, auditTtlMs } = config;
  const [stores, reports] = await Promise.all([
    openStores(database.db, { now, eventsTtlMs, runTtlMs, auditTtlMs, isSharded: database.isSharded }, database),
    host.start(),
  ]);
  for (const { name, problem } of reports) if (problem) log.error({ graph: name }, problem);

  const own: AppParts = { stores, journal: createJournal(database.db, now), host, clock };
  const parts = options.decorate?.(own) ?? own;
  const pause = (signal?: AbortSignal) => sleep(200, undefined, { signal }).catch(() => undefined);
  const { canonicalOf } = large;
  const runs = await createRuns({ ...parts, canonicalOf, config, graphs, reports, isTransient, pause, log });
  started.defer(() => runs.close());
  const about: About = { version, graphs: reports, data, pid: process.pid };
  const access = accessOf();
  const { watchers } = serve(server, config, parts, runs, {
    about,
    access,
    authFile: authFile?.file,
    large,
    isTransient,
    pause: () => pause(),
    log,
  });
  started.defer(() => watchers.settled());
  started.defer(() => server.close());
  const stopWatching = database.watchHealth((health) => server.health.set(health === "up"));
  started.defer(stopWatching);

  function accessOf(): Access {
    if (options.identify) return { isOn: true, identify: options.identify, policy: createPolicy(new Set()) };
    return settings ? createAccess({ settings, keys: stores.apiKeys, now, log, authFile: authFile?.file }) : openAccess;
  }

  const running = started.move();
  return {
    ...listening,
    database: hostsOf(uri),
    engine,
    graphs: reports,
    about,
    async stop() {
      stopWatching();
      await Promise.all([server.drain(config.drainMs), runs.drain(config.drainMs)]);
      await running.disposeAsync();
    },
  };
}

/** Who may call; undefined where everybody may. */
function readSettings({ accessFile, apiKeys }: Config, hasAuthFile: boolean): AccessSettings | undefined {
  if (!accessFile) return apiKeys ? keysOnly : hasAuthFile ? { ...keysOnly, api_keys: false } : undefined;
  const settings = readAccessFile(accessFile);
  const { token_issuers: issuers, client_certificates: certificates } = settings;
  if (!hasAuthFile || issuers.length + certificates.length === 0) return settings;
  throw new ConfigError(
    `${accessFile} names token issuers or client certificates, and langgraph.json an auth file, which is asked about all but API keys; keep one of them`,
  );
}

function childUser({ childUser: named }: Config, files: readonly string[], log: Logger): ChildUser | undefined {
  if (named === undefined) {
    if (process.getuid?.() === 0)
      log.warn("Graphs run as root, as the server does; REINS_CHILD_USER gives them another user.");
    return undefined;
  }
  const user = readChildUser(named);
  requireReadable(user, files);
  return user;
}

async function databaseAddress(config: Config, { log, progress }: AppOptions, started: AsyncDisposableStack) {
  if (config.mongodbUri !== undefined) {
    const data = `the database ${config.databaseName} at ${hostsOf(config.mongodbUri)}`;
    return { uri: config.mongodbUri, engine: "yours", data, maxPoolSize: config.databasePoolSize };
  }
  const embedded = await startEmbeddedDatabase({ ...config.embedded, progress, log });
  started.defer(() => embedded.stop());
  return { ...embedded, data: `${config.embedded.dataDir}, by ${engineTitles[embedded.engine]}` };
}

function openServer(config: Config, large: LargeBodies, { log }: AppOptions): ReinsServer {
  return createServer({
    host: config.host,
    port: config.port,
    services: [RunService, ThreadService, AssistantService],
    detailFiles: [file_google_rpc_error_details, file_reins_v1_error_details],
    mapError: (error) => toConnectError(nameError(error)),
    log,
    limits: { readMaxBytes: config.maxRequestBytes, maxConnections: config.maxConnections },
    patience: { bodyTimeoutMs: config.requestTimeoutMs, idleTimeoutMs: config.idleTimeoutMs },
    large,
    corsOrigins: config.corsOrigins,
    allowedHosts: config.allowedHosts,
  });
}

function serve(
  server: ReinsServer,
  config: Config,
  { stores }: AppParts,
  runs: Runs,
  {
    about,
    access,
    authFile,
    large,
    isTransient,
    pause,
    log,
  }: Pick<ApiParts, "authFile" | "isTransient" | "pause" | "log"> & {
    about: About;
    access: Access;
    large: LargeBodies;
  },
): Api {
  const { shutdownSignal } = server;
  const { policy } = access;
  const api = createApi({ config, stores, runs, policy, authFile, shutdownSignal, isTransient, pause, log });
  server.serve({
    routes(router) {
      router.service(RunService, api.runs);
      router.service(ThreadService, api.threads);
      router.service(AssistantService, api.assistants);
    },
    access,
    fallback: createRestEdge({
      services: api,
      policy,
      nameError,
      shutdownSignal,
      log,
      maxBodyBytes: config.maxRequestBytes,
      large,
      beatMs: config.restBeatMs,
      graceMs: config.graceMs,
      graphs: servedOf(about.graphs),
      startedAt: new Date(),
      about,
      itemsOf: api.itemsOf,
      load: runs.load,
      checkDatabase: async () => void (await stores.runs.countLive(1)),
    }),
  });
  return api;
}

/** Broken ones cannot be asked for. */
const servedOf = (graphs: About["graphs"]): string[] =>
  graphs.filter(({ problem }) => problem === undefined).map(({ name }) => name);

/** Worth another try: the database is away, or has been so for so long that others took this server for dead. */
const isTransient = (error: unknown): boolean => isDatabaseUnavailable(error) || error instanceof LifeIsOver;
const nameError = (error: unknown): unknown => (isTransient(error) ? databaseAway(error) : error);

const databaseAway = (cause: unknown): DomainError =>
  new DomainError("DATABASE_UNAVAILABLE", "the database cannot be reached at the moment; try again", { cause });
