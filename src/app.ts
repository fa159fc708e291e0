import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { AssistantService } from "../gen/reins/v1/assistant_service_pb.ts";
import { file_reins_v1_error_details } from "../gen/reins/v1/error_details_pb.ts";
import { OperationService } from "../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../gen/reins/v1/thread_service_pb.ts";
import type { Access } from "./access/access.ts";
import type { AccessSettings } from "./access/access-file.ts";
import type { Identify } from "./access/identity.ts";
import { runsOf } from "./access/limits.ts";
import { keysOnly, readAccessFile } from "./access/read-access-file.ts";
import { createBodyThread, createLargeBodies, type LargeBodies } from "./bodies/large-bodies.ts";
import { createJournal } from "./checkpoints/journal.ts";
import { childEnvironment } from "./child-environment.ts";
import { type ChildUser, environmentOf, readChildUser, requireReadable } from "./child-user.ts";
import { childCompileCache } from "./compile-cache.ts";
import { type Config, ConfigError } from "./config.ts";
import { createRuns, type Runs } from "./create-runs.ts";
import { DomainError } from "./domain/errors.ts";
import { LifeIsOver } from "./domain/thread/decide.ts";
import { migrateAtStart, openDatabase } from "./open-database.ts";
import { createRestEdge } from "./rest/edge.ts";
import type { About } from "./rest/welcome-page.ts";
import { requireGuards } from "./server/listen-on.ts";
import { createServer, type ReinsServer } from "./server/server.ts";
import { openTls, type Tls } from "./server/tls-files.ts";
import { toConnectError } from "./services/connect-errors.ts";
import { createSignal } from "./signals.ts";
import { hostsOf, isDatabaseUnavailable } from "./storage/database.ts";
import { createDatabaseProbe } from "./storage/database-probe.ts";
import { schemaProblem } from "./storage/migrations/schema-problem.ts";
import { openStores } from "./storage/stores.ts";
import { packageFolder, version } from "./version.ts";
import { wireAccess } from "./wiring/access.ts";
import { type Api, type ApiParts, createApi } from "./wiring/api.ts";
import { startAuthFile, without } from "./wiring/auth-file.ts";
import type { AppParts } from "./wiring/parts.ts";
import type { AttemptHost } from "./worker/attempt-host.ts";
import { type ChildPoolOptions, createChildPool } from "./worker/child-pool.ts";
import type { Kill } from "./worker/kill-cause.ts";
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
  /** Resolves when servers of this version cannot live with the database any more: the process must end at once. */
  readonly outdated: Promise<DomainError>;
  /** Looks whether the files of the certificate have changed; absent without TLS. */
  readonly reloadCertificate: (() => Promise<void>) | undefined;
  /** Orderly shutdown: no new calls and claims, runs are handed back at their next step, then everything ends. */
  stop(): Promise<void>;
}

const examples = fileURLToPath(new URL("examples/agents/langgraph.json", packageFolder));
const childEntry = new URL(`./worker/child/main.${import.meta.url.endsWith(".js") ? "js" : "ts"}`, import.meta.url);

/** Starts everything, or nothing: what was started is ended again when a later part fails. */
export async function startApp(config: Config, options: AppOptions): Promise<App> {
  const { log } = options;
  const { graphs, env, auth, warnings } = readLanggraphJson(config.configFile ?? examples);
  const settings = readSettings(config, auth !== undefined);
  const isGuarded = settings !== undefined || options.identify !== undefined;
  const guards = { access: isGuarded, tls: config.tls !== undefined, insecureNoAuth: config.insecureNoAuth };
  for (const warning of requireGuards(config.host, guards)) log.warn(warning);
  for (const warning of halfOfMutualTls(config, settings)) log.warn(warning);
  const tls = config.tls && (await openTls(config.tls, { log }));
  for (const warning of warnings) log.warn(warning);
  await using started = new AsyncDisposableStack();
  const bodies = createBodyThread();
  started.defer(() => bodies.close());
  const large = createLargeBodies({ maxValues: config.maxRequestValues, run: bodies.run });
  // Before the rest: whose port is taken is told so before anything is started, and whoever asks in between is told to come back.
  const server = openServer(config, { large, log, tls, isGuarded });
  const listening = await server.listen();
  started.defer(() => server.close());

  const { database, uri, engine, data } = await openDatabase(config, options, started);
  await migrateAtStart(database.db, config, options);
  const outdated = Promise.withResolvers<DomainError>();
  const files = [...graphs, ...(auth ? [auth] : [])].map(({ file }) => file);
  const user = childUser(config, [fileURLToPath(childEntry), ...files], log);
  const authFile = auth && (await startAuthFile({ spec: auth, config, env, user, log }));
  if (authFile) started.defer(() => authFile.process.stop());
  const kills = createSignal<[kill: Kill]>((err) => log.error({ err }, "the audit did not hear of a kill"));
  const host = (options.createHost ?? createChildPool)({
    entry: childEntry,
    graphs,
    children: config.children,
    maxChildren: config.maxChildren,
    slotsPerChild: config.slotsPerChild,
    env: without(config.authEnv, {
      ...(!user && childCompileCache(config.cacheDir)),
      ...childEnvironment(config, isGuarded),
      ...(user && environmentOf(user)),
      ...env,
    }),
    user,
    cwd: process.cwd(),
    log,
    onKill: (kill) => kills.emit(kill),
    graceMs: config.graceMs,
    leaseMs: config.leaseMs,
    blockedLimitMs: config.blockedLimitMs,
  });
  started.defer(() => host.stop());
  const clock = createLeaseClock(config.leaseMs);
  const { now } = clock;
  const { eventsTtlMs, runTtlMs, auditTtlMs } = config;
  const [stores, reports] = await Promise.all([
    openStores(
      database.db,
      {
        now,
        eventsTtlMs,
        runTtlMs,
        auditTtlMs,
        isSharded: database.isSharded,
        async requireSchema() {
          const problem = await schemaProblem(database.db);
          if (problem === undefined) return;
          outdated.resolve(problem);
          throw problem;
        },
      },
      database,
    ),
    host.start(),
  ]);
  for (const { name, problem } of reports) if (problem) log.error({ graph: name }, problem);

  const probe = createDatabaseProbe(database.db);
  const own: AppParts = { stores, journal: createJournal(database.db, now), probe, host, clock };
  const parts = options.decorate?.(own) ?? own;
  const pause = (signal?: AbortSignal) => sleep(200, undefined, { signal }).catch(() => undefined);
  const { canonicalOf } = large;
  const runs = await createRuns({
    ...parts,
    canonicalOf,
    config,
    accessControl: isGuarded,
    runsOf: settings && runsOf(settings),
    graphs,
    reports,
    isTransient,
    pause,
    log,
  });
  started.defer(() => runs.close());
  const about: About = { version, graphs: reports, data, pid: process.pid };
  const { identify } = options;
  const access = wireAccess({
    settings,
    identify,
    authFile: authFile?.file,
    stores,
    runs,
    kills,
    keepsAudit: config.audit,
    now,
    isTransient,
    pause: () => pause(),
    log,
  });
  started.defer(() => access.audit.settled());
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

  const running = started.move();
  return {
    ...listening,
    database: hostsOf(uri),
    engine,
    graphs: reports,
    about,
    outdated: outdated.promise,
    reloadCertificate: tls?.look,
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

/** Who has set one half of client certificates would take the server for guarded by them. */
function halfOfMutualTls({ tls }: Config, settings: AccessSettings | undefined): string[] {
  const isAsked = tls?.clientCa !== undefined;
  const hasTable = (settings?.client_certificates.length ?? 0) > 0;
  if (isAsked && !hasTable) {
    return ["REINS_TLS_CLIENT_CA is set, but no access file says whose client certificates are: they let nobody in."];
  }
  if (hasTable && !isAsked) {
    return ["The access file names client certificates, but none is asked for: REINS_TLS_CLIENT_CA is not set."];
  }
  return [];
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

function openServer(
  config: Config,
  parts: { large: LargeBodies; log: Logger; tls: Tls | undefined; isGuarded: boolean },
): ReinsServer {
  return createServer({
    ...parts,
    insecureNoAuth: config.insecureNoAuth,
    host: config.host,
    port: config.port,
    services: [RunService, ThreadService, AssistantService, OperationService],
    detailFiles: [file_google_rpc_error_details, file_reins_v1_error_details],
    mapError: (error) => toConnectError(nameError(error)),
    limits: { readMaxBytes: config.maxRequestBytes, maxConnections: config.maxConnections },
    patience: { bodyTimeoutMs: config.requestTimeoutMs, idleTimeoutMs: config.idleTimeoutMs },
    corsOrigins: config.corsOrigins,
    allowedHosts: config.allowedHosts,
  });
}

function serve(
  server: ReinsServer,
  config: Config,
  { stores, probe }: AppParts,
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
  const api = createApi({ config, stores, runs, guards: access, authFile, shutdownSignal, isTransient, pause, log });
  server.serve({
    routes(router) {
      router.service(RunService, api.runs);
      router.service(ThreadService, api.threads);
      router.service(AssistantService, api.assistants);
      router.service(OperationService, api.operations);
    },
    access,
    fallback: createRestEdge({
      services: api,
      policy: access.policy,
      audit: access.audit,
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
      checkDatabase: probe,
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
