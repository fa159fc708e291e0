import { lookup } from "node:dns";
import { Agent, type Dispatcher, request } from "undici";
import { CallError, notAllowed } from "./call-error.ts";
import { guardedConnect, type Resolve } from "./guarded-connect.ts";
import type { ReceiverRules } from "./receiver-rules.ts";

export interface Posting {
  readonly headers: Readonly<Record<string, string>>;
  /** Gives up before the limit. */
  readonly signal: AbortSignal;
}

/** One POST of JSON. Throws a CallError unless it is answered with a 2xx status within the limit. */
export type PostWebhook = (url: string, body: string, posting: Posting) => Promise<void>;

export interface PostWebhookParts {
  readonly rules: ReceiverRules;
  /** What one call may take. */
  readonly limitMs: number;
  /** The system's, if nothing else is said. */
  readonly resolve?: Resolve;
}

/** So much of an answer is read, so that its connection can be used again; what it says means nothing. */
const mostBytesRead = 16 * 1024;

/**
 * Calls receivers where the rules let it. Redirects are not followed, since the client named one receiver, and no proxy is used, which
 * would look up names by itself.
 */
export function createPostWebhook({ rules, limitMs, resolve = lookup }: PostWebhookParts): {
  readonly post: PostWebhook;
  /** Ends all connections. */
  readonly close: () => Promise<void>;
} {
  const agent = new Agent({ connect: guardedConnect(rules, resolve, limitMs), pipelining: 1 });

  return {
    async post(text, body, { headers, signal }) {
      const url = new URL(text);
      // Another server may have let it in, or this one with other settings.
      const refusal = rules.refusalOf(url);
      if (refusal !== undefined) throw notAllowed(refusal);
      const limit = AbortSignal.timeout(limitMs);
      const ending = AbortSignal.any([signal, limit]);
      const answer = await request(url, {
        dispatcher: agent,
        method: "POST",
        headers: { "content-type": "application/json", "user-agent": "reins", ...headers },
        body,
        signal: ending,
      }).catch((error: unknown) => Promise.reject(toCallError(error, limit)));
      await endOf(answer, ending);
      const { statusCode } = answer;
      if (statusCode < 200 || statusCode > 299) {
        throw new CallError(`the receiver answered with the status ${statusCode}`);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Whatever becomes of the rest of an answer, the receiver has answered. */
const endOf = ({ body }: Dispatcher.ResponseData, signal: AbortSignal): Promise<void> =>
  body.dump({ limit: mostBytesRead, signal }).catch(() => undefined);

function toCallError(error: unknown, limit: AbortSignal): CallError {
  if (error instanceof CallError) return error;
  if (limit.aborted) return new CallError("the receiver did not answer in time", { cause: error });
  return new CallError("the receiver could not be reached", { cause: error });
}
