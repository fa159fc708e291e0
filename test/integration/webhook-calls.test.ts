import type { LookupAddress } from "node:dns";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CallError } from "../../src/webhooks/call-error.ts";
import type { Resolve } from "../../src/webhooks/guarded-connect.ts";
import { readHostRule } from "../../src/webhooks/host-rule.ts";
import { createPostWebhook } from "../../src/webhooks/post-webhook.ts";
import { createReceiverRules, type ReceiverRules } from "../../src/webhooks/receiver-rules.ts";
import { privateHosts, spellings } from "../support/private-spellings.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/** Calls as they go out, to a receiver that counts who connects. */
let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await startWebhookReceiver();
});
afterAll(() => receiver.close());

const lists = (allow: readonly string[], loopback = false) =>
  createReceiverRules({ allow: allow.map((text) => readHostRule(text)!), only: undefined, httpsOnly: false, loopback });
const urlOf = (host: string, path = "/hook") => `http://${host}:${receiver.port}${path}`;

/** How a call ends, and how often somebody has connected for it. */
async function call(url: string, rules: ReceiverRules, resolve?: Resolve, limitMs = 20_000) {
  const before = receiver.connections();
  const { post, close } = createPostWebhook({ rules, limitMs, ...(resolve && { resolve }) });
  const error = await post(url, "{}", { headers: {}, signal: new AbortController().signal }).then(
    () => undefined,
    (error: CallError) => error,
  );
  await close();
  return { error, connections: receiver.connections() - before };
}
const refused = {
  error: expect.objectContaining({ message: "the address of the receiver is not allowed", isFinal: true }),
  connections: 0,
};

/** Rules that let every URL in, as another server may have done, so that what connects is alone with it. */
const atTheConnection = (rules: ReceiverRules): ReceiverRules => ({ ...rules, refusalOf: () => undefined });

/** A name server that gives these answers, one after the other, and then the last one. */
function answers(...all: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const resolve: Resolve = (name, _, callback) => {
    const addresses = all[Math.min(asked.push(name), all.length) - 1]!;
    const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 }));
    setImmediate(callback, null, found);
  };
  return { resolve, asked };
}

describe("a call of a webhook", () => {
  it.each(spellings.ipv4)("to http://%s goes where it is listed", async (host) => {
    const made = await call(urlOf(host), lists([`127.0.0.1:${receiver.port}`]));
    expect(made).toEqual({ error: undefined, connections: 1 });
  });

  it.each([...Object.values(spellings).flat(), ...privateHosts])(
    "to http://%s is not made where that is not listed, neither by its URL nor by what connects",
    async (host) => {
      const rules = lists(["127.0.0.1:1", "10.9.9.9"]);
      expect(await call(urlOf(host), rules)).toEqual(refused);
      const { resolve } = answers(["127.0.0.1"]);
      expect(await call(urlOf(host), atTheConnection(rules), resolve)).toEqual(refused);
    },
  );

  it("to a name that the system resolves to this machine goes there only if it may", async () => {
    expect(await call(urlOf("localhost"), lists([], true))).toEqual({ error: undefined, connections: 1 });
    expect(await call(urlOf("localhost"), atTheConnection(lists([])))).toEqual(refused);
  });

  it("goes to the address that was judged: no name is asked for twice", async () => {
    const allow = [`127.0.0.1:${receiver.port}`];
    const names = answers(["127.0.0.1"], ["127.0.0.2"]);
    const first = await call(urlOf("rebound.example"), lists(allow), names.resolve);
    expect(first).toEqual({ error: undefined, connections: 1 });
    expect(names.asked).toEqual(["rebound.example"]);
    // What the name leads to by now is judged anew.
    expect(await call(urlOf("rebound.example"), lists(allow), names.resolve)).toEqual(refused);
  });

  it.each([
    [["127.0.0.2", "127.0.0.1"]],
    [["127.0.0.1", "10.0.0.1"]],
    [["127.0.0.1", "::ffff:169.254.169.254"]],
    [["127.0.0.1", "fe80::1%1"]],
  ])("is not made when one of the addresses is not allowed: %j", async (addresses) => {
    const { resolve } = answers(addresses);
    expect(await call(urlOf("two.example"), lists(["127.0.0.1"]), resolve)).toEqual(refused);
  });

  it("follows no redirect", async () => {
    receiver.answer("/moved", { status: 307, location: receiver.url("/elsewhere") });
    const { error } = await call(urlOf("127.0.0.1", "/moved"), lists([], true));
    expect(error).toMatchObject({ message: "the receiver answered with the status 307", isFinal: false });
    expect(receiver.calls("/elsewhere")).toEqual([]);
  });

  it("uses no proxy that the environment names", async () => {
    const proxy = await startWebhookReceiver();
    const names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"];
    const before = names.map((name) => process.env[name]);
    for (const name of names) process.env[name] = name.startsWith("NODE") ? "1" : proxy.url("");
    try {
      expect(await call(urlOf("127.0.0.1"), lists([], true))).toEqual({ error: undefined, connections: 1 });
    } finally {
      for (const [i, name] of names.entries()) {
        if (before[i] === undefined) delete process.env[name];
        else process.env[name] = before[i];
      }
      await proxy.close();
    }
    expect(proxy.connections()).toBe(0);
  });

  it("is answered once there is a status: nobody waits for what follows longer than a call may take, or reads much of it", async () => {
    const mega = Buffer.alloc(1_000_000);
    let sent = 0;
    receiver.answer("/giga", (response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      const more = () => {
        while (sent < 1_000 && !response.destroyed) {
          sent += 1;
          if (!response.write(mega)) return void response.once("drain", more);
        }
      };
      more();
    });
    receiver.answer("/endless", (response) => void response.writeHead(200).write("a"));
    const giga = await call(urlOf("127.0.0.1", "/giga"), lists([], true));
    expect(giga.error).toBeUndefined();
    expect(sent).toBeLessThan(100);
    const endless = await call(urlOf("127.0.0.1", "/endless"), lists([], true), undefined, 300);
    expect(endless.error).toBeUndefined();
  });

  it.each<[string, () => string, string, number?]>([
    ["nobody listens", () => "http://127.0.0.1:1/", "the receiver could not be reached"],
    ["no such name", () => urlOf("unknown.example"), "the receiver could not be reached"],
    ["no answer", () => urlOf("127.0.0.1", "/silent"), "the receiver did not answer in time", 300],
    ["no HTTP", () => urlOf("127.0.0.1", "/rubbish"), "the receiver could not be reached"],
  ])("says in one sentence what was wrong, without a word of this machine: %s", async (_, url, message, limitMs) => {
    receiver.answer("/silent", "never");
    receiver.answer("/rubbish", (response) => void response.socket!.end("rubbish"));
    const unknown: Resolve = (name, _options, callback) =>
      setImmediate(callback, Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" }), []);
    const rules = lists(["127.0.0.1:1"], true);
    const { error } = await call(url(), rules, unknown, limitMs);
    expect(error).toMatchObject({ message, isFinal: false });
  });
});
