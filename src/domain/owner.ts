import { createHash } from "node:crypto";

/**
 * An owner as it stands in keys, queries and maps. Tenants have names of any shape (a token's subject may hold `/` and `|`): one that might break
 * a key is told by its hash, behind a dot that no plain name may begin with.
 *
 * @example ownerKey("acme") // "acme"
 * @example ownerKey("auth0|7/x") // ".Vd1p…", 44 characters
 */
export const ownerKey = (name: string): string =>
  plain.test(name) ? name : `.${createHash("sha256").update(name).digest("base64url")}`;

/** Throws for an owner that was not made by `ownerKey`; '' is the one there is without access control. */
export function requireOwnerKey(owner: string): void {
  if (owner !== "" && !encoded.test(owner)) throw new Error("an owner came as it was called, and not as its key");
}

const plain = /^[A-Za-z0-9_-]{1,64}$/;
const encoded = /^(?:[A-Za-z0-9_-]{1,64}|\.[A-Za-z0-9_-]{43})$/;
