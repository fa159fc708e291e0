import { checkMetadata, invalid, maxStoredBytes, tooLarge } from "./check-metadata.ts";
import { checkWebhook } from "./check-webhook.ts";
import type { Json, RunSpec } from "./run.ts";

/** Keys of `config.configurable` that name what the server itself decides. */
const reserved = new Set(["thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"]);

/** What the shape of a request cannot say. Throws INVALID_FIELD or INPUT_TOO_LARGE with the field's path. */
export function checkSpec(spec: RunSpec): void {
  if (spec.command && spec.input !== undefined) {
    throw invalid("spec.command", "must not be set together with spec.input: a command takes the place of the input");
  }
  checkObject(spec.command?.update, "spec.command.update");
  checkObject(spec.context, "spec.context");
  const configurable = checkObject(spec.config?.configurable, "spec.config.configurable");
  const taken = Object.keys(configurable ?? {}).find((name) => reserved.has(name) || name.startsWith("__"));
  if (taken !== undefined) {
    throw invalid("spec.config.configurable", `the key "${taken}" belongs to the server; use another one`);
  }
  checkMetadata(spec.metadata, "spec.metadata");
  checkWebhook(spec.webhook);
  const bytes = Buffer.byteLength(JSON.stringify(spec));
  if (bytes > maxStoredBytes) throw tooLarge("spec", `the input and settings have ${bytes} bytes of JSON`);
}

function checkObject(text: Json | undefined, field: string): object | undefined {
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw invalid(field, "must be a JSON object");
}
