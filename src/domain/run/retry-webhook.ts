import { DomainError } from "../errors.ts";
import { runNotFound } from "../not-found.ts";
import type { RunStore, WebhookStore } from "../ports.ts";
import type { FindRun } from "./find-run.ts";
import type { Run, RunName } from "./run.ts";

export interface RetryWebhookParts {
  readonly webhooks: Pick<WebhookStore, "retry">;
  readonly findRun: FindRun;
  readonly runs: Pick<RunStore, "tombstone">;
  /** The delivery is pending again: it may be made at once. */
  readonly pending: (run: Run) => void;
}

/** Has a failed delivery made again. Throws RUN_NOT_FOUND, or WEBHOOK_NOT_FAILED. */
export type RetryWebhook = (name: RunName) => Promise<Run>;

export function createRetryWebhook({ webhooks, findRun, runs, pending }: RetryWebhookParts): RetryWebhook {
  /** A run that is gone is there as long as its webhook may still be told of it. */
  async function find(name: RunName): Promise<Run | undefined> {
    const run = await findRun(name);
    if (run) return run;
    const gone = await runs.tombstone(name);
    return gone?.webhook?.kept && gone;
  }

  return async (name) => {
    const retried = await webhooks.retry(name);
    if (retried) {
      pending(retried);
      return retried;
    }
    const run = await find(name);
    if (!run) throw runNotFound(name);
    throw notFailed(run);
  };
}

const states = { pending: "is pending", done: "has been made", failed: "is being made again" } as const;

function notFailed({ runId, threadId, status, webhook }: Run): DomainError {
  const sentence = webhook
    ? `the delivery to the webhook of run ${runId} ${states[webhook.state]}; only one that has failed can be made again`
    : `run ${runId} has no webhook`;
  return new DomainError("WEBHOOK_NOT_FAILED", sentence, {
    metadata: { run_id: runId, thread_id: threadId },
    run: { runId, threadId, status },
  });
}
