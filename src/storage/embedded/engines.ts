/** The embedded engines, best first. */
export const engineNames = ["mongod", "secantusd-rs", "secantusd-py"] as const;
export type EngineName = (typeof engineNames)[number];

export const engineTitles: Readonly<Record<EngineName, string>> = {
  mongod: "MongoDB (mongod)",
  "secantusd-rs": "SecantusDB's Rust server (secantusd-rs)",
  "secantusd-py": "SecantusDB for Python (secantusd-py)",
};

/**
 * Connections that pay. Measured on two cores with a mix of inserts, guarded updates and reads: the Rust server does
 * 1,440 operations/s over one connection, 2,160 over 2, and stays near 2,400 from 4 to 64; the Python server 480 over
 * one or two and only 286 over 8. MongoDB serves as many as its cores can use.
 */
export const maxPoolSizes: Readonly<Record<EngineName, number>> = {
  mongod: 50,
  "secantusd-rs": 8,
  "secantusd-py": 2,
};

export const replicaSetName = "reins";
const host = "127.0.0.1";
/** Stands in an engine's arguments for the port. */
export const portPlaceholder = "{port}";

/** How an engine is started on its data. */
export interface EngineLaunch {
  readonly args: readonly string[];
  /** The output line that says that the engine serves; its group, if any, is the port. */
  readonly readyPattern: string;
  /** False: the engine needs its port named. */
  readonly choosesPort: boolean;
}

/**
 * The Python server stands still for good when its cache is too small for what is being written: a call that has to make room
 * there holds its lock, which those wait for whose snapshots keep the room (seen at 256 MB beside states of some MB). Memory is
 * taken only as far as it is needed.
 */
const cacheSizes = { "secantusd-rs": "256M", "secantusd-py": "1G" } as const;

/**
 * Every engine listens on loopback only, keeps a small cache and stores durably: `--sync-on-commit` for SecantusDB,
 * which otherwise loses acknowledged writes when it is killed; mongod honours `j: true`. `configFile` is an empty file:
 * SecantusDB else reads one from the working or the home directory.
 */
export function engineLaunch(
  engine: EngineName,
  files: { readonly dataPath: string; readonly configFile: string },
  access: "open" | "with key",
): EngineLaunch {
  if (engine === "mongod") {
    const replication = ["--replSet", replicaSetName, "--oplogSize", "256"];
    const storage = ["--dbpath", files.dataPath, "--wiredTigerCacheSizeGB", "0.25"];
    return {
      args: ["--bind_ip", host, "--port", portPlaceholder, ...replication, ...storage, "--nounixsocket", "--quiet"],
      readyPattern: "[Ww]aiting for connections",
      choosesPort: false,
    };
  }
  const storage = ["--storage-path", files.dataPath, "--sync-on-commit", "--cache-size", cacheSizes[engine]];
  // The Rust server allocates a log file in full: 128 MB each by default.
  const auth = access === "with key" ? ["--auth"] : [];
  const logSize = engine === "secantusd-rs" ? ["--log-file-max", "16MB"] : [];
  return {
    args: ["--config", files.configFile, "--host", host, "--port", portPlaceholder, ...storage, ...logSize, ...auth],
    readyPattern: "listening on [^\\s:]+:(\\d+)",
    choosesPort: true,
  };
}

/**
 * SecantusDB remembers retried writes in memory only: a retry that meets the restarted engine is applied a second time
 * (tried with a SIGKILL), so the driver must not retry there. MongoDB remembers them durably.
 */
export function engineUri(engine: EngineName, enginePort: number, key?: string): string {
  const retries = engine === "mongod" ? "" : "&retryWrites=false";
  const user = key === undefined ? "" : `${engineUser}:${key}@`;
  const auth = key === undefined ? "" : "&authSource=admin&authMechanism=SCRAM-SHA-256";
  return `mongodb://${user}${host}:${enginePort}/?directConnection=true${retries}${auth}`;
}

/** The only user of an embedded engine. */
export const engineUser = "reins";

/**
 * Whether an engine is started with a user and a key. With a replica set mongod asks for a key file besides, and tells a state
 * that has to be repaired (the port has changed) only to a user that it may not have yet; it stays without.
 */
export const takesKey = (engine: EngineName): boolean => engine !== "mongod";

/** What the log of an engine says that found its data locked by another process. */
export const dataLockedPattern = /already being managed by another process|resource busy|DBPathInUse/i;
