import { parseArgs } from "node:util";
import { ConfigError, readProcessConfig } from "../config.ts";
import type { WebhookSecret, WebhookSecretStore } from "../domain/ports.ts";
import type { Stores } from "../storage/stores.ts";
import { withStores } from "./open-database.ts";
import { caller, changeBy, keyOfOwner } from "./operator.ts";

export const webhooksHelp = `reins webhooks secret [--owner NAME]             shows what an owner's webhooks are signed with
reins webhooks secret [--owner NAME] --rotate    makes a new secret; the former ones sign along with it for a day

  --owner    the tenant; without it, the only owner of a server without access control
  --json     prints JSON, one object a line
  --data-dir where the embedded database keeps its data, as of serve; MONGODB_URI names another database

Secrets are alone on standard output, a line each, the newest one first. The first one is made when it is asked for. Servers
sign with a new one within five seconds.`;

const options = {
  owner: { type: "string", default: "" },
  rotate: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  "data-dir": { type: "string" },
} as const;

type Options = ReturnType<typeof read>["values"];

/** `reins webhooks …` on the database of a server with these settings, whether it runs or not. */
export async function webhooks(args: readonly string[]): Promise<void> {
  const { values, positionals } = read(args);
  if (positionals.join(" ") !== "secret") throw new ConfigError(webhooksHelp);
  const config = readProcessConfig(values["data-dir"] === undefined ? [] : ["--data-dir", values["data-dir"]]);
  await withStores(config, (stores) => secret(stores, values));
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${webhooksHelp}`);
  }
}

async function secret(stores: Stores, { owner, rotate, json }: Options): Promise<void> {
  const { webhookSecrets, audit } = stores;
  const key = keyOfOwner(owner);
  const secrets = rotate ? [await webhookSecrets.rotate(key)] : await currentOf(webhookSecrets, key);
  // Whoever has seen a secret can sign with it.
  const outcome = rotate ? "rotated" : "shown";
  await audit.append(changeBy(caller(), { owner, call: "webhooks/secret", target: "webhook secrets", outcome }));
  for (const one of secrets) {
    console.log(json ? JSON.stringify(one) : one.secret);
    if (!json) console.error(validityOf(one));
  }
}

async function currentOf(store: WebhookSecretStore, owner: string): Promise<WebhookSecret[]> {
  const found = await store.secretsOf(owner);
  return found.length > 0 ? found : store.makeFirst(owner);
}

const validityOf = ({ created, expires }: WebhookSecret): string =>
  `Made ${created.toISOString()}, ${expires ? `signs until ${expires.toISOString()}` : "signs until it is rotated"}.`;
