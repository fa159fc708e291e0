import { checkMetadata, invalid } from "../check-metadata.ts";
import type { Json, RunSpec } from "./run.ts";

/** Keys of `config.configurable` that name what the server itself decides. */
const reserved = new Set(["thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"]);

/** Each tag is a value of its own in the database, where many small ones take much more than their text. */
const maxTags = 1000;

/** What a configuration may hold, a run's or an assistant's. Throws INVALID_FIELD; `field` is where it stands. */
export function checkConfig(config: RunSpec["config"], field: string): void {
  if ((config?.tags.length ?? 0) > maxTags) throw invalid(`${field}.tags`, `at most ${maxTags} are allowed`);
  checkMetadata(checkObject(config?.metadata, `${field}.metadata`) ?? {}, `${field}.metadata`);
  const configurable = checkObject(config?.configurable, `${field}.configurable`);
  const taken = Object.keys(configurable ?? {}).find((name) => reserved.has(name) || name.startsWith("__"));
  if (taken === undefined) return;
  throw invalid(`${field}.configurable`, `the key "${taken}" belongs to the server; use another one`);
}

/** The object that a JSON text stands for; throws INVALID_FIELD for any other value. */
export function checkObject(text: Json | undefined, field: string): Record<string, unknown> | undefined {
  checkIsObject(text, field);
  return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
}

/** The same without a look at what is in it, which may be much. */
export function checkIsObject(text: Json | undefined, field: string): void {
  if (text !== undefined && !isObjectText(text)) throw invalid(field, "must be a JSON object");
}

/** Whether a JSON text is that of an object. */
export const isObjectText = (text: Json): boolean => /^\s*\{/.test(text);
