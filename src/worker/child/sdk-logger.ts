import { format } from "node:util";

/** Where `getLogger()` of `@langchain/langgraph-sdk/logging` looks for a server's logger, whichever copy a graph's folder resolves. */
const place = Symbol.for("langgraph.api.sdk-logger");

/** Winston's levels, as the type of the SDK's logger has them; those of the first kind go to stderr. */
const levels = {
  stderr: ["error", "warn"],
  stdout: ["help", "data", "info", "debug", "prompt", "http", "verbose", "input", "silly"],
} as const;

type Log = (message: unknown, ...meta: unknown[]) => object;

/**
 * Gives graphs the logger that they ask LangGraph's servers for. What it is told goes to the process's output, so that it
 * is known of which run it is. Must be called before a graph's file is loaded: some ask for it there.
 */
export function provideSdkLogger(streams: { stdout: NodeJS.WritableStream; stderr: NodeJS.WritableStream }): void {
  const logger: Record<string, Log> = {};
  for (const stream of ["stdout", "stderr"] as const) {
    for (const level of levels[stream]) {
      logger[level] = (...parts) => {
        streams[stream].write(`${level}: ${format(...parts)}\n`);
        return logger;
      };
    }
  }
  (globalThis as Record<symbol, unknown>)[place] = logger;
}
