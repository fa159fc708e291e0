import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { ownerKey } from "../domain/owner.ts";
import type { TokenIssuer } from "./access-file.ts";
import { nameAt, ownScopeNames, scopesAt } from "./claims.ts";
import type { Identity } from "./identity.ts";
import { cannotTell, unauthenticated } from "./refusals.ts";

/** JSON Web Tokens of configured issuers, as OpenID Connect providers make them. */
export interface Tokens {
  /** Rejects with UNAUTHENTICATED for a token that is no good, ACCESS_UNAVAILABLE when its issuer's keys cannot be had. */
  identify(token: string): Promise<Identity>;
}

/** What clocks may differ. */
const tolerance = "30s";
/** One look at an issuer's keys. */
const lookMs = 4_000;
/** Keys are looked at again after so long; for a key that is not among them sooner. */
const keptMs = 10 * 60_000;
const againMs = 5_000;
/** A discovery document is looked for again after so long, as whoever is refused is told to. */
const afterFailureMs = 1_000;

export function createTokens(issuers: readonly TokenIssuer[]): Tokens {
  const all = new Map(issuers.map((issuer) => [issuer.issuer, { issuer, keys: keysOf(issuer) }]));

  return {
    async identify(token) {
      const known = all.get(issuerNamed(token));
      if (!known) throw noGood("The token is of no issuer that is known here.");
      const { issuer, keys } = known;
      const claims = await verify(token, issuer, keys);
      return identityOfClaims(claims, issuer);
    },
  };
}

/** Whose keys are to be asked; that it is true is shown by the signature. */
function issuerNamed(token: string): string {
  try {
    return decodeJwt(token).iss ?? "";
  } catch (error) {
    throw noGood("The token cannot be read.", error);
  }
}

async function verify(token: string, issuer: TokenIssuer, keys: JWTVerifyGetKey): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: issuer.issuer,
      audience: [...issuer.audience],
      algorithms: [...issuer.algorithms],
      clockTolerance: tolerance,
      requiredClaims: ["exp"],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw noGood("The token has expired.", error);
    if (error instanceof errors.JWTClaimValidationFailed) {
      throw noGood(`The token's claim "${error.claim}" is not what is asked for here.`, error);
    }
    if (error instanceof errors.JOSEError && !ofKeys.has(error.code)) {
      throw noGood("The token's signature, or its form, is not that of its issuer.", error);
    }
    throw cannotTell("The keys of the token's issuer cannot be had at the moment; try again.", error);
  }
}

/** Errors that say nothing of the token: the issuer did not answer, or not with keys. */
const ofKeys = new Set(["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"]);

const noGood = (message: string, cause?: unknown) => unauthenticated(message, cause);

function identityOfClaims(claims: JWTPayload, { issuer, claims: names, owner: fixed, grants }: TokenIssuer): Identity {
  const owner = fixed ?? nameAt(claims, names.owner!);
  const actor = nameAt(claims, names.actor);
  // Whose a token without an owner is nobody can say; it must not be everybody's.
  if (owner === undefined) throw noGood(`The token's claim "${names.owner}", which names the tenant, is missing.`);
  if (actor === undefined) throw noGood(`The token's claim "${names.actor}", which names who calls, is missing.`);
  const granted = scopesAt(claims, names.scopes, names.scope_names ?? ownScopeNames);
  return {
    owner: ownerKey(owner),
    actor,
    scopes: new Set([...grants, ...granted]),
    credential: `jwt:${issuer}`,
  };
}

/** The issuer's keys: where the configuration says, or where its discovery document does, which is looked for once by all who need it. */
function keysOf({ issuer, jwks_uri: given }: TokenIssuer): JWTVerifyGetKey {
  const options = { timeoutDuration: lookMs, cacheMaxAge: keptMs, cooldownDuration: againMs };
  const at = (url: URL) => createRemoteJWKSet(url, options);
  let keys = given === undefined ? undefined : Promise.resolve(at(new URL(given)));
  let failedAt = Number.NEGATIVE_INFINITY;
  return async (header, token) => {
    // Tokens are not known to be the issuer's yet: one look for all of them, and after one that failed a pause.
    if (performance.now() - failedAt >= afterFailureMs) keys ??= discover(issuer).then(at);
    if (!keys) throw new Error("the discovery document could not be had a moment ago");
    const its = await keys.catch((error: unknown) => {
      failedAt = performance.now();
      keys = undefined;
      throw error;
    });
    return its(header, token);
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discover(issuer: string): Promise<URL> {
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(lookMs),
    redirect: "error",
  });
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (!response.ok || found.issuer !== issuer) throw new Error("the discovery document is not the issuer's");
  return new URL(String(found.jwks_uri));
}
