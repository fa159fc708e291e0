import { scopes as allScopes, type Scope } from "./identity.ts";

/**
 * A claim by its name, or by the names on the way to it with dots between: `realm_access.roles`. A name may hold dots itself, as
 * `https://acme.example/tenant` does, and is then taken as it is.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let at: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** A claim that names somebody; undefined for what does not. */
export function nameAt(claims: Readonly<Record<string, unknown>>, path: string): string | undefined {
  const value = claimAt(claims, path);
  const isName = (typeof value === "string" && value !== "") || typeof value === "number";
  return isName ? String(value) : undefined;
}

/** The scopes that a claim grants: a list, or a text with blanks between. `names` says what each word of it stands for. */
export function scopesAt(
  claims: Readonly<Record<string, unknown>>,
  path: string,
  names: Readonly<Record<string, readonly Scope[]>>,
): Scope[] {
  const value = claimAt(claims, path);
  const words = Array.isArray(value) ? value.map(String) : typeof value === "string" ? value.split(/\s+/) : [];
  return words.flatMap((word) => (Object.hasOwn(names, word) ? names[word]! : []));
}

/** Without other names a token must mean Reins: many a token says `read` of something else. */
export const ownScopeNames: Readonly<Record<string, readonly Scope[]>> = Object.fromEntries(
  allScopes.map((scope) => [`reins:${scope}`, [scope]]),
);
