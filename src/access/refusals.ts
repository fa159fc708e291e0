import { DomainError } from "../domain/errors.ts";
import type { Scope } from "./identity.ts";

const challenge = { "www-authenticate": 'Bearer realm="reins"' };

/** Nobody is known to call: the credentials are missing, or are no good. The sentence never quotes them. */
export const unauthenticated = (message: string, cause?: unknown): DomainError =>
  new DomainError("UNAUTHENTICATED", message, { headers: challenge, cause });

export const missing = (): DomainError =>
  unauthenticated("This takes credentials: an API key or a token, in x-api-key or as Authorization: Bearer.");

/** It is known who calls, and that one may not do this. */
export const notAllowed = (what: string, scope: Scope): DomainError =>
  new DomainError("PERMISSION_DENIED", `${what} takes the scope "${scope}", which these credentials do not have`, {
    metadata: { scope },
  });

/** Who calls cannot be found out now: nobody may pass meanwhile. */
export const cannotTell = (message: string, cause?: unknown): DomainError =>
  new DomainError("ACCESS_UNAVAILABLE", message, { headers: { "retry-after": "1" }, cause });
