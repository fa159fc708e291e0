import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { ApiKeyRecord, ApiKeyStore } from "../domain/access-ports.ts";
import { ownerKey } from "../domain/owner.ts";
import { type Identity, type Scope, scopes } from "./identity.ts";
import { unauthenticated } from "./refusals.ts";

/** What a key begins with, so that people and scanners for secrets know one when they see it. */
export const keyPrefix = "reins_";

/** What the identities of keys are known by. */
export const credentialPrefix = "key:";

/** Its id, by which it is found, and 256 random bits. */
const form = /^reins_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

export interface NewApiKey {
  /** The tenant, by whatever name it has. */
  readonly owner: string;
  readonly scopes: readonly Scope[];
  /** For people: who or what holds it. */
  readonly name: string;
  readonly expiresAt?: Date;
  readonly createdBy: string;
}

/** Makes a key and what is stored of it. The key itself is nowhere else, and cannot be had again. */
export function makeApiKey(wanted: NewApiKey, now: Date): { key: string; record: ApiKeyRecord } {
  const id = randomId();
  const key = `${keyPrefix}${id}_${randomBytes(32).toString("base64url")}`;
  return { key, record: { ...wanted, id, hash: hashOf(key), createdAt: now } };
}

/** Of letters and digits, so that a double click takes it whole. */
function randomId(): string {
  let id = "";
  while (id.length < 12) id += randomBytes(24).toString("base64").replace(/\W/g, "");
  return id.slice(0, 12);
}

/** As hexadecimal digits. Nobody guesses 256 random bits, so that a slow hash would protect nothing. */
const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex");

export interface ApiKeysParts {
  readonly store: Pick<ApiKeyStore, "find">;
  /** The database's time. */
  readonly now: () => Date;
  /** How long what was read of a key is good: a revocation is felt by then. */
  readonly goodForMs?: number;
  readonly monotonicMs?: () => number;
}

export interface ApiKeys {
  /** Whose key it is. Rejects with UNAUTHENTICATED for one that is unknown, over or revoked; the sentence is the same. */
  identify(key: string): Promise<Identity>;
  /** Whether the key of an identity has neither expired nor been revoked since. */
  isStillGood(credential: string): Promise<boolean>;
}

interface Known {
  readonly readAt: number;
  readonly record: Promise<ApiKeyRecord | undefined>;
}

/** Keys in mind, unknown ones included; more than there are, unless somebody tries out many. */
const mostKnown = 10_000;

export function createApiKeys(parts: ApiKeysParts): ApiKeys {
  const { store, now, goodForMs = 4_000, monotonicMs = () => performance.now() } = parts;
  const known = new Map<string, Known>();

  function recordOf(id: string): Promise<ApiKeyRecord | undefined> {
    const readAt = monotonicMs();
    const found = known.get(id);
    if (found && readAt - found.readAt < goodForMs) return found.record;
    const record = store.find(id);
    known.delete(id);
    if (known.size >= mostKnown) known.delete(known.keys().next().value!);
    known.set(id, { readAt, record });
    record.catch(() => known.get(id)?.record === record && known.delete(id));
    return record;
  }

  const isInForce = ({ expiresAt, revokedAt }: ApiKeyRecord): boolean =>
    revokedAt === undefined && (expiresAt === undefined || expiresAt.getTime() > now().getTime());

  return {
    async identify(key) {
      const id = form.exec(key)?.[1];
      const record = id === undefined ? undefined : await recordOf(id);
      if (!record || !isSame(hashOf(key), record.hash)) throw noGood();
      if (!isInForce(record)) throw noGood();
      return identityOfKey(record);
    },

    async isStillGood(credential) {
      const record = await recordOf(credential.slice(credentialPrefix.length));
      return record !== undefined && isInForce(record);
    },
  };
}

const noGood = () => unauthenticated("The API key is not known, has expired or was revoked.");

/** In a time that says nothing of where they differ. */
const isSame = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

function identityOfKey({ id, owner, name, scopes: granted }: ApiKeyRecord): Identity {
  const known = scopes.filter((scope) => granted.includes(scope));
  // An operator's key without a tenant sees what was stored before there was access control.
  return {
    owner: owner === "" ? "" : ownerKey(owner),
    actor: name === "" ? id : name,
    scopes: new Set(known),
    credential: `${credentialPrefix}${id}`,
  };
}
