import type { ErrorReport } from "../protocol.ts";
import { toJsonText } from "./json-text.ts";

/** What was thrown, whatever it was, as a name and a message. */
export function describeError(thrown: unknown): ErrorReport {
  if (thrown instanceof Error) {
    const { name, message } = thrown;
    // A subclass that did not set its name is known by its class.
    return { name: name === "Error" ? thrown.constructor.name || name : name, message };
  }
  const { name, message } = (thrown ?? {}) as { name?: unknown; message?: unknown };
  return {
    name: typeof name === "string" ? name : "Error",
    message: typeof message === "string" ? message : typeof thrown === "string" ? thrown : toJsonText(thrown),
  };
}
