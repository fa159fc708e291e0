import { type Logger, pino } from "pino";
import type { LogFormat } from "./settings.ts";

/** The service's log on stdout: one JSON object a line, or a line for people, in colour where the terminal has any. */
export async function createLog(level: string, format: LogFormat): Promise<Logger> {
  const options = { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime };
  if (format === "json") return pino(options, pino.destination(1));
  const { default: pretty } = await import("pino-pretty");
  return pino(options, pretty({ translateTime: "SYS:HH:MM:ss", singleLine: true, sync: true }));
}
