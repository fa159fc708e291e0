import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

describe("defects of other servers' HTTP answers", () => {
  it("S20: the addresses that a stateless run's answers name lead to it", async () => {
    const kit = await createRestKit(app.app.url);
    const { rest } = kit;
    const created = await rest.post("/runs", kit.body({ steps: ["a"] }));
    const at = created.headers.get("content-location")!;
    expect((await rest.get(at)).body.run_id).toBe(created.body.run_id);
    const stream = await rest.stream("/runs/stream", kit.body({ steps: ["b"] }));
    const wait = await rest.send("POST", "/runs/wait", kit.body({ steps: ["c"] }));
    for (const { headers } of [stream.response, wait]) {
      const run = (await rest.get(headers.get("content-location")!)).body;
      expect(["pending", "running"]).toContain(run.status);
      const again = await fetch(`${rest.url}${headers.get("location")}`);
      expect(again.status).toBe(200);
      await again.body!.cancel();
    }
    kit.gates.open();
    for (const { headers } of [stream.response, wait]) {
      // Gone with its thread by now, or still there: it comes to its end.
      await rest.get(`${headers.get("content-location")}/join`);
    }
    await rest.get(`${at}/join`);
    await wait.text();
    kit.gates.remove();
  });

  it("S21: a history has ten states where nothing is said, and a negative limit is refused", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const steps = Array.from({ length: 12 }, (_, i) => `s${i}`);
    await kit.rest.post(`${kit.thread}/runs/wait`, kit.body({ steps }));
    expect((await kit.rest.get(`${kit.thread}/history`)).body).toHaveLength(10);
    expect((await kit.rest.post(`${kit.thread}/history`, {})).body).toHaveLength(10);
    expect((await kit.rest.get(`${kit.thread}/runs?limit=-1`)).status).toBe(422);
    kit.gates.remove();
  });
});
