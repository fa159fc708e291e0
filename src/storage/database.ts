import { setTimeout as sleep } from "node:timers/promises";
import {
  type Db,
  MongoClient,
  MongoClientClosedError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerClosedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from "mongodb";
import type { Logger } from "pino";
import { DomainError } from "../domain/errors.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import { failWritesToClosedConnections } from "./closed-connections.ts";

export interface DatabaseOptions {
  readonly uri: string;
  readonly maxPoolSize: number;
  readonly databaseName: string;
  readonly log: Logger;
  /** How long the first connection is tried for; by default 10 s. */
  readonly connectLimitMs?: number;
}

export type DatabaseHealth = "up" | "down";

export interface Database {
  /** Writes are durable on a majority when they are answered; reads see only such writes, on the primary. */
  readonly db: Db;
  /** The same database over connections of its own: a waiting change stream occupies one. */
  readonly changeStreamDb: Db;
  /** The same database over one connection of its own, for events: they do not stand in line behind what else is asked. */
  readonly eventWritesDb: Db;
  /**
   * The same database over a few connections of its own, for lists: where one takes long, others wait for it, and neither a lease nor a
   * cancel does.
   */
  readonly listsDb: Db;
  /** The same database over one connection of its own, for this server's lease: whatever else is asked, it is renewed at once. */
  readonly leaseDb: Db;
  readonly health: DatabaseHealth;
  /** It is reached through a router, which brings a command to several shards. */
  readonly isSharded: boolean;
  /** Calls the listener at each change from now on; returns what ends that. */
  watchHealth(listener: (health: DatabaseHealth) => void): () => void;
  close(): Promise<void>;
}

/** How long a call waits for a database that is away before it fails; short, so that callers are answered. */
const serverSelectionLimitMs = 2_000;
/** The driver asks the database how it is so often, over a connection of its own, and waits at most so long. */
const healthIntervalMs = 1_000;
const healthLimitMs = 2_000;
/** The same of connections for one purpose, whose health nobody follows. */
const ownHealthIntervalMs = 10_000;

/** One connection for lists to so many others. An embedded engine gets one: it keeps in memory all that a list reads. */
const listsShare = 8;

/** Connects, or throws a DomainError with one sentence that names the address, never the credentials. */
export async function connectDatabase(options: DatabaseOptions): Promise<Database> {
  const { uri, maxPoolSize, databaseName, log } = options;
  const client = createClient(uri, maxPoolSize);
  const health = followHealth(client, log);
  let isSharded: boolean;
  try {
    ({ isSharded } = await firstConnect(client, options.connectLimitMs ?? 10_000));
  } catch (error) {
    await client.close();
    throw cannotConnect(uri, error);
  }
  const closing = new AbortController();
  const own = new Map<string, ReturnType<typeof connectOwn>>();
  function ownDb(what: string, connections = 1): Db {
    const one = own.get(what) ?? connectOwn(uri, connections, log, closing.signal);
    own.set(what, one);
    return one.client.db(databaseName);
  }
  return {
    db: client.db(databaseName),
    get changeStreamDb() {
      return ownDb("change streams");
    },
    get eventWritesDb() {
      // With the small pool of an embedded engine another connection would cost as much as it brings.
      return maxPoolSize <= 2 ? client.db(databaseName) : ownDb("events");
    },
    get listsDb() {
      return ownDb("lists", Math.ceil(maxPoolSize / listsShare));
    },
    get leaseDb() {
      return ownDb("the lease");
    },
    get health() {
      return health.current();
    },
    isSharded,
    watchHealth: health.watch,
    async close() {
      health.end();
      closing.abort();
      await Promise.all([client.close(), ...[...own.values()].map((one) => one.close())]);
    },
  };
}

/**
 * A client for one purpose, which connects from now on until it has. Left to its first call it would stay closed for ever, should
 * the database be away just then: the driver gives such a client up.
 */
function connectOwn(uri: string, connections: number, log: Logger, closing: AbortSignal) {
  const client = createClient(uri, connections, ownHealthIntervalMs);
  const connected = keepTrying(() => client.connect(), {
    isTransient: isDatabaseUnavailable,
    pause: (signal) => sleep(healthIntervalMs, undefined, { signal }).catch(() => undefined),
    signal: closing,
  }).catch((error) => log.warn({ err: error }, "a connection of its own was not made"));
  return {
    client,
    async close() {
      // One that was still on its way would be left open.
      await connected;
      await client.close();
    },
  };
}

/** Retried writes are left to the URI and the driver, which does not retry on a standalone server. */
function createClient(uri: string, maxPoolSize: number, heartbeatFrequencyMS = healthIntervalMs): MongoClient {
  failWritesToClosedConnections();
  try {
    const client = new MongoClient(uri, {
      appName: "reins",
      maxPoolSize,
      writeConcern: { w: "majority", journal: true },
      readConcern: { level: "majority" },
      readPreference: "primary",
      serverSelectionTimeoutMS: serverSelectionLimitMs,
      serverMonitoringMode: "poll",
      heartbeatFrequencyMS,
      connectTimeoutMS: healthLimitMs,
      // All texts are our own; to look through each for bytes that are none takes twice as long as reading it.
      enableUtf8Validation: false,
    });
    // mongodb 7.9.0 (lib/cmap/connection_pool.js) looks ten times a second whether a pool has its smallest size, which is 0, and takes no
    // option for it: a third of what a server at rest needs.
    Object.assign(client.options, { minPoolSizeCheckFrequencyMS: 60_000 });
    return client;
  } catch (error) {
    throw cannotConnect(uri, error);
  }
}

/** A database that is just starting beside Reins (in a container, say) gets the time to do so. */
async function firstConnect(client: MongoClient, limitMs: number): Promise<Pick<Database, "isSharded">> {
  const end = performance.now() + limitMs;
  const connect = async () => {
    await client.connect();
    const { msg } = await client.db("admin").command({ hello: 1 });
    // So a router says what it is: https://www.mongodb.com/docs/manual/reference/command/hello/
    return { isSharded: msg === "isdbgrid" };
  };
  return keepTrying(connect, {
    isTransient: (error) => isDatabaseUnavailable(error) && performance.now() < end,
    // A try waits for the database by itself.
    pause: async () => undefined,
  });
}

function cannotConnect(uri: string, error: unknown): DomainError {
  const why = error instanceof Error ? error.message.replaceAll(uri, hostsOf(uri)) : String(error);
  return new DomainError("DATABASE_UNAVAILABLE", `Cannot connect to the database at ${hostsOf(uri)}: ${why}`, {
    cause: error,
  });
}

/** Scheme and hosts of a connection string: what may be shown. */
export function hostsOf(uri: string): string {
  const match = /^(mongodb(?:\+srv)?:\/\/)(?:.*@)?([^/?]*)/s.exec(uri);
  return match === null ? "(not a MongoDB connection string)" : `${match[1]}${match[2]}`;
}

/** Up while the driver's own monitor knows a server that takes writes. */
function followHealth(client: MongoClient, log: Logger) {
  const listeners = new Set<(health: DatabaseHealth) => void>();
  let current: DatabaseHealth | undefined;
  client.on("topologyDescriptionChanged", ({ newDescription }) => {
    const writable = [...newDescription.servers.values()].some(({ type }) => writableTypes.has(type));
    const next: DatabaseHealth = writable ? "up" : "down";
    // Until the first server has answered there is nothing to tell.
    if (next === current || (current === undefined && next === "down")) return;
    if (current !== undefined) log[next === "up" ? "info" : "error"](`The database is ${next}.`);
    current = next;
    for (const listener of listeners) listener(next);
  });
  return {
    current: (): DatabaseHealth => current ?? "down",
    watch(listener: (health: DatabaseHealth) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    end() {
      client.removeAllListeners("topologyDescriptionChanged");
      listeners.clear();
    },
  };
}

const writableTypes: ReadonlySet<string> = new Set(["Standalone", "RSPrimary", "Mongos", "LoadBalancer"]);

/** The database's clock, which decides leases; the same clock as `$$NOW`. Read without touching any collection. */
export async function databaseTime(db: Db): Promise<Date> {
  const { localTime } = await db.command({ hello: 1 });
  return localTime as Date;
}

/** Server errors that say: not now, not here. (The driver's list of "not primary" and "recovering", and lost hosts.) */
const unavailableCodes: ReadonlySet<unknown> = new Set([
  6, 7, 89, 91, 133, 189, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
]);

const networkCodes: ReadonlySet<unknown> = new Set([
  ...["ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "EPIPE", "ETIMEDOUT"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ENOTFOUND", "EAI_AGAIN"],
]);

/**
 * Tells whether an error means that the database is away, so that the call may succeed later; whether a write landed
 * is then unknown. Errors about the call itself are none of these.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (
    error instanceof MongoNetworkError || // its subclasses too: timeouts, a cleared connection pool
    error instanceof MongoServerSelectionError ||
    error instanceof MongoServerClosedError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoClientClosedError || // this and the next: closed by ourselves, at the end
    error instanceof MongoNotConnectedError ||
    error instanceof MongoOperationTimeoutError
  ) {
    return true;
  }
  if (!(error instanceof Error)) return false;
  // A socket's own error, which the driver hands on as it is when a write meets a reset connection.
  if ("code" in error && networkCodes.has(error.code)) return true;
  // A bulk write wraps whatever stopped it.
  return (
    error instanceof MongoServerError &&
    (unavailableCodes.has(error.code) || isDatabaseUnavailable(error.errorResponse))
  );
}
