import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestClient } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let rest: RestClient;
beforeAll(async () => {
  app = await startTestApp();
  rest = createRestClient(app.app.url);
});
afterAll(() => app.close());

describe("assistants", () => {
  it("of the graphs themselves are there", async () => {
    const found = await rest.post("/assistants/search", { graph_id: "gated" });
    expect(found.headers.get("x-pagination-total")).toBe("1");
    const [own] = found.body;
    expect(own).toEqual({
      ...{ assistant_id: expect.any(String), graph_id: "gated", name: "gated", description: null, version: 1 },
      ...{ config: {}, context: {}, metadata: { created_by: "system" } },
      ...{ created_at: expect.any(String), updated_at: expect.any(String) },
    });
    expect((await rest.get(`/assistants/${own.assistant_id}`)).body).toEqual(own);
    expect((await rest.get("/assistants/gated")).body).toEqual(own);
    expect((await rest.delete(`/assistants/${own.assistant_id}`)).status).toBe(403);
  });

  it("are configured, changed, found, used and removed", async () => {
    const mark = randomUUID();
    const created = await rest.post("/assistants", {
      ...{ graph_id: "gated", name: "mine", metadata: { mark }, config: { tags: ["x"], recursion_limit: 7 } },
    });
    const { assistant_id: id } = created.body;
    expect(created.body).toMatchObject({ name: "mine", config: { tags: ["x"], recursion_limit: 7 }, version: 1 });
    expect(await rest.post("/assistants", { assistant_id: id, graph_id: "gated" })).toMatchObject({ status: 409 });
    const again = await rest.post("/assistants", { assistant_id: id, graph_id: "gated", if_exists: "do_nothing" });
    expect(again.body).toEqual(created.body);
    const patched = (await rest.patch(`/assistants/${id}`, { context: { a: 1 }, metadata: { more: true } })).body;
    expect(patched).toMatchObject({ version: 2, context: { a: 1 }, metadata: { mark, more: true } });
    expect((await rest.post("/assistants/search", { metadata: { mark } })).body).toEqual([patched]);
    expect((await rest.post("/assistants/count", { metadata: { mark } })).body).toBe(1);
    const some = await rest.post("/assistants/search", { metadata: { mark }, select: ["assistant_id"] });
    expect(some.body).toEqual([{ assistant_id: id }]);
    expect((await rest.post(`/assistants/${id}/versions`, {})).body).toEqual([patched]);
    expect((await rest.post(`/assistants/${id}/latest`, { version: 2 })).body).toEqual(patched);
    expect((await rest.post(`/assistants/${id}/latest`, { version: 1 })).status).toBe(404);

    const kit = await createRestKit(app.app.url);
    const run = await kit.rest.post(`${kit.thread}/runs`, kit.body({}, { assistant_id: id }));
    expect(run.body).toMatchObject({ assistant_id: id, metadata: { graph_id: "gated" } });
    kit.gates.open();
    await kit.rest.get(`${kit.thread}/runs/${run.body.run_id}/join`);
    expect((await rest.delete(`/assistants/${id}`)).status).toBe(204);
    expect(await rest.get(`/assistants/${id}`)).toMatchObject({
      ...{ status: 404, body: { detail: `Assistant ${id} not found` } },
    });
    kit.gates.remove();
  });

  it("leave what the server decides out of their configuration", async () => {
    const configurable = { thread_id: "x", __pregel_resuming: true, tone: "warm" };
    const created = await rest.post("/assistants", { graph_id: "gated", config: { configurable } });
    expect(created).toMatchObject({ status: 200, body: { config: { configurable: { tone: "warm" } } } });
    expect(created.body.config.configurable).toEqual({ tone: "warm" });
  });

  it("are drawn, and tell their shapes", async () => {
    const { nodes, edges } = (await rest.get("/assistants/gated/graph")).body;
    expect(nodes.map(({ id }: { id: string }) => id)).toEqual(["__start__", "begin", "step", "__end__"]);
    expect(edges).toContainEqual({ source: "begin", target: "step" });
    expect(edges).toContainEqual({ source: "step", target: "__end__", conditional: true });
    expect((await rest.get("/assistants/gated/graph?xray=1")).status).toBe(200);
    expect((await rest.get("/assistants/gated/graph?xray=zzz")).status).toBe(422);
    const schemas = (await rest.get("/assistants/gated/schemas")).body;
    expect(schemas.graph_id).toBe("gated");
    expect(Object.keys(schemas)).toEqual([
      ...["graph_id", "input_schema", "output_schema", "state_schema", "config_schema", "context_schema"],
    ]);
  });

  it("and graphs that there are not are told in LangGraph's words", async () => {
    const kit = await createRestKit(app.app.url);
    const unknown = await kit.rest.post(`${kit.thread}/runs`, kit.body({}, { assistant_id: "nope" }));
    expect(unknown.status).toBe(422);
    expect(unknown.body.detail).toMatch(
      /^Invalid assistant: 'nope'\. Must be either:\n- A valid assistant UUID, or\n- One of the registered graphs: gated, .*emitter/,
    );
    expect(await kit.rest.post(`${kit.thread}/runs`, kit.body({}, { assistant_id: randomUUID() }))).toMatchObject({
      ...{ status: 404, body: { detail: "Thread or assistant not found." } },
    });
    expect((await rest.post("/assistants", { graph_id: "nope" })).status).toBe(404);
    kit.gates.remove();
  });
});

describe("the server itself", () => {
  it("says that it is there, what it is, what it does and what it has to do", async () => {
    expect((await rest.get("/ok")).body).toEqual({ ok: true });
    expect((await rest.get("/info")).body).toMatchObject({
      server: "reins",
      flags: { assistants: true, crons: false },
    });
    const kit = await createRestKit(app.app.url);
    const runId = await kit.start({});
    await kit.gates.started("a");
    const metrics = (await rest.get("/metrics?format=json")).body;
    expect(metrics).toEqual({ queue: { n_pending: 0, n_running: 1 }, workers: { max: 16, active: 1, available: 15 } });
    expect((await rest.get("/metrics")).text).toContain("\nreins_runs_executing 1\n");
    await kit.rest.post(`${kit.thread}/runs/${runId}/cancel?wait=true`);
    const { paths } = (await rest.get("/openapi.json")).body;
    expect(paths["/threads/{thread_id}/runs"].post.requestBody.content["application/json"].schema.required).toEqual([
      "assistant_id",
    ]);
    const page = await rest.get("/docs");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.text).toContain("/threads/:thread_id/runs/:run_id/cancel");
    kit.gates.remove();
  });

  it("offers no crons, and says so", async () => {
    for (const answer of [
      await rest.post("/runs/crons", { schedule: "* * * * *", assistant_id: "gated" }),
      await rest.get(`/runs/crons/${randomUUID()}`),
      await rest.post("/runs/crons/search", {}),
    ]) {
      expect([answer.status, answer.body.detail]).toEqual([501, expect.stringContaining("Crons are not offered")]);
    }
  });
});
