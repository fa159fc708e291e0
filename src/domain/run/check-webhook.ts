import { invalid } from "../check-metadata.ts";

/** Throws INVALID_FIELD for anything but an absolute http or https URL without credentials. */
export function checkWebhook(webhook: string | undefined): void {
  if (webhook === undefined) return;
  const url = /^https?:\/\/[^\s\\]+$/i.test(webhook) ? URL.parse(webhook) : null;
  if (url === null) throw invalid("spec.webhook", "must be an absolute URL that begins with http:// or https://");
  if (url.username !== "" || url.password !== "") {
    throw invalid("spec.webhook", "must not hold credentials: they would be stored and shown with the run");
  }
}
