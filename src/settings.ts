export const engines = ["auto", "mongod", "secantusd-rs", "secantusd-py"] as const;
export const migrations = ["auto", "manual"] as const;
export const logFormats = ["auto", "pretty", "json"] as const;
/** Lines for people, or one JSON object a line. */
export type LogFormat = Exclude<(typeof logFormats)[number], "auto">;
export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

/** Each option: its flag (absent for those that only the environment sets), its variable, and what it is for. */
export const options = [
  { flag: "--config", variable: "REINS_CONFIG", is: "langgraph.json with the graphs; the bundled examples without it" },
  {
    flag: "--host",
    variable: "REINS_HOST",
    is: "address to listen on; other than a loopback one takes access control (127.0.0.1)",
  },
  { flag: "--port", variable: "REINS_PORT", is: "port to listen on (2024); 0 takes a free one" },
  { variable: "REINS_TLS_CERT", is: "PEM file of the server's certificate and its chain; with it the port speaks TLS" },
  { variable: "REINS_TLS_KEY", is: "PEM file of the certificate's key" },
  { variable: "REINS_TLS_CLIENT_CA", is: "PEM file of the authorities whose client certificates are taken" },
  { flag: "--data-dir", variable: "REINS_DATA_DIR", is: "where the embedded database keeps its data (.reins/data)" },
  { variable: "REINS_VENV_DIR", is: "where the embedded engine's Python environment is kept (.reins/venv)" },
  { variable: "REINS_ENGINE", is: `embedded engine: ${engines.join(", ")} (auto)` },
  { variable: "REINS_MONGOD", is: "path of a mongod for the embedded database" },
  { variable: "REINS_SECANTUSD", is: "path of a secantusd-rs for the embedded database" },
  { variable: "REINS_DATABASE", is: "name of the database (reins)" },
  { variable: "REINS_DATABASE_POOL", is: "connections to the database that MONGODB_URI names (50)" },
  {
    variable: "REINS_MIGRATE",
    is: "auto: a start migrates a database of an older version; manual: only reins migrate does (auto)",
  },
  { variable: "REINS_CHILDREN", is: "processes that execute runs, at most (one a core)" },
  {
    variable: "REINS_MAX_CHILDREN",
    is: "the same for all owners together, where there are several (4 a core, at least 8)",
  },
  { variable: "REINS_SLOTS", is: "runs in each of these processes at a time (16)" },
  {
    variable: "REINS_CHILD_USER",
    is: "user of these processes: a name, uid or uid:gid; only as root (the server's own)",
  },
  {
    variable: "REINS_CHILD_ENV",
    is: "variables that graphs get, with commas between, * at an end for any (all; with access control the machine's)",
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
  {
    variable: "REINS_WEBHOOK_ALLOW",
    is: "receivers that webhooks may call although their address is not public: host, *.domain, address or CIDR, each [:port]",
  },
  { variable: "REINS_WEBHOOK_DOMAINS", is: "the only receivers that webhooks may call, in the same spelling (all)" },
  { variable: "REINS_WEBHOOK_HTTPS", is: "true: webhooks are called over https only (false)" },
  { variable: "REINS_CANCEL_LIMIT", is: "runs that one CancelRuns with a filter cancels (10000)" },
  { variable: "REINS_MAX_CONNECTIONS", is: "connections at a time; more are refused (10000)" },
  { variable: "REINS_REQUEST_TIMEOUT_MS", is: "time that a client may take to send a request (120000)" },
  { variable: "REINS_IDLE_TIMEOUT_MS", is: "how long a connection without a request is kept (60000)" },
  {
    variable: "REINS_CORS_ORIGINS",
    is: "web origins that may call, with commas between (loopback; none with access control)",
  },
  {
    variable: "REINS_ALLOWED_HOSTS",
    is: "names besides loopback ones that requests may be addressed to (none; all with access control)",
  },
  { flag: "--access", variable: "REINS_ACCESS", is: "file that says who may call (docs/access.md)" },
  {
    flag: "--insecure-no-auth",
    variable: "REINS_INSECURE_NO_AUTH",
    isSwitch: true,
    is: "true: other machines are served without any access control; false (false)",
  },
  { variable: "REINS_API_KEYS", is: `true: whoever calls needs a key of "reins keys"; false (false)` },
  { variable: "REINS_AUTH_ENV", is: "variables that only the auth file of langgraph.json gets, separated by commas" },
  { variable: "REINS_AUDIT", is: "true: an audit is kept without access control as well; false (false)" },
  { variable: "REINS_AUDIT_TTL_MS", is: "how long an entry of the audit is kept; 0: for ever (31536000000)" },
  { variable: "REINS_LOG_LEVEL", is: `${logLevels.join(", ")} (info)` },
  { variable: "REINS_LOG_FORMAT", is: "pretty, json, or auto: pretty on a terminal, else json (auto)" },
  { variable: "REINS_CACHE_DIR", is: "where Node keeps compiled code for the next start (.reins/cache)" },
] as const;
