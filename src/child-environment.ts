import type { Config } from "./config.ts";

/** What a program needs to know of its machine. */
const ofTheMachine =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|NODE_(?:ENV|OPTIONS|EXTRA_CA_CERTS|COMPILE_CACHE|NO_WARNINGS)|SSL_CERT_(?:FILE|DIR)|(?:https?|no|all)_proxy)$/i;

/**
 * The variables that graphs get of the server's environment. Where callers are told apart it may hold secrets that are none of theirs: then those of the
 * machine, and those that REINS_CHILD_ENV names. Otherwise all but Reins' own, as LangGraph's own servers do it, unless it is set.
 */
export function childEnvironment(
  { childEnv, childEnvNames }: Pick<Config, "childEnv" | "childEnvNames">,
  hasAccessControl: boolean,
): Record<string, string> {
  const names = childEnvNames ?? (hasAccessControl ? [] : undefined);
  if (names === undefined) return { ...childEnv };
  const isNamed = (name: string) =>
    names.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one));
  return Object.fromEntries(Object.entries(childEnv).filter(([name]) => ofTheMachine.test(name) || isNamed(name)));
}
