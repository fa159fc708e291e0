import { invalid } from "../check-metadata.ts";

/** What is wrong with a receiver as far as its URL tells, as the end of a sentence about it. */
export type RefusalOfReceiver = (url: URL) => string | undefined;

/** Throws INVALID_FIELD for anything but an absolute http or https URL without credentials that may be called. */
export function checkWebhook(webhook: string | undefined, refusalOf: RefusalOfReceiver): void {
  if (webhook === undefined) return;
  const url = /^https?:\/\/[^\s\\]+$/i.test(webhook) ? URL.parse(webhook) : null;
  if (url === null) throw invalid("spec.webhook", "must be an absolute URL that begins with http:// or https://");
  if (url.username !== "" || url.password !== "") {
    throw invalid("spec.webhook", "must not hold credentials: they would be stored and shown with the run");
  }
  const refusal = refusalOf(url);
  if (refusal !== undefined) throw invalid("spec.webhook", refusal);
}
