import type { WebhookSecret, WebhookSecretStore } from "../domain/ports.ts";

export interface OwnerSecretsParts {
  readonly store: WebhookSecretStore;
  /** The time by the database's clock. */
  readonly now: () => Date;
  readonly monotonicMs: () => number;
}

/** What an owner's webhooks are signed with, at least one secret; the first one is made when it is asked for. */
export type OwnerSecrets = (owner: string) => Promise<readonly string[]>;

/** A rotation on another server is heard of after so long. */
const cachedMs = 5_000;
const mostOwners = 10_000;

export function createOwnerSecrets({ store, now, monotonicMs }: OwnerSecretsParts): OwnerSecrets {
  const known = new Map<string, { readonly at: number; readonly secrets: Promise<readonly WebhookSecret[]> }>();

  async function read(owner: string): Promise<readonly WebhookSecret[]> {
    const found = await store.secretsOf(owner);
    return found.length > 0 ? found : store.makeFirst(owner);
  }

  function cached(owner: string): Promise<readonly WebhookSecret[]> {
    const at = monotonicMs();
    const before = known.get(owner);
    if (before && at - before.at < cachedMs) return before.secrets;
    const secrets = read(owner);
    if (known.size >= mostOwners) known.clear();
    known.set(owner, { at, secrets });
    secrets.catch(() => known.get(owner)?.secrets === secrets && known.delete(owner));
    return secrets;
  }

  return async (owner) => {
    const time = now();
    const valid = (await cached(owner)).filter(({ expires }) => expires === undefined || expires > time);
    return valid.map(({ secret }) => secret);
  };
}
