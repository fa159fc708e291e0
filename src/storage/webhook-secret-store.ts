import { randomBytes } from "node:crypto";
import type { WebhookSecret, WebhookSecretStore } from "../domain/ports.ts";
import type { Collections } from "./collections.ts";
import type { SecretDocument } from "./documents.ts";
import { insertIfFree } from "./insert-each.ts";
import { after, key } from "./keys.ts";

/** More than that are not valid at a time: each signs every call. */
const mostSecrets = 10;

/** So that receivers can change over. */
const aDayMs = 24 * 3_600_000;

/** The secrets of webhooks, one document an owner, found by its `_id`. */
export function createWebhookSecretStore(
  { webhookSecrets }: Pick<Collections, "webhookSecrets">,
  now: () => Date,
): WebhookSecretStore {
  const isValid = ({ expires }: SecretDocument, time: Date) => expires === null || expires > time;

  async function storedOf(owner: string): Promise<SecretDocument[]> {
    return (await webhookSecrets.findOne({ _id: keyOf(owner) }))?.secrets ?? [];
  }

  const newSecret = (): SecretDocument => ({
    // 24 to 64 random bytes, in Base64 after a prefix, as Standard Webhooks have it.
    secret: `whsec_${randomBytes(32).toString("base64")}`,
    created: now(),
    expires: null,
  });

  /** Guard: the owner has none. */
  const insert = (owner: string, first: SecretDocument): Promise<boolean> =>
    insertIfFree(webhookSecrets, { _id: keyOf(owner), owner, secrets: [first] });

  async function secretsOf(owner: string): Promise<WebhookSecret[]> {
    const time = now();
    return (await storedOf(owner)).filter((one) => isValid(one, time)).map(toSecret);
  }

  return {
    secretsOf,

    async makeFirst(owner) {
      await insert(owner, newSecret());
      return secretsOf(owner);
    },

    /** Guard: the newest one is still that which was the newest. */
    async rotate(owner, overlapMs = aDayMs) {
      for (;;) {
        const former = await storedOf(owner);
        const next = newSecret();
        const [newest] = former;
        if (!newest) {
          if (await insert(owner, next)) return toSecret(next);
          continue;
        }
        const end = after(next.created, overlapMs);
        const valid = former.filter((one) => isValid(one, next.created));
        const ending = valid.map((one) => ({ ...one, expires: one.expires && one.expires < end ? one.expires : end }));
        const secrets = [next, ...ending].slice(0, mostSecrets);
        const isNewest = { _id: keyOf(owner), "secrets.0.secret": newest.secret };
        if ((await webhookSecrets.updateOne(isNewest, { $set: { secrets } })).matchedCount === 1) return toSecret(next);
      }
    },
  };
}

const keyOf = (owner: string): string => key(owner, "webhooks");

const toSecret = ({ secret, created, expires }: SecretDocument): WebhookSecret => ({
  secret,
  created,
  ...(expires && { expires }),
});
