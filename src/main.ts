import { ConfigError, options, readProcessConfig } from "./config.ts";

const [command = "serve", ...flags] = process.argv.slice(2);
try {
  if (command === "--help" || command === "help") printHelp();
  else if (command !== "serve") throw new ConfigError(`"${command}" is no command; "serve" is the one there is`);
  else await serve();
} catch (error) {
  console.error(error instanceof Error ? explained(error) : error);
  process.exit(1);
}

async function serve(): Promise<void> {
  const config = readProcessConfig(flags);
  const { startApp } = await import("./app.ts");
  const { createLog } = await import("./log.ts");
  const log = createLog(config.logLevel);
  const app = await startApp(config, { log, progress: (sentence) => console.error(sentence) });
  const { url, engine, database } = app;
  if (process.stderr.isTTY) console.error(`Reins serves on ${url}; stop it with Ctrl-C.`);
  log.info({ url, engine, database, graphs: app.graphs.map((graph) => graph.name) }, "Reins serves");

  let stopping = false;
  const stop = (signal: string) => {
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
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function printHelp(): void {
  console.log("reins serve [options]\n");
  for (const option of options)
    console.log(`  ${("flag" in option ? `${option.flag}, ` : "") + option.variable}\n      ${option.is}`);
  console.log("  MONGODB_URI\n      your MongoDB; without it an embedded database is started");
}

/** What is meant for a person is one sentence; anything else is a defect, whose stack is needed. */
function explained(error: Error): string {
  const isSentence = ["ConfigError", "DomainError", "ListenError"].includes(error.name);
  return isSentence ? error.message : (error.stack ?? error.message);
}
