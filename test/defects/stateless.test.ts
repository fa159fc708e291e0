import { afterAll, beforeAll, expect, it } from "vitest";
import { CancelAction, CancelOutcome } from "../../gen/reins/v1/run_pb.ts";
import { dump } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { createStatelessKit } from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/** Defects of other servers in what is left of, and told about, runs that never started; see docs/defects.md. */
let app: TestApp;
let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await startWebhookReceiver();
  // One slot: a run that must wait does so behind another.
  app = await startTestApp({ config: { children: 1, slotsPerChild: 1 } });
});
afterAll(async () => {
  await app.close();
  await receiver.close();
});

const actions = [
  ["INTERRUPT", "interrupted"],
  ["ROLLBACK", "rollback"],
] as const;

it.each(actions)(
  "S19: a stateless run that is cancelled while it waits leaves no thread behind: %s",
  async (action) => {
    const blocker = await createRunKit(app);
    const blocking = await blocker.start({ steps: ["a"] });
    await blocker.gates.started("a");
    const except = { exceptEventsOf: blocking.runId };
    const before = await dump(app.db, except);
    const kit = createStatelessKit(app);
    const name = await kit.create({ steps: ["s"] });
    expect((await app.client.threads.getThread({ threadId: name.threadId })).thread!.temporary).toBe(true);
    const { outcome } = await app.client.runs.cancelRun({ ...name, action: CancelAction[action], wait: true });
    expect(outcome).toBe(CancelOutcome.NEVER_STARTED);
    await until(async () => (await app.db.collection("threads").countDocuments({ thread_id: name.threadId })) === 0);
    expect(await dump(app.db, except)).toEqual(before);
    expect(kit.gates.hasStarted("s")).toBe(false);
    blocker.gates.open();
    await blocker.join(blocking.runId);
    for (const { gates } of [blocker, kit]) gates.remove();
  },
);

it.each(actions)("S23: the webhook of a run that is cancelled while it waits is told: %s", async (action, status) => {
  const kit = await createRunKit(app);
  const blocking = await kit.start({ steps: ["a"] });
  await kit.gates.started("a");
  const path = `/${action}`;
  const { runId } = await kit.start({ steps: ["b"] }, { webhook: receiver.url(path) });
  await app.client.runs.cancelRun({ threadId: kit.threadId, runId, action: CancelAction[action] });
  const [call] = await receiver.called(path);
  expect(call!.body).toMatchObject({ run_id: runId, status, values: null });
  kit.gates.open();
  await kit.join(blocking.runId);
  kit.gates.remove();
});
