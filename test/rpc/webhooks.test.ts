import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { graphAssistantId } from "../../src/domain/ids.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { createStatelessKit, temporaryThreadsAreGone } from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

let app: TestApp;
let receiver: WebhookReceiver;
let paths = 0;
const newPath = () => `/hook/${++paths}?token=t`;
const quick = { webhookPauseMs: 20, leaseMs: 3_000, graceMs: 500 };

beforeAll(async () => {
  receiver = await startWebhookReceiver();
  app = await startTestApp({ config: quick });
});
afterAll(async () => {
  await app.close();
  await receiver.close();
});

const delivery = async (runId: string, { db } = app) => {
  const byId = { _id: runId as never };
  const doc = (await db.collection("runs").findOne(byId)) ?? (await db.collection("tombstones").findOne(byId));
  return doc?.webhook as { state: string; tries: number } | undefined;
};
const isDelivered = (runId: string, at = app) => until(async () => (await delivery(runId, at))?.state === "done");

interface End {
  readonly input?: object;
  readonly more?: object;
  readonly end: (kit: RunKit, runId: string) => Promise<unknown>;
  readonly body: object;
}

const cancelling = (action: CancelAction) => (kit: RunKit, runId: string) =>
  kit.client.runs.cancelRun({ threadId: kit.threadId, runId, action, reason: "enough" });
const cancellation = (action: string) => ({ action, reason: "enough", requested_by: "client" });

const ends: Record<string, End> = {
  success: {
    end: async (kit) => kit.gates.open(),
    body: { status: "success", values: { log: ["a", "b"], done: 2 } },
  },
  "an error": {
    more: { config: { recursionLimit: 2 } },
    end: async (kit) => kit.gates.open(),
    body: { status: "error", values: { log: ["a"] }, error: { error: "GraphRecursionError", message: /limit/ } },
  },
  "its time": {
    more: { timeout: { seconds: 1n } },
    end: async () => {},
    body: { status: "timeout", values: { log: [] }, error: { error: "TimeoutError", message: /1000 ms/ } },
  },
  "an interrupt": {
    end: cancelling(CancelAction.INTERRUPT),
    body: { status: "interrupted", values: { log: [] }, cancellation: cancellation("interrupt") },
  },
  "a rollback": {
    end: cancelling(CancelAction.ROLLBACK),
    body: { status: "rollback", values: null, cancellation: cancellation("rollback") },
  },
  deletion: {
    end: (kit, runId) => kit.client.runs.deleteRun({ threadId: kit.threadId, runId }),
    body: { status: "rollback", values: null, cancellation: { reason: "run deleted" } },
  },
};

describe("a webhook", () => {
  it.each(Object.keys(ends))("is told of a run that ends by %s, once", async (name) => {
    const { input, more, end, body } = ends[name]!;
    const kit = await createRunKit(app);
    const path = newPath();
    const metadata = { customer: "c1", nested: { a: [1, null] } };
    const webhook = receiver.url(path);
    const { runId, createdAt } = await kit.start({ steps: ["a", "b"], ...input }, { ...more, metadata, webhook });
    await kit.gates.started("a");
    expect(receiver.calls(path)).toEqual([]);
    await end(kit, runId);
    const [call] = await receiver.called(path);
    expect(call!.method).toBe("POST");
    expect(call!.headers["content-type"]).toBe("application/json");
    expect(call!.body).toMatchObject({
      run_id: runId,
      thread_id: kit.threadId,
      graph_id: "gated",
      assistant_id: graphAssistantId("gated"),
      metadata,
      created_at: new Date(Number(createdAt!.seconds) * 1000 + createdAt!.nanos / 1e6).toISOString(),
      ...asymmetric(body),
    });
    const times = ["created_at", "run_started_at", "run_ended_at", "webhook_sent_at"].map((field) => call!.body[field]);
    expect(times.map((time) => new Date(time as string).toISOString())).toEqual(times.toSorted());
    expect("error" in call!.body).toBe("error" in body);
    expect("cancellation" in call!.body).toBe("cancellation" in body);
    await isDelivered(runId);
    await app.client.threads.deleteThread({ threadId: kit.threadId });
    expect(receiver.calls(path)).toHaveLength(1);
    kit.gates.remove();
  });

  it.each([CancelAction.INTERRUPT, CancelAction.ROLLBACK])(
    "is told of a run that is cancelled (%i) while it waits",
    async (action) => {
      const kit = await createRunKit(app);
      const first = await kit.start({ steps: ["a"] });
      const path = newPath();
      const { runId } = await kit.start({}, { webhook: receiver.url(path) });
      await cancelling(action)(kit, runId);
      const [call] = await receiver.called(path);
      expect(call!.body).toMatchObject({
        run_id: runId,
        run_started_at: null,
        values: null,
        status: action === CancelAction.ROLLBACK ? "rollback" : "interrupted",
      });
      await isDelivered(runId);
      kit.gates.open();
      await kit.join(first.runId);
      kit.gates.remove();
    },
  );

  it("of a stateless run gets its values, and nothing of them is left", async () => {
    for (const action of [undefined, CancelAction.ROLLBACK]) {
      const kit = createStatelessKit(app);
      const path = newPath();
      receiver.answer(path, 500, 500);
      const more = { webhook: receiver.url(path), metadata: { customer: "the second" } };
      const name = await kit.create({ steps: ["a"] }, more);
      await kit.gates.started("a");
      if (action) await app.client.runs.cancelRun({ ...name, action });
      else kit.gates.open();
      const [, , last] = await receiver.called(path, 3);
      expect(last!.body).toMatchObject({
        run_id: name.runId,
        thread_id: name.threadId,
        metadata: { customer: "the second" },
        status: action ? "rollback" : "success",
        values: action ? null : { log: ["a"] },
      });
      await isDelivered(name.runId);
      await temporaryThreadsAreGone(app);
      const grave = await app.db.collection("tombstones").findOne({ _id: name.runId as never });
      expect(grave!.webhook).toEqual({ state: "done", tries: 3, due_at: null, last_try_at: expect.any(Date) });
      expect(JSON.stringify(grave)).not.toMatch(/the second|"log"/);
      kit.gates.remove();
    }
  });

  it("gets no values that are too large to be remembered", async () => {
    const kit = createStatelessKit(app);
    const path = newPath();
    kit.gates.open();
    await kit.create({ steps: ["a"], log: ["x".repeat(300_000)] }, { webhook: receiver.url(path) });
    expect((await receiver.called(path))[0]!.body).toMatchObject({ status: "success", values: null });
    kit.gates.remove();
  });
});

describe("a webhook that fails", () => {
  let impatient: TestApp;
  afterEach(() => impatient.close());

  /** It gives a call up sooner than one that is answered could take on a busy machine. */
  const startImpatient = async (webhookPauseMs: number) => {
    impatient = await startTestApp({ config: { ...quick, webhookLimitMs: 500, webhookPauseMs } });
  };

  it("is called again when it fails, with growing pauses, and given up after five tries", async () => {
    await startImpatient(20);
    const kit = await createRunKit(impatient);
    kit.gates.open();
    const [bad, better] = [newPath(), newPath()];
    receiver.answer(bad, 500, 404, "never", { status: 307, location: receiver.url("/elsewhere") }, 500, 204);
    receiver.answer(better, 503, 204);
    const run = await kit.start({ steps: ["a"] }, { webhook: receiver.url(bad) });
    const other = await kit.start({ steps: ["a"] }, { webhook: receiver.url(better) });
    await receiver.called(bad, 5);
    await until(async () => (await delivery(run.runId, impatient))?.state === "failed");
    await isDelivered(other.runId, impatient);
    expect([await delivery(run.runId, impatient), await delivery(other.runId, impatient)]).toMatchObject([
      { tries: 5 },
      { tries: 2 },
    ]);
    expect(receiver.calls("/elsewhere")).toEqual([]);
    const sent = receiver.calls(bad).map(({ body }) => Date.parse(body.webhook_sent_at as string));
    const pauses = sent.slice(1).map((time, i) => time - sent[i]!);
    // The third call is given up after 500 ms.
    for (const [i, least] of [20, 100, 500 + 500, 2_500].entries()) expect(pauses[i]).toBeGreaterThanOrEqual(least - 5);
    kit.gates.remove();
  });

  it("that does not answer holds up neither the ends of runs nor other webhooks", async () => {
    // Half a minute until the fifth try, so that none of them is given up before the others have come and gone.
    await startImpatient(200);
    const kit = createStatelessKit(impatient);
    kit.gates.open();
    const [dead, alive] = [newPath(), newPath()];
    // More than may be under way to one receiver at a time, each of which takes all of its time.
    receiver.answer(dead, ...Array.from({ length: 100 }, () => "never" as const));
    const other = await startWebhookReceiver();
    const names = await Promise.all(
      Array.from({ length: 12 }, () => kit.create({ steps: ["a"] }, { webhook: receiver.url(dead) })),
    );
    const { told, runId } = await kit.wait({ steps: ["a"] }, { webhook: other.url(alive) });
    expect(await told).toMatchObject({ status: RunStatus.SUCCESS });
    await other.called(alive);
    await isDelivered(runId, impatient);
    for (const { runId } of names) expect((await delivery(runId, impatient))?.state ?? "pending").toBe("pending");
    await until(() =>
      impatient.db
        .collection("threads")
        .countDocuments({ temporary: true })
        .then((count) => count === 0),
    );
    receiver.answer(dead);
    for (const { runId } of names) await isDelivered(runId, impatient);
    await other.close();
    kit.gates.remove();
  });
});

/** Regular expressions stand for texts that they match. */
function asymmetric(value: unknown): Record<string, unknown> {
  const convert = (one: unknown): unknown => {
    if (one instanceof RegExp) return expect.stringMatching(one);
    if (Array.isArray(one)) return one.map(convert);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([name, inner]) => [name, convert(inner)]));
  };
  return convert(value) as Record<string, unknown>;
}
