import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { WebhookSecretStore } from "../../src/domain/ports.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookCall, type WebhookReceiver } from "../support/webhook-receiver.ts";

let app: TestApp;
let kit: RunKit;
let receiver: WebhookReceiver;
let secrets: WebhookSecretStore;
let paths = 0;
const newPath = () => `/hook/${++paths}`;
const day = 24 * 3_600_000;

beforeAll(async () => {
  receiver = await startWebhookReceiver();
  app = await startTestApp({ config: { webhookPauseMs: 20 } });
  ({ webhookSecrets: secrets } = await openStores(app.db));
  kit = await createRunKit(app);
  kit.gates.open();
});
afterAll(async () => {
  kit.gates.remove();
  await app.close();
  await receiver.close();
});

async function calledAt(path: string, times = 1): Promise<WebhookCall> {
  await kit.start({ steps: ["a"] }, { webhook: receiver.url(path) });
  return (await receiver.called(path, times)).at(-1)!;
}
const verify = (secret: string, { text, headers }: WebhookCall, change = {}) =>
  new Webhook(secret).verify(text, { ...(headers as Record<string, string>), ...change });

describe("a call of a webhook is signed", () => {
  it("with a secret that is made for the first one, over body, id and time", async () => {
    expect(await secrets.secretsOf("")).toEqual([]);
    const call = await calledAt(newPath());
    const [{ secret } = { secret: "" }] = await secrets.secretsOf("");
    expect(verify(secret, call)).toEqual(call.body);
    const other = `whsec_${Buffer.alloc(32).toString("base64")}`;
    expect(() => verify(other, call)).toThrow();
    expect(() => verify(secret, { ...call, text: call.text.replace("success", "error") })).toThrow();
    expect(() => verify(secret, call, { "webhook-id": "other" })).toThrow();
    const later = String(Number(call.headers["webhook-timestamp"]) + 1);
    expect(() => verify(secret, call, { "webhook-timestamp": later })).toThrow();
  });

  it("by one secret, though two servers make the first call at the same time", async () => {
    const two = await startTestApp();
    const second = await two.start();
    const own = (await openStores(two.db)).webhookSecrets;
    const calls = await Promise.all(
      [two, second, two, second].map(async (server) => {
        const its = await createRunKit(server);
        its.gates.open();
        const path = newPath();
        await its.start({ steps: ["a"] }, { webhook: receiver.url(path) });
        const [call] = await receiver.called(path);
        its.gates.remove();
        return call!;
      }),
    );
    const all = await own.secretsOf("");
    expect(all).toHaveLength(1);
    for (const call of calls) expect(verify(all[0]!.secret, call)).toEqual(call.body);
    await second.app.stop();
    await two.close();
  });

  it("has one id for all tries, and another one for another run", async () => {
    const [path, another] = [newPath(), newPath()];
    receiver.answer(path, 500, 500);
    await calledAt(path, 3);
    const ids = receiver.calls(path).map(({ headers }) => headers["webhook-id"]);
    expect(new Set(ids).size).toBe(1);
    expect((await calledAt(another)).headers["webhook-id"]).not.toBe(ids[0]);
  });

  it("by the new and the old secret during a rotation, and by the new one alone after it", async () => {
    await calledAt(newPath());
    const [old] = await secrets.secretsOf("");
    const next = await secrets.rotate("", day);
    let both: WebhookCall;
    // Another server hears of it when what it knows is five seconds old.
    await until(async () => {
      both = await calledAt(newPath());
      return (both.headers["webhook-signature"] as string).includes(" ");
    }, 60_000);
    expect((both!.headers["webhook-signature"] as string).split(" ")).toHaveLength(2);
    for (const { secret } of [old!, next]) expect(verify(secret, both!)).toEqual(both!.body);

    const last = await secrets.rotate("", 0);
    let alone: WebhookCall;
    await until(async () => {
      alone = await calledAt(newPath());
      return !(alone.headers["webhook-signature"] as string).includes(" ");
    }, 60_000);
    expect(verify(last.secret, alone!)).toEqual(alone!.body);
    for (const { secret } of [old!, next]) expect(() => verify(secret, alone!)).toThrow();
  });

  it("so that the code in the documentation takes it, and takes nothing else", async () => {
    await calledAt(newPath());
    const root = join(import.meta.dirname, "../..");
    const [, code] = /```js\n(.*?)```/s.exec(readFileSync(join(root, "docs/webhooks.md"), "utf8"))!;
    // Where it finds the library that it imports.
    const folder = join(root, "node_modules/.cache/webhook-snippet");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `receive-${process.pid}.mjs`);
    writeFileSync(file, code!);
    vi.stubEnv("WEBHOOK_SECRET", (await secrets.secretsOf(""))[0]!.secret);
    const said = vi.spyOn(console, "log").mockImplementation(() => {});
    const { receive } = (await import(pathToFileURL(file).href)) as { receive: Parameters<typeof createServer>[1] };
    const server = createServer(receive as never);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      const { runId } = await kit.start({ steps: ["a"] }, { webhook: url });
      await until(async () => (await kit.get(runId)).webhookDelivery!.state === 2);
      expect(said).toHaveBeenCalledExactlyOnceWith(expect.any(String), runId, "success");
      const forged = await fetch(url, { method: "POST", body: "{}", headers: { "webhook-id": "a" } });
      expect(forged.status).toBe(401);
    } finally {
      said.mockRestore();
      vi.unstubAllEnvs();
      await new Promise((resolve) => server.close(resolve));
      rmSync(file);
    }
  });
});
