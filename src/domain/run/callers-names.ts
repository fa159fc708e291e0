import { isObject } from "../is-object.ts";
import type { Json } from "./run.ts";

/** The names in `config.configurable` under which a graph is told who has created its run. Only the server says so. */
export const callersNames = ["langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions"] as const;

/** The same object without what it says under these names; the text itself where it says nothing there. */
export function withoutCallersNames(configurable: Json): Json {
  // A name may be spelt with escapes of its letters, which nobody needs. What holds neither is not read: it may be large.
  if (!/langgraph_auth_|\\u00[5-7]/.test(configurable)) return configurable;
  const fields: unknown = JSON.parse(configurable);
  if (!isObject(fields) || !callersNames.some((name) => Object.hasOwn(fields, name))) return configurable;
  const own = Object.entries(fields).filter(([name]) => !callersNames.some((one) => one === name));
  return JSON.stringify(Object.fromEntries(own));
}
