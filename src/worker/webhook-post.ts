export interface Posting {
  readonly limitMs: number;
  /** Gives up before that. */
  readonly signal: AbortSignal;
}

/**
 * One POST of JSON. Throws unless it is answered with a 2xx status within the limit. Redirects are not followed: the client
 * named one receiver.
 */
export async function postWebhook(url: string, body: string, { limitMs, signal }: Posting): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "reins" },
    body,
    redirect: "manual",
    signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
  });
  // Nobody reads what is answered.
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the receiver answered with status ${response.status}`);
}
