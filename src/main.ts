import { flushCompileCache } from "node:module";
import { keepCompiledCode } from "./compile-cache.ts";
import { ConfigError, readProcessConfig } from "./config.ts";
import { giveMemoryBackAtRest } from "./give-memory-back.ts";
import { options } from "./settings.ts";
import type { GraphReport } from "./worker/protocol.ts";

const [command, ...flags] = process.argv.slice(2);
try {
  if (command === undefined || ["help", "--help", "-h"].includes(command)) printHelp();
  else if (["version", "--version", "-v"].includes(command)) await printVersion();
  else if (command === "keys") await keys();
  else if (command === "webhooks") await webhooks();
  else if (command !== "serve" && command !== "migrate")
    throw new ConfigError(
      `"${command}" is no command; "serve", "migrate", "keys", "webhooks", "help" and "version" are`,
    );
  else if (flags.includes("--help") || flags.includes("-h")) printHelp();
  else if (command === "migrate") await migrate();
  else await serve();
} catch (error) {
  console.error(error instanceof Error ? explained(error) : error);
  process.exit(1);
}

async function migrate(): Promise<void> {
  const dryRun = "--dry-run";
  const config = readProcessConfig(flags.filter((flag) => flag !== dryRun));
  const { runMigrations } = await import("./cli/migrate.ts");
  await runMigrations(config, flags.includes(dryRun), (sentence) => console.log(sentence));
}

async function serve(): Promise<void> {
  const config = readProcessConfig(flags);
  keepCompiledCode(config.cacheDir);
  const { startApp } = await import("./app.ts");
  const { createLog } = await import("./log.ts");
  const ownFormat = process.stdout.isTTY ? "pretty" : "json";
  const format = config.logFormat === "auto" ? ownFormat : config.logFormat;
  const log = await createLog(config.logLevel, format);
  const app = await startApp(config, { log, progress: (sentence) => console.error(sentence) });

  let stopping = false;
  /** npm passes on the Ctrl-C that the terminal has already sent to all: that is one wish, not two. */
  let copies = config.isStartedByNpm && process.stdin.isTTY ? 1 : 0;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping && signal === "SIGINT" && copies > 0) {
      copies -= 1;
      return;
    }
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, "draining; a second signal stops at once");
    app.stop().then(
      () => process.exit(0),
      (err) => {
        log.fatal({ err }, "the shutdown failed");
        process.exit(1);
      },
    );
  };
  // Whatever it wrote in an orderly shutdown would be in a form that others do not expect any more.
  void app.outdated.then(({ message }) => {
    log.fatal(message);
    process.exit(1);
  });
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // A terminal that closes sends it as well, and then it is the end.
  if (app.reloadCertificate && !process.stdin.isTTY) process.on("SIGHUP", () => void app.reloadCertificate?.());
  if (config.isStartedByNpm) onParentGone(() => stop("SIGTERM"));

  // Whoever reads this may send a signal at once.
  const { url, engine, database, about } = app;
  log.info({ url, engine, database, ...graphNames(app.graphs) }, "Reins serves");
  if (format === "pretty") {
    const { banner } = await import("./banner.ts");
    console.log(banner(about, url));
  }
  // Now, and not only at the end: a server that is killed has none.
  flushCompileCache();
  giveMemoryBackAtRest();
}

/** `npx` runs a shell that dies of a signal and passes none on: without this the server would live on, with its database. */
function onParentGone(listener: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    listener();
  }, 500).unref();
}

async function keys(): Promise<void> {
  const { keys: run, keysHelp } = await import("./cli/keys.ts");
  if (flags.length === 0 || flags.includes("--help") || flags.includes("-h")) console.log(keysHelp);
  else await run(flags);
}

async function webhooks(): Promise<void> {
  const { webhooks: run, webhooksHelp } = await import("./cli/webhooks.ts");
  if (flags.length === 0 || flags.includes("--help") || flags.includes("-h")) console.log(webhooksHelp);
  else await run(flags);
}

async function printVersion(): Promise<void> {
  const { version } = await import("./version.ts");
  console.log(version);
}

function printHelp(): void {
  const lines = options.map((option) => {
    const names = ("flag" in option ? `${option.flag}, ` : "") + option.variable;
    return `  ${names}\n      ${option.is}`;
  });
  console.log(`Runs LangGraph.js agents behind gRPC, Connect and LangGraph's HTTP API, and stops them for real.

reins serve [options]   serves the graphs of a langgraph.json
reins keys              makes, lists and revokes API keys
reins webhooks          shows and rotates what an owner's webhooks are signed with
reins migrate [options] brings the database to the layout that this Reins knows, and ends; --dry-run only
                        says what it would do
reins help              shows this; so does reins alone
reins version           shows the version

Options of serve and migrate, as flags or as variables of the environment:

${lines.join("\n")}
  MONGODB_URI
      your MongoDB; without it an embedded database is started
  MONGODB_URI_FILE
      a file that holds this address, in its place`);
}

/** Broken ones are not served; why not stands in a line of its own. */
function graphNames(reports: readonly GraphReport[]): { graphs: string[]; broken?: string[] } {
  const names = (some: readonly GraphReport[]) => some.map(({ name }) => name);
  const broken = names(reports.filter(({ problem }) => problem !== undefined));
  const graphs = names(reports).filter((name) => !broken.includes(name));
  return broken.length > 0 ? { graphs, broken } : { graphs };
}

/** What is meant for a person is one sentence; anything else is a defect, whose stack is needed. */
function explained(error: Error): string {
  const isSentence = ["ConfigError", "DomainError", "ListenError"].includes(error.name);
  return isSentence ? error.message : (error.stack ?? error.message);
}
