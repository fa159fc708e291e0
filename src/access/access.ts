import type { Logger } from "pino";
import type { ApiKeyStore } from "../domain/access-ports.ts";
import { DomainError } from "../domain/errors.ts";
import { shortened } from "../domain/shortened.ts";
import type { AccessSettings } from "./access-file.ts";
import { createApiKeys, credentialPrefix, keyPrefix } from "./api-keys.ts";
import { type Audit, noAudit } from "./audit.ts";
import { reasonOf } from "./audited-calls.ts";
import { createPolicy, openPolicy, type Policy } from "./authorize.ts";
import { createCertificates } from "./certificates.ts";
import { anybody, type Identify, type Identity, type Presented } from "./identity.ts";
import type { AuthFile } from "./langgraph/auth-file.ts";
import { type CallLimits, createCallLimits, limitsOf, noCallLimits } from "./limits.ts";
import { createOpenAnswers } from "./open-answers.ts";
import { cannotTell, missing, unauthenticated } from "./refusals.ts";
import { createTokens } from "./tokens.ts";

/** Who calls, and what that one may do: asked once for each request, whatever protocol it comes by. */
export interface Access {
  /** Whether anybody is told apart at all. */
  readonly isOn: boolean;
  readonly identify: Identify;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly limits: CallLimits;
  /** An answer is under way: `end` is called when whoever asked may not have it any more. The answer is called when it is over. */
  readonly opened: (identity: Identity, end: () => void) => () => void;
}

export interface AccessParts {
  readonly settings: AccessSettings;
  readonly keys: Pick<ApiKeyStore, "find">;
  readonly audit: Audit;
  /** The database's time. */
  readonly now: () => Date;
  readonly log: Pick<Logger, "error">;
  /** The deployment's auth file; it is asked about everything but API keys. */
  readonly authFile?: Pick<AuthFile, "identify"> | undefined;
}

/** Everybody may do everything: for a server that only its own machine can reach. */
export const openAccess: Access = {
  isOn: false,
  identify: () => anybody,
  policy: openPolicy,
  audit: noAudit,
  limits: noCallLimits,
  opened: () => () => undefined,
};

/** An authenticator that has not answered by then refuses. */
const limitMs = 5_000;

export function createAccess({ settings, keys, audit, now, log, authFile }: AccessParts): Access {
  const apiKeys = settings.api_keys ? createApiKeys({ store: keys, now }) : undefined;
  const tokens = settings.token_issuers.length > 0 ? createTokens(settings.token_issuers) : undefined;
  const certificates = createCertificates(settings.client_certificates);

  async function whose(presented: Presented): Promise<Identity> {
    const { headers, certificate } = presented;
    if (authFile && !apiKeys) return authFile.identify(presented);
    const { key, bearer, isGiven } = credentialsIn(headers);
    if (key !== undefined && apiKeys) return apiKeys.identify(key);
    if (authFile) return authFile.identify(presented);
    if (bearer !== undefined && tokens && key === undefined) return tokens.identify(bearer);
    if (isGiven) throw unauthenticated("Credentials of this kind are not taken here.");
    if (certificate) return certificates.identify(certificate);
    throw missing();
  }

  const known = telling(inTime(whose, log), audit);
  const limits = createCallLimits(limitsOf(settings.limits));
  async function identify(presented: Presented): Promise<Identity> {
    const identity = await known(presented);
    await limits.request(identity.owner);
    return identity;
  }
  // Shorter than what is known of a key is good for: with that it stays below the five seconds.
  const answers = apiKeys && createOpenAnswers({ ...apiKeys, everyMs: 500 });
  return {
    isOn: true,
    identify,
    policy: createPolicy(new Set(settings.show), audit),
    audit,
    limits,
    opened: (identity, end) =>
      answers && identity.credential.startsWith(credentialPrefix) ? answers.add(identity, end) : () => undefined,
  };
}

/** Whoever is unknown may ask for a path of any length, and must not fill the audit with it. */
const longestCall = 200;

/** The audit hears of everybody who is not let in; of a key by its id, which is no secret. */
function telling(identify: Identify, audit: Audit): Identify {
  return async (presented) => {
    try {
      return await identify(presented);
    } catch (error) {
      const { method, target, requestId, headers } = presented;
      const call = shortened(`${method} ${target.split("?", 1)[0]}`, longestCall);
      const credential = keyIdIn(headers);
      const outcome = reasonOf(error);
      audit.refused({ owner: "", actor: "", credential, call, targets: [], outcome, requestId });
      throw error;
    }
  };
}

const keyIdIn = ({ authorization = "", "x-api-key": given = "" }: Presented["headers"]): string => {
  const [, id] = /\breins_([A-Za-z0-9]{12})_/.exec(`${authorization} ${given}`) ?? [];
  return id === undefined ? "" : `key:${id}`;
};

/** Whatever happens in it but a refusal or an identity refuses. */
export function inTime(identify: Identify, log: Pick<Logger, "error">, ms: number = limitMs): Identify {
  return async (presented) => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(cannotTell("Who calls could not be found out in time; try again.")), ms);
    try {
      return await Promise.race([identify(presented), late]);
    } catch (error) {
      if (error instanceof DomainError) throw error;
      log.error({ err: error }, "who calls could not be found out");
      throw cannotTell("Who calls cannot be found out at the moment; try again.", error);
    } finally {
      clearTimeout(timer);
    }
  };
}

interface Credentials {
  /** A key of Reins, in either header. */
  readonly key?: string | undefined;
  readonly bearer?: string | undefined;
  readonly isGiven: boolean;
}

/**
 * LangGraph's clients send a key of LangSmith as x-api-key whenever their environment has one, beside what their user has set: what is
 * no key of Reins there counts only by itself.
 */
export function credentialsIn(headers: Presented["headers"]): Credentials {
  const { authorization } = headers;
  const apiKey = headers["x-api-key"];
  if (Array.isArray(apiKey)) throw unauthenticated("x-api-key is given more than once.");
  const bearer = /^Bearer +([^\s,]+)$/i.exec(authorization ?? "")?.[1];
  const keys = new Set([bearer, apiKey].filter((one) => one?.startsWith(keyPrefix)));
  if (keys.size > 1) throw unauthenticated("Two API keys are given; one says who calls.");
  const [key] = keys;
  return { key, bearer, isGiven: authorization !== undefined || apiKey !== undefined };
}
