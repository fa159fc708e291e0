import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anybody } from "../../src/access/identity.ts";
import { createReinsClient, errorInfo, type ReinsClient, WebhookState } from "../../src/client/index.ts";
import type { Config } from "../../src/config.ts";
import { type HostRule, readHostRule } from "../../src/webhooks/host-rule.ts";
import { until } from "../support/gates.ts";
import { privateHosts, spellings } from "../support/private-spellings.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/** Whole servers that tell callers apart, which may therefore be anywhere. */
const identify = ({ headers }: { headers: { [name: string]: unknown } }) => ({
  ...anybody,
  owner: String(headers["x-owner"] ?? "nobody"),
});
const as =
  (owner: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("x-owner", owner);
    return next(request);
  };
const clientOf = (app: TestApp, owner: string): ReinsClient =>
  createReinsClient({ baseUrl: app.app.url, interceptors: [as(owner)] });
const receivers = (...allow: string[]): Partial<Config> => ({
  webhookReceivers: { allow: allow.map((text): HostRule => readHostRule(text)!), only: undefined, httpsOnly: false },
});

let receiver: WebhookReceiver;
let strict: TestApp;
let kit: RunKit;
const logged: string[] = [];
beforeAll(async () => {
  receiver = await startWebhookReceiver();
  const log = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });
  strict = await startTestApp({ identify, log, config: { leaseMs: 3_000 } });
  kit = await createRunKit({ client: clientOf(strict, "alice") });
  kit.gates.open();
});
afterAll(async () => {
  kit.gates.remove();
  await strict.close();
  await receiver.close();
});

const urlOf = (host: string) => `http://${host}:${receiver.port}/hook`;

describe("with access control", () => {
  it.each([...Object.values(spellings).flat(), ...privateHosts])("no run is created for http://%s", async (host) => {
    const refused = await kit.start({ steps: ["a"] }, { webhook: urlOf(host) }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConnectError);
    expect(refused).toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "spec.webhook: must lead to a public address",
    });
    expect(errorInfo(refused)).toMatchObject({ reason: "INVALID_FIELD", metadata: { field: "spec.webhook" } });
    const rest = await fetch(`${strict.app.url}/threads/${kit.threadId}/runs`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-owner": "alice" },
      body: JSON.stringify({ assistant_id: "gated", input: {}, webhook: urlOf(host) }),
    });
    expect(rest.status).toBe(422);
    expect(JSON.stringify(await rest.json())).toContain("webhook: must lead to a public address");
    expect(receiver.connections()).toBe(0);
  });

  it("none is called that was let in before, whatever its name: it fails at once, and says why", async () => {
    // As a server with other settings, or one without access control, has stored it.
    const open = await strict.start(receivers("127.0.0.1"));
    const settings = { steps: ["held"] };
    kit.gates.close("all");
    const there = clientOf(open, "alice");
    const webhook = urlOf("127.1");
    const { runId, threadId } = (
      await there.runs.createRun({ threadId: kit.threadId, spec: kit.spec(settings, { webhook }) })
    ).run!;
    await open.app.stop();
    kit.gates.open();
    const delivery = async () => (await kit.get(runId)).webhookDelivery!;
    await until(async () => (await delivery()).state === WebhookState.FAILED, 60_000);
    expect(await delivery()).toMatchObject({ tries: 1, lastError: "the address of the receiver is not allowed" });
    expect(receiver.connections()).toBe(0);

    // Nobody else has it made again, and where it is allowed it can be.
    const next = await strict.start(receivers(`127.0.0.1:${receiver.port}`));
    const name = { threadId, runId };
    const foreign = clientOf(next, "mallory").operations.retryWebhook(name);
    await expect(foreign).rejects.toMatchObject({ code: Code.NotFound });
    expect((await delivery()).state).toBe(WebhookState.FAILED);
    await clientOf(next, "alice").operations.retryWebhook(name);
    const [call] = await receiver.called("/hook");
    expect(call!.body).toMatchObject({ run_id: runId, status: "success" });
    await next.app.stop();
  });

  it("secrets are an owner's own, and in no log and no record of a run", async () => {
    const all = await strict.db.collection("webhook_secrets").find().toArray();
    expect(all.map(({ _id, owner }) => [_id, owner])).toEqual([["alice/webhooks", "alice"]]);
    const { secret } = all[0]!.secrets[0];
    expect(secret).toMatch(/^whsec_/);
    expect(logged.join("")).toContain("a webhook is not called");
    expect(logged.join("")).not.toContain(secret.slice("whsec_".length));
    for (const name of ["runs", "tombstones", "threads", "run_specs", "run_events"]) {
      const documents = await strict.db.collection(name).find().toArray();
      expect(JSON.stringify(documents)).not.toContain(secret.slice("whsec_".length));
    }
  });
});

describe("without access control", () => {
  it("this machine is called, and no other that is not public", async () => {
    const app = await startTestApp();
    const open = await createRunKit(app);
    open.gates.open();
    for (const host of privateHosts) {
      await expect(open.start({ steps: ["a"] }, { webhook: urlOf(host) })).rejects.toMatchObject({
        code: Code.InvalidArgument,
        rawMessage: "spec.webhook: must lead to a public address",
      });
    }
    for (const [i, host] of [...spellings.ipv4, "localhost"].entries()) {
      await open.start({ steps: ["a"] }, { webhook: `http://${host}:${receiver.port}/open/${i}` });
      await receiver.called(`/open/${i}`);
    }
    open.gates.remove();
    await app.close();
  });
});
