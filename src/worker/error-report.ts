import type { ErrorReport } from "./protocol.ts";

/** An error as it travels between the processes. */
export function errorReport(error: unknown): ErrorReport {
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: "Error", message: String(error) };
}
