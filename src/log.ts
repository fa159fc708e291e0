import { type Logger, pino } from "pino";

/** The service's log: one JSON object a line on stdout, or on stderr for the demo and tools that print themselves. */
export function createLog(level: string, stream: "stdout" | "stderr" = "stdout"): Logger {
  return pino(
    { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(stream === "stdout" ? 1 : 2),
  );
}
