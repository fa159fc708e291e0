import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../../src/config.ts";
import { options } from "../../src/settings.ts";

const read = (flags: readonly string[] = [], env: Record<string, string | undefined> = {}) =>
  readConfig(flags, env, "/home/user");

describe("readConfig", () => {
  it("serves on loopback, with an embedded database, when nothing is set", () => {
    expect(read()).toMatchObject({
      configFile: undefined,
      host: "127.0.0.1",
      port: 2024,
      mongodbUri: undefined,
      databaseName: "reins",
      embedded: { dataDir: "/home/user/.reins/data", venvDir: "/home/user/.reins/venv", engine: "auto" },
      leaseMs: 10_000,
      graceMs: 2_000,
      drainMs: 5_000,
      corsOrigins: undefined,
      allowedHosts: [],
      insecureNoAuth: false,
      tls: undefined,
      logLevel: "info",
      logFormat: "auto",
      migrate: "auto",
      cacheDir: "/home/user/.reins/cache",
      isStartedByNpm: false,
    });
    expect(read().children).toBeGreaterThan(0);
    expect(Object.isFrozen(read())).toBe(true);
  });

  it.each([
    ["--port", "REINS_PORT", "0", { port: 0 }],
    ["--host", "REINS_HOST", "localhost", { host: "localhost" }],
    ["--config", "REINS_CONFIG", "agents/langgraph.json", { configFile: "/home/user/agents/langgraph.json" }],
    ["--data-dir", "REINS_DATA_DIR", "/srv/data", { embedded: { dataDir: "/srv/data" } }],
  ] as const)("takes %s from a flag or from %s, the flag first", (flag, variable, value, expected) => {
    expect(read([flag, value])).toMatchObject(expected);
    expect(read([`${flag}=${value}`])).toMatchObject(expected);
    expect(read([], { [variable]: value })).toMatchObject(expected);
    expect(read([flag, value], { [variable]: flag === "--port" ? "1" : "other" })).toMatchObject(expected);
  });

  it.each([
    ["REINS_DATABASE", "my-agents", { databaseName: "my-agents" }],
    ["REINS_DATABASE_POOL", "7", { databasePoolSize: 7 }],
    ["REINS_ENGINE", "mongod", { embedded: { engine: "mongod" } }],
    ["REINS_MONGOD", "bin/mongod", { embedded: { mongodPath: "/home/user/bin/mongod" } }],
    ["REINS_SECANTUSD", "/opt/secantusd-rs", { embedded: { secantusdPath: "/opt/secantusd-rs" } }],
    ["REINS_VENV_DIR", "venv", { embedded: { venvDir: "/home/user/venv" } }],
    ["REINS_MIGRATE", "manual", { migrate: "manual" }],
    ["REINS_CHILDREN", "3", { children: 3 }],
    ["REINS_MAX_CHILDREN", "40", { maxChildren: 40 }],
    ["REINS_SLOTS", "1", { slotsPerChild: 1 }],
    ["REINS_CHILD_USER", "1000:1000", { childUser: "1000:1000" }],
    ["REINS_CHILD_ENV", "OPENAI_API_KEY,LANGSMITH_*", { childEnvNames: ["OPENAI_API_KEY", "LANGSMITH_*"] }],
    ["REINS_LEASE_MS", "500", { leaseMs: 500 }],
    ["REINS_GRACE_MS", "0", { graceMs: 0 }],
    ["REINS_BLOCKED_LIMIT_MS", "0", { blockedLimitMs: 0 }],
    ["REINS_DRAIN_MS", "1", { drainMs: 1 }],
    ["REINS_POLL_MS", "10", { pollMs: 10 }],
    ["REINS_EVENTS_TTL_MS", "0", { eventsTtlMs: 0 }],
    ["REINS_RUN_TTL_MS", "60000", { runTtlMs: 60_000 }],
    ["REINS_MAX_REQUEST_BYTES", "1024", { maxRequestBytes: 1024 }],
    ["REINS_REST_BEAT_MS", "20", { restBeatMs: 20 }],
    ["REINS_MAX_THREAD_RUNS", "5", { maxThreadRuns: 5 }],
    ["REINS_MAX_LIVE_RUNS", "50", { maxLiveRuns: 50 }],
    ["REINS_MAX_METADATA_BYTES", "100", { maxMetadataBytes: 100 }],
    ["REINS_MAX_ITEM_BYTES", "2048", { maxItemBytes: 2048 }],
    ["REINS_MAX_REQUEST_VALUES", "2000", { maxRequestValues: 2000 }],
    ["REINS_MAX_CONNECTIONS", "9", { maxConnections: 9 }],
    ["REINS_REQUEST_TIMEOUT_MS", "500", { requestTimeoutMs: 500 }],
    ["REINS_IDLE_TIMEOUT_MS", "600", { idleTimeoutMs: 600 }],
    ["REINS_MAX_BATCH", "3", { maxBatch: 3 }],
    ["REINS_WEBHOOK_LIMIT_MS", "50", { webhookLimitMs: 50 }],
    ["REINS_WEBHOOK_PAUSE_MS", "20", { webhookPauseMs: 20 }],
    [
      "REINS_WEBHOOK_ALLOW",
      "hooks.internal:8080, *.svc.local,10.0.0.0/8:443,[::1]",
      {
        webhookReceivers: {
          allow: [
            { name: "hooks.internal", port: 8080 },
            { name: ".svc.local" },
            { range: [{ octets: [10, 0, 0, 0] }, 8], port: 443 },
            { range: [{ parts: [0, 0, 0, 0, 0, 0, 0, 1] }, 128] },
          ],
          only: undefined,
          httpsOnly: false,
        },
      },
    ],
    ["REINS_WEBHOOK_DOMAINS", "hooks.example", { webhookReceivers: { allow: [], only: [{ name: "hooks.example" }] } }],
    ["REINS_WEBHOOK_HTTPS", "true", { webhookReceivers: { httpsOnly: true } }],
    ["REINS_CANCEL_LIMIT", "7", { cancelLimit: 7 }],
    [
      "REINS_CORS_ORIGINS",
      "https://a.example, https://b.example,",
      { corsOrigins: ["https://a.example", "https://b.example"] },
    ],
    ["REINS_ALLOWED_HOSTS", "reins.internal", { allowedHosts: ["reins.internal"] }],
    ["REINS_INSECURE_NO_AUTH", "true", { insecureNoAuth: true }],
    ["REINS_ACCESS", "access.json", { accessFile: "/home/user/access.json" }],
    ["REINS_API_KEYS", "true", { apiKeys: true }],
    ["REINS_AUTH_ENV", "A_KEY, _b,", { authEnv: ["A_KEY", "_b"] }],
    ["REINS_AUDIT", "true", { audit: true }],
    ["REINS_AUDIT_TTL_MS", "0", { auditTtlMs: 0 }],
    ["REINS_LOG_LEVEL", "debug", { logLevel: "debug" }],
    ["REINS_LOG_FORMAT", "pretty", { logFormat: "pretty" }],
    ["REINS_CACHE_DIR", "cache", { cacheDir: "/home/user/cache" }],
    ["MONGODB_URI", "mongodb://db/", { mongodbUri: "mongodb://db/" }],
    ["REINS_PORT", "", { port: 2024 }],
    ["MONGODB_URI", "", { mongodbUri: undefined }],
  ])("reads %s=%s", (variable, value, expected) => {
    expect(read([], { [variable]: value })).toMatchObject(expected);
  });

  it("has a test for every variable that there is", async () => {
    const text = await import("node:fs/promises").then((fs) => fs.readFile(import.meta.filename, "utf8"));
    for (const { variable } of options) expect(text).toContain(`"${variable}"`);
  });

  it.each([
    [[], { REINS_PROT: "1" }, /^REINS_PROT is no setting of Reins; did you mean REINS_PORT\? Known are .*REINS_PORT/],
    [
      ["--prot", "1"],
      {},
      /^--prot is no option; did you mean --port\? Known are --config, --host, --port, --data-dir, --access, --insecure-no-auth$/,
    ],
    [["2024"], {}, /^2024 is no option\. Known are/],
    [[], { REINS_EVENT_TTL_MS: "1" }, /^REINS_EVENT_TTL_MS is no setting of Reins; did you mean REINS_EVENTS_TTL_MS\?/],
    [[], { REINS_COLOUR: "1" }, /^REINS_COLOUR is no setting of Reins\. Known are/],
    [
      ["--insecure-no-auth=yes"],
      {},
      /^--insecure-no-auth \(REINS_INSECURE_NO_AUTH\) is "yes"; it must be one of true, false$/,
    ],
    [["--insecure-no-auth", "true"], {}, /^true is no option/],
    [[], { REINS_TLS_CERT: "c.pem" }, /^TLS takes REINS_TLS_CERT and REINS_TLS_KEY; REINS_TLS_KEY is not set$/],
    [[], { REINS_TLS_KEY: "k.pem" }, /; REINS_TLS_CERT is not set$/],
    [[], { REINS_TLS_CLIENT_CA: "ca.pem" }, /; REINS_TLS_CERT is not set$/],
    [["--port"], {}, /^--port needs a value: port to listen on/],
    [["--port="], {}, /^--port needs a value/],
    [["--port", "65536"], {}, /^--port \(REINS_PORT\) is "65536"; it must be a whole number from 0 to 65535$/],
    [["--port", "80a"], {}, /^--port \(REINS_PORT\) is "80a"; it must be a whole number/],
    [[], { REINS_LEASE_MS: "499" }, /^REINS_LEASE_MS is "499"; it must be a whole number from 500 to 3600000$/],
    [[], { REINS_LEASE_MS: "1e4" }, /^REINS_LEASE_MS is "1e4"/],
    [[], { REINS_CHILDREN: "-1" }, /^REINS_CHILDREN is "-1"/],
    [[], { REINS_ENGINE: "postgres" }, /^REINS_ENGINE is "postgres"; it must be one of auto, mongod, secantusd-rs/],
    [
      [],
      { REINS_WEBHOOK_ALLOW: "a.example, b:99999" },
      /^REINS_WEBHOOK_ALLOW holds "b:99999"; each entry must be a host/,
    ],
    [[], { REINS_WEBHOOK_DOMAINS: "https://a" }, /^REINS_WEBHOOK_DOMAINS holds "https:\/\/a"/],
    [[], { REINS_WEBHOOK_HTTPS: "yes" }, /^REINS_WEBHOOK_HTTPS is "yes"; it must be one of true, false$/],
    [[], { REINS_LOG_LEVEL: "loud" }, /^REINS_LOG_LEVEL is "loud"; it must be one of fatal, error/],
    [[], { REINS_AUTH_ENV: "A,MONGODB_URI" }, /^REINS_AUTH_ENV names "MONGODB_URI"; it takes names of variables/],
    [[], { REINS_AUTH_ENV: "A-B" }, /^REINS_AUTH_ENV names "A-B"/],
    [[], { REINS_DATABASE: "a.b" }, /^REINS_DATABASE is "a\.b"; it may hold letters, digits, _ and -/],
  ] as const)("refuses %j %j with one sentence", (flags, env, sentence) => {
    expect(() => read(flags, env)).toThrow(ConfigError);
    expect(() => read(flags, env)).toThrow(sentence);
    expect(() => read(flags, env)).not.toThrow(/\n/);
  });

  it("reads a switch, which takes no value", () => {
    expect(read(["--insecure-no-auth", "--port", "1"])).toMatchObject({ insecureNoAuth: true, port: 1 });
    expect(read(["--insecure-no-auth=true"]).insecureNoAuth).toBe(true);
    expect(read(["--insecure-no-auth=false"], { REINS_INSECURE_NO_AUTH: "true" }).insecureNoAuth).toBe(false);
  });

  it("reads the files of TLS together", () => {
    const variables = ["REINS_TLS_CERT", "REINS_TLS_KEY", "REINS_TLS_CLIENT_CA"];
    const given = variables.map((variable, place) => [variable, ["c.pem", "/k.pem", "ca.pem"][place]!] as const);
    const [cert, key] = ["/home/user/c.pem", "/k.pem"];
    expect(read([], Object.fromEntries(given.slice(0, 2))).tls).toEqual({ cert, key, clientCa: undefined });
    expect(read([], Object.fromEntries(given)).tls).toEqual({ cert, key, clientCa: "/home/user/ca.pem" });
  });

  it("reads the database's address from a file, and shows nothing of what is in it", () => {
    const folder = mkdtempSync(join(tmpdir(), "reins-config-"));
    const file = join(folder, "uri");
    writeFileSync(file, "mongodb://me:s3cret@db/\n");
    const withFile = (name: string, more = {}) => readConfig([], { MONGODB_URI_FILE: name, ...more }, folder);
    expect(withFile(file)).toMatchObject({ mongodbUri: "mongodb://me:s3cret@db/", childEnv: {} });
    expect(withFile("uri").mongodbUri).toBe("mongodb://me:s3cret@db/");
    expect(withFile("").mongodbUri).toBeUndefined();
    expect(() => withFile(file, { MONGODB_URI: "mongodb://b/" })).toThrow(/^MONGODB_URI and MONGODB_URI_FILE are both/);
    expect(() => withFile("none")).toThrow(
      `MONGODB_URI_FILE names ${join(folder, "none")}, which cannot be read (ENOENT)`,
    );
    writeFileSync(file, "\n");
    expect(() => withFile(file)).toThrow(`MONGODB_URI_FILE names ${file}, which is empty`);
    rmSync(folder, { recursive: true });
  });

  it("gives children the environment without what is Reins' own", () => {
    const env = {
      PATH: "/bin",
      API_KEY: "k",
      REINS_PORT: "1",
      MONGODB_URI: "mongodb://me:secret@db/",
      MONGODB_URI_FILE: "",
      UNSET: undefined,
    };
    expect(read([], env).childEnv).toEqual({ PATH: "/bin", API_KEY: "k" });
    const { childEnv, authSecrets } = read([], { ...env, REINS_AUTH_ENV: "API_KEY,ABSENT" });
    expect([childEnv, authSecrets]).toEqual([{ PATH: "/bin" }, { API_KEY: "k" }]);
  });
});
