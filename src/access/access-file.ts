import { z } from "zod";
import { scopes } from "./identity.ts";
import { disclosures } from "./needs.ts";

const scope = z.enum(scopes);
const text = z.string().min(1);

/** None by a shared secret, and none without a signature. */
const algorithm = z.enum(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]);

const tokenIssuer = z
  .strictObject({
    /** Its URL, as the claim `iss` has it. */
    issuer: z.url(),
    /** One of these must be in the claim `aud`. */
    audience: z.union([text.transform((one) => [one]), z.array(text).min(1)]),
    /** Where its keys are; by default what its discovery document says. */
    jwks_uri: z.url().optional(),
    algorithms: z.array(algorithm).min(1).default(["RS256", "PS256", "ES256", "EdDSA"]),
    /** The tenant of all its tokens, in place of a claim. */
    owner: text.optional(),
    claims: z
      .strictObject({
        /** Names the tenant. */
        owner: text.optional(),
        /** Names the person or service. */
        actor: text.default("sub"),
        /** A list, or words with blanks between. */
        scopes: text.default("scope"),
        /** What each word of it stands for; by default `reins:read` for `read`, and so on. */
        scope_names: z.record(text, z.array(scope)).optional(),
      })
      .prefault({}),
    /** What every token of it may do, whatever it says. */
    grants: z.array(scope).default([]),
  })
  .refine(({ owner, claims }) => (owner === undefined) !== (claims.owner === undefined), {
    error: "either owner, the tenant of all tokens, or claims.owner, the claim that names it, must be given",
  });
export type TokenIssuer = z.output<typeof tokenIssuer>;

const certificateEntry = z.strictObject({
  /** A URI or DNS name of the certificate, as it is; "spiffe://acme/*" for all below. */
  san: text,
  owner: text,
  /** By default the name itself. */
  actor: text.optional(),
  scopes: z.array(scope),
});
export type CertificateEntry = z.output<typeof certificateEntry>;

const limits = z.strictObject({
  /** Runs that are pending or running. */
  live_runs: z.int().min(0).optional(),
  /** Runs that one server executes at a time. */
  executing: z.int().min(1).optional(),
  requests_per_second: z.number().positive().optional(),
  /** Calls that stream or wait, at a time, on one server. */
  streams: z.int().min(0).optional(),
});
export type OwnerLimits = z.output<typeof limits>;

/** Who may call, and how much. */
export const accessFile = z.strictObject({
  /** Whether keys of `reins keys` are taken. */
  api_keys: z.boolean().default(true),
  token_issuers: z.array(tokenIssuer).default([]),
  client_certificates: z.array(certificateEntry).default([]),
  /** What is shown without credentials; all else that tells of the server takes `admin`. */
  show: z.array(z.enum(disclosures)).default([]),
  /** For each owner; those of `owners` in place of the others. */
  limits: limits.extend({ owners: z.record(text, limits).default({}) }).prefault({}),
});
export type AccessSettings = z.output<typeof accessFile>;
