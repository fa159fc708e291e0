import { Client } from "@langchain/langgraph-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../support/ask.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/**
 * LangGraph's Studio is a page of the internet that calls a server on the user's own machine. The page itself cannot be had here:
 * what is tested are the calls of which LangGraph's documents and issues tell, as a browser sends them.
 */
const studio = "https://smith.langchain.com";
const ofPage = {
  origin: studio,
  "sec-fetch-site": "cross-site",
  "sec-fetch-mode": "cors",
  "x-auth-scheme": "langsmith",
};

let app: TestApp;
let client: Client;
let seen: { readonly method: string; readonly path: string; readonly headers: string[] }[];
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: undefined, corsOrigins: [studio] } });
  seen = [];
  client = new Client({
    apiUrl: app.app.url,
    apiKey: "lsv2_of_langsmith",
    defaultHeaders: ofPage,
    onRequest(url, init) {
      seen.push({ method: init.method ?? "GET", path: url.pathname, headers: Object.keys(init.headers ?? {}) });
      return init;
    },
  });
});
afterAll(() => app.close());

describe("a page of the internet whose origin is listed", () => {
  it("finds the server, its graphs, and starts, follows, stops and reads runs", async () => {
    const info = await ask(`${app.app.url}/info`, { headers: ofPage });
    expect([info.status, info.headers["access-control-allow-origin"]]).toEqual([200, studio]);
    const [assistant] = await client.assistants.search({ graphId: "agent" });
    const { assistant_id } = assistant!;
    expect(await client.assistants.getSchemas(assistant_id)).toMatchObject({ graph_id: "agent" });
    expect(await client.assistants.getGraph(assistant_id, { xray: true })).toMatchObject({ nodes: expect.any(Array) });
    const { thread_id } = await client.threads.create();
    const input = { messages: [{ role: "user", content: "hi" }], steps: 0, delay_ms: 0 };
    const events: string[] = [];
    for await (const { event } of client.runs.stream(thread_id, assistant_id, {
      input,
      streamMode: ["values", "debug"],
    })) {
      events.push(event);
    }
    expect(events).toEqual(expect.arrayContaining(["metadata", "values", "debug"]));
    expect((await client.threads.search()).map((thread) => thread.thread_id)).toContain(thread_id);
    expect(await client.threads.getState(thread_id)).toMatchObject({ values: { messages: expect.any(Array) } });
    expect((await client.threads.getHistory(thread_id)).length).toBeGreaterThan(1);
    const run = await client.runs.create(thread_id, "agent", { input: { ...input, steps: 1_000, delay_ms: 1_000 } });
    await client.runs.cancel(thread_id, run.run_id, true);
    expect(await client.runs.get(thread_id, run.run_id)).toMatchObject({ status: "interrupted" });
  });

  it("has each of these calls allowed beforehand, also into the user's own network", async () => {
    expect(seen.length).toBeGreaterThan(8);
    for (const { method, path, headers } of seen) {
      const requested = [...headers, ...Object.keys(ofPage), "x-api-key", "content-type"].join(",").toLowerCase();
      const answer = await ask(`${app.app.url}${path}`, {
        method: "OPTIONS",
        headers: {
          origin: studio,
          "access-control-request-method": method,
          "access-control-request-headers": requested,
          "access-control-request-private-network": "true",
        },
      });
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        "access-control-allow-origin": studio,
        "access-control-allow-methods": expect.stringContaining(method),
        "access-control-allow-headers": requested,
        "access-control-allow-private-network": "true",
      });
    }
  });
});

it("one whose origin is not listed is refused", async () => {
  const other = { ...ofPage, origin: "https://smith.langchain.com.evil.example" };
  expect((await ask(`${app.app.url}/info`, { headers: other })).status).toBe(403);
});
