import { Webhook } from "standardwebhooks";

export interface Signing {
  /** The same for all calls about one thing, so that the receiver can tell a repeat. */
  readonly id: string;
  readonly at: Date;
  /** As they are kept: `whsec_` and Base64. */
  readonly secrets: readonly string[];
}

/** The headers of Standard Webhooks (https://www.standardwebhooks.com), with a signature by each secret. */
export function signedHeaders(body: string, { id, at, secrets }: Signing): Record<string, string> {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" "),
  };
}
