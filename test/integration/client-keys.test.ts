import { Code, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApiKey } from "../../src/access/api-keys.ts";
import { createReinsClient, type ReinsClientOptions } from "../../src/client/index.ts";
import { createReinsWebClient } from "../../src/client/web.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let key: string;
beforeAll(async () => {
  app = await startTestApp({ config: { apiKeys: true } });
  const wanted = { owner: "acme", scopes: ["read"], name: "", createdBy: "" } as const;
  const made = makeApiKey(wanted, new Date());
  await (await openStores(app.db)).apiKeys.insert(made.record);
  key = made.key;
});
afterAll(() => app.close());

const ways: Omit<ReinsClientOptions, "baseUrl">[] = [
  { protocol: "grpc" },
  { protocol: "connect" },
  { protocol: "connect", httpVersion: "1.1", useBinaryFormat: false },
  { protocol: "grpc-web" },
  { protocol: "grpc-web", httpVersion: "1.1" },
];

describe("a client with a key", () => {
  it.each(ways)("of Node is known, and one without is not: %o", async (way) => {
    const own = createReinsClient({ baseUrl: app.app.url, apiKey: key, ...way });
    expect(await own.threads.countThreads({})).toMatchObject({ count: 0n });
    const none = createReinsClient({ baseUrl: app.app.url, ...way });
    await expect(none.threads.countThreads({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  it.each(["connect", "grpc-web"] as const)("of the web is known: %s", async (protocol) => {
    const own = createReinsWebClient({ baseUrl: app.app.url, apiKey: key, protocol });
    expect(await own.threads.countThreads({})).toMatchObject({ count: 0n });
  });

  it("is asked for it before each call, so that it may be another one", async () => {
    const keys = ["reins_none", key];
    const { threads } = createReinsClient({ baseUrl: app.app.url, apiKey: async () => keys.shift()! });
    await expect(threads.countThreads({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(await threads.countThreads({})).toMatchObject({ count: 0n });
  });

  it("does not show it to interceptors, which might log it", async () => {
    const seen: (string | null)[] = [];
    const look: Interceptor = (next) => (request) => {
      seen.push(request.header.get("authorization"));
      return next(request);
    };
    const { threads } = createReinsClient({ baseUrl: app.app.url, apiKey: key, interceptors: [look] });
    await threads.countThreads({});
    expect(seen).toEqual([null]);
  });
});
