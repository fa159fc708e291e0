import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction } from "../../gen/reins/v1/run_pb.ts";
import { createBarrier } from "../support/barrier.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { createStatelessKit } from "../support/stateless-kit.ts";
import { startTestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await startWebhookReceiver();
});
afterAll(() => receiver.close());

let paths = 0;
const newPath = () => `/hook/${++paths}?token=t`;
const quick = { webhookPauseMs: 20, webhookLimitMs: 60_000, leaseMs: 3_000 };

describe("a webhook outlives its server", () => {
  it("that ends in the middle of the call, and that does not wait longer than its grace", async () => {
    const here = await startTestApp({ config: { ...quick, drainMs: 200 } });
    const kit = createStatelessKit(here);
    kit.gates.open();
    const path = newPath();
    receiver.answer(path, "never");
    const { runId } = await kit.create({ steps: ["a"] }, { webhook: receiver.url(path) });
    await receiver.called(path);
    const before = performance.now();
    await here.app.stop();
    expect(performance.now() - before).toBeLessThan(20_000);
    // As if the time that the call may take were over.
    await here.db
      .collection("tombstones")
      .updateOne({ _id: runId as never }, { $set: { "webhook.due_at": new Date(0) } });
    const next = await here.start();
    const [, again] = await receiver.called(path, 2);
    expect(again!.body).toMatchObject({ run_id: runId, status: "success", values: { log: ["a"] } });
    await until(async () => {
      const grave = await here.db.collection("tombstones").findOne({ _id: runId as never });
      return grave!.webhook.state === "done";
    });
    await next.close();
    kit.gates.remove();
  });

  it("that ends before the call", async () => {
    const barrier = createBarrier();
    let held = true;
    const here = await startTestApp({
      config: quick,
      decorate: ({ stores, ...parts }) => ({
        ...parts,
        stores: {
          ...stores,
          webhooks: {
            ...stores.webhooks,
            async take(run, dueAt) {
              if (held) {
                await barrier.pass();
                throw new Error("the server is gone");
              }
              return stores.webhooks.take(run, dueAt);
            },
          },
        },
      }),
    });
    const kit = await createRunKit(here);
    kit.gates.open();
    const [path, rolledBack] = [newPath(), newPath()];
    const { runId } = await kit.start({ steps: ["a"] }, { webhook: receiver.url(path) });
    await barrier.reached;
    await kit.join(runId);
    kit.gates.close("all");
    const { runId: second } = await kit.start({ steps: ["b"] }, { webhook: receiver.url(rolledBack) });
    await kit.gates.started("b");
    await here.client.runs.cancelRun({
      threadId: kit.threadId,
      runId: second,
      action: CancelAction.ROLLBACK,
      wait: true,
    });
    barrier.open();
    await here.app.stop();
    expect([...receiver.calls(path), ...receiver.calls(rolledBack)]).toEqual([]);
    held = false;
    const next = await here.start();
    expect((await receiver.called(path))[0]!.body).toMatchObject({ status: "success", values: { log: ["a"] } });
    expect((await receiver.called(rolledBack))[0]!.body).toMatchObject({ status: "rollback", values: null });
    await next.close();
    kit.gates.remove();
  });
});
