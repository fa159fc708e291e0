import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApiKey } from "../../src/access/api-keys.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

async function shown({ app: { url } }: TestApp, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers: { accept: "text/html,*/*;q=0.8", ...headers } });
  return [response.status, response.headers.get("content-type"), await response.text()];
}

describe("the welcome page", () => {
  it("is shown to a browser as long as there is no access control", async () => {
    expect(await shown(app)).toEqual([200, "text/html; charset=utf-8", expect.stringContaining("<code>gated</code>")]);
  });

  it("is shown to nobody with access control: graphs, paths and the process are not everybody's to know", async () => {
    const guarded = await app.start({ apiKeys: true });
    const { key, record } = makeApiKey({ owner: "acme", scopes: ["admin"], name: "", createdBy: "" }, new Date());
    await (await openStores(app.db)).apiKeys.insert(record);
    const likeOk = [200, "application/json", '{"ok":true}'];
    expect(await shown(guarded)).toEqual(likeOk);
    expect(await shown(guarded, { "x-api-key": key })).toEqual(likeOk);
    expect((await fetch(`${guarded.app.url}/info`)).status).toBe(401);
    await guarded.app.stop();
  });
});
