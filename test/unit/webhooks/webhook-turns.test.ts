import { expect, it, vi } from "vitest";
import type { WebhookStore } from "../../../src/domain/ports.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { createWebhooks } from "../../../src/webhooks/webhooks.ts";
import { silentLog } from "../../support/embedded-options.ts";

let made = 0;
function runOf(owner: string, webhook: string): Run {
  made += 1;
  return {
    owner,
    threadId: "thread",
    runId: `run-${made}`,
    made: `made-${made}`,
    spec: { webhook, metadata: {} },
    assistant: { assistantId: "a" },
    webhook: { state: "pending", tries: 0 },
  } as unknown as Run;
}

it("an owner whose many receivers do not answer leaves the next call, and room in mind, to others", async () => {
  const calls: { url: string; end: () => void }[] = [];
  const store: WebhookStore = {
    take: async (run) => ({ ...run, webhook: { ...run.webhook!, tries: 1 } }),
    keepError: async () => {},
    settleDone: async () => {},
    settleFailed: async () => {},
    retry: async () => undefined,
    untried: async () => [],
    due: async () => [],
  };
  const webhooks = createWebhooks({
    store,
    insertTombstone: async () => {},
    valuesAtEnd: async () => undefined,
    post: (url, _, { signal }) =>
      new Promise((end) => {
        calls.push({ url, end });
        signal.addEventListener("abort", () => end());
      }),
    secretsOf: async () => [],
    now: () => new Date(0),
    limitMs: 1_000,
    pauseMs: 1,
    leaseMs: 1_000,
    onError: (error) => {
      throw error;
    },
    log: silentLog,
  });
  for (let place = 0; place < 10_000; place += 1) webhooks.ended(runOf("many", `https://h${place}.example/`));
  await vi.waitFor(() => expect(calls).toHaveLength(32));
  webhooks.ended(runOf("few", "https://few.example/"));
  calls[0]!.end();
  await vi.waitFor(() => expect(calls).toHaveLength(33));
  expect(calls.at(-1)!.url).toBe("https://few.example/");
  await webhooks.stop(0);
});
