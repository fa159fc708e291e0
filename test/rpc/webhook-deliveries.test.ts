import { randomUUID } from "node:crypto";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorReason, type Run, type WebhookDelivery, WebhookState } from "../../src/client/index.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { createStatelessKit, type StatelessName, temporaryThreadsAreGone } from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/** Two servers on one database, and what they tell of the calls of webhooks. */
let app: TestApp;
let other: TestApp;
let kit: RunKit;
let receiver: WebhookReceiver;
let paths = 0;
const newPath = () => `/hook/${++paths}`;
/** The pauses are 20, 100, 500 and 2,500 ms. */
const quick = { webhookPauseMs: 20, leaseMs: 3_000 };

beforeAll(async () => {
  receiver = await startWebhookReceiver();
  app = await startTestApp({ config: quick });
  other = await app.start();
  kit = await createRunKit(app);
  kit.gates.open();
});
afterAll(async () => {
  kit.gates.remove();
  await other.app.stop();
  await app.close();
  await receiver.close();
});

const reached = async (name: StatelessName, state: WebhookState, at = app): Promise<WebhookDelivery> => {
  const { runs } = at.client;
  const read = async () => (await runs.getRun(name)).run!.webhookDelivery!;
  await until(async () => (await read()).state === state, 60_000);
  return read();
};
const start = async (path: string): Promise<Run> => kit.start({ steps: ["a"] }, { webhook: receiver.url(path) });
const nameOf = ({ threadId, runId }: StatelessName) => ({ threadId, runId });
const fails = (times: number) => Array.from({ length: times }, () => 500);

describe("the delivery of a webhook", () => {
  it("is shown with its run, from the creation to the answer", async () => {
    const path = newPath();
    const run = await kit.start({ steps: ["a"] }, { webhook: receiver.url(path), after: { seconds: 1n } });
    expect(run.webhookDelivery).toMatchObject({ state: WebhookState.PENDING, tries: 0, lastError: "" });
    expect(run.webhookDelivery!.lastTryTime).toBeUndefined();
    const delivered = await reached(nameOf(run), WebhookState.DELIVERED);
    expect(delivered).toMatchObject({ tries: 1, lastError: "" });
    expect(delivered.nextTryTime).toBeUndefined();
    const [call] = receiver.calls(path);
    const sent = Date.parse(call!.body.webhook_sent_at as string);
    expect(timestampDate(delivered.lastTryTime!).getTime()).toBeLessThanOrEqual(sent);
    const rest = await fetch(`${app.app.url}/threads/${kit.threadId}/runs/${run.runId}`);
    expect((await rest.json()).webhook_delivery).toEqual({
      state: "delivered",
      tries: 1,
      last_try_time: expect.stringMatching(/^\d{4}-/),
      last_error: null,
      next_try_time: null,
    });
  });

  it("is not shown with a run that has no webhook", async () => {
    expect((await kit.start({ steps: ["a"] })).webhookDelivery).toBeUndefined();
  });

  it("says what was wrong and when it goes on, then that it is given up; another server has it made again", async () => {
    const path = newPath();
    receiver.answer(path, ...fails(4), "never");
    const run = await start(path);
    await receiver.called(path, 4);
    const name = nameOf(run);
    const lastError = "the receiver answered with the status 500";
    await until(async () => (await kit.get(run.runId)).webhookDelivery!.nextTryTime !== undefined);
    const between = (await kit.get(run.runId)).webhookDelivery!;
    expect(between).toMatchObject({ state: WebhookState.PENDING, tries: 4, lastError });
    // At least the pause before the fifth try, less what the database's clock and this one's may differ.
    const pause = timestampDate(between.nextTryTime!).getTime() - timestampDate(between.lastTryTime!).getTime();
    expect(pause).toBeGreaterThan(2_000);
    // The fifth call is cut off.
    await receiver.called(path, 5);
    receiver.cut();
    const failed = await reached(name, WebhookState.FAILED, other);
    expect(failed).toMatchObject({ tries: 5, lastError: "the receiver could not be reached" });
    expect(failed.nextTryTime).toBeUndefined();

    const { operations } = other.client;
    const retried = (await operations.retryWebhook(name)).run!;
    expect(retried).toMatchObject({
      ...name,
      webhookDelivery: { state: WebhookState.PENDING, tries: 0, lastError: "" },
    });
    expect(await reached(name, WebhookState.DELIVERED)).toMatchObject({ tries: 1, lastError: "" });
    const calls = receiver.calls(path);
    expect(calls).toHaveLength(6);
    // So that who has had it before can tell.
    expect(new Set(calls.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(calls[5]!.body).toMatchObject({ run_id: run.runId, status: "success" });
    expect(calls[5]!.body.values).toEqual(calls[0]!.body.values);
  });

  it("of a stateless run that is gone can be made again as well", async () => {
    const stateless = createStatelessKit(app);
    stateless.gates.open();
    const path = newPath();
    receiver.answer(path, ...fails(5));
    const metadata = { customer: "c1" };
    const name = await stateless.create({ steps: ["a"] }, { webhook: receiver.url(path), metadata });
    await receiver.called(path, 5);
    await temporaryThreadsAreGone(app);
    const retried = () => other.client.operations.retryWebhook(name).then(({ run }) => run!);
    // The fifth answer is on its way.
    await until(() =>
      retried().then(
        () => true,
        () => false,
      ),
    );
    await receiver.called(path, 6);
    expect(receiver.calls(path)[5]!.body).toMatchObject({ run_id: name.runId, metadata, values: { log: ["a"] } });
    await until(async () => {
      const grave = await app.db.collection("tombstones").findOne({ _id: name.runId as never });
      return grave!.webhook.state === "done";
    });
    await expect(retried()).rejects.toMatchObject({ code: Code.NotFound });
    stateless.gates.remove();
  });

  it("is made again by the sweep when the server that was asked ends before", async () => {
    const path = newPath();
    receiver.answer(path, ...fails(5));
    const name = nameOf(await start(path));
    await reached(name, WebhookState.FAILED);
    // As it is after the write, in a server that does no more.
    await app.db
      .collection("runs")
      .updateOne(
        { _id: name.runId as never },
        { $set: { "webhook.state": "pending", "webhook.tries": 0, "webhook.due_at": null } },
      );
    await reached(name, WebhookState.DELIVERED);
    expect(receiver.calls(path)).toHaveLength(6);
  });
});

describe("a retry is refused", () => {
  const refusal = (name: StatelessName) =>
    app.client.operations.retryWebhook(nameOf(name)).then(
      () => undefined,
      (error: unknown) => ({ code: (error as { code: Code }).code, reason: errorReason(error), text: String(error) }),
    );

  it("for a run that is not there", async () => {
    const run = await start(newPath());
    for (const name of [
      { threadId: randomUUID(), runId: randomUUID() },
      { threadId: kit.threadId, runId: randomUUID() },
      { threadId: randomUUID(), runId: run.runId },
    ])
      expect(await refusal(name)).toMatchObject({ code: Code.NotFound, reason: "RUN_NOT_FOUND" });
    await reached(nameOf(run), WebhookState.DELIVERED);
    await app.client.runs.deleteRun(nameOf(run));
    expect(await refusal(run)).toMatchObject({ code: Code.NotFound, reason: "RUN_NOT_FOUND" });
  });

  it("for one that has no webhook, whose delivery is pending, or has been made", async () => {
    const notFailed = { code: Code.FailedPrecondition, reason: "WEBHOOK_NOT_FAILED" };
    const plain = await kit.start({ steps: ["a"] });
    const path = newPath();
    receiver.answer(path, "never", 204);
    const waiting = await start(path);
    await receiver.called(path);
    expect(await refusal(plain)).toMatchObject({ ...notFailed, text: expect.stringContaining("has no webhook") });
    expect(await refusal(waiting)).toMatchObject({ ...notFailed, text: expect.stringContaining("is pending") });
    receiver.cut();
    await reached(nameOf(waiting), WebhookState.DELIVERED);
    expect(await refusal(waiting)).toMatchObject({ ...notFailed, text: expect.stringContaining("has been made") });
    expect(receiver.calls(path)).toHaveLength(2);
  });
});
