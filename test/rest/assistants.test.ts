import { createHash, randomUUID } from "node:crypto";
import { MongoNetworkError } from "mongodb";
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
      assistant_id: expect.any(String),
      graph_id: "gated",
      name: "gated",
      description: null,
      version: 1,
      config: {},
      context: {},
      metadata: { created_by: "system" },
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect((await rest.get(`/assistants/${own.assistant_id}`)).body).toEqual(own);
    expect((await rest.get("/assistants/gated")).body).toEqual(own);
    expect((await rest.delete(`/assistants/${own.assistant_id}`)).status).toBe(403);
  });

  it("are configured, changed, found, used and removed", async () => {
    const mark = randomUUID();
    const created = await rest.post("/assistants", {
      graph_id: "gated",
      name: "mine",
      metadata: { mark },
      config: { tags: ["x"], recursion_limit: 7 },
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
    // What its configuration says of the metadata stands below that of the run's configuration, and the run's own.
    const config = { metadata: { origin: "assistant", level: 1, over: "assistant" } };
    expect((await rest.patch(`/assistants/${id}`, { config })).body.config).toEqual(config);
    const more = { assistant_id: id, config: { metadata: { level: 2, over: "config" } }, metadata: { over: "run" } };
    const told = await kit.rest.post(`${kit.thread}/runs`, kit.body({}, more));
    expect(told.body.kwargs.config.metadata).toMatchObject({ level: 2, over: "run" });
    await kit.rest.get(`${kit.thread}/runs/${told.body.run_id}/join`);
    expect((await kit.state()).metadata).toMatchObject({ origin: "assistant", level: 2, over: "run" });
    expect((await rest.patch(`/assistants/${id}`, { config: { metadata: "x" } })).status).toBe(422);
    expect((await rest.delete(`/assistants/${id}`)).status).toBe(204);
    expect(await rest.get(`/assistants/${id}`)).toMatchObject({
      status: 404,
      body: { detail: `Assistant ${id} not found` },
    });
    kit.gates.remove();
  });

  it("are answered in the order that is asked for, page by page", async () => {
    const mark = randomUUID();
    const metadata = { mark };
    const ids: string[] = [];
    for (const [name, graph] of [
      ["b", "gated"],
      ["c", "emitter"],
      ["a", "gated"],
      ["b", "emitter"],
    ] as const) {
      ids.push((await rest.post("/assistants", { graph_id: graph, name, metadata })).body.assistant_id);
    }
    await rest.patch(`/assistants/${ids[1]}`, { description: "last changed" });
    const search = async (by: object) => {
      const pages = [];
      for (const offset of [0, 3]) {
        const answer = await rest.post("/assistants/search", { metadata, limit: 3, offset, ...by });
        expect(answer.headers.get("x-pagination-next")).toBe(offset === 0 ? "3" : null);
        pages.push(...answer.body);
      }
      return pages;
    };
    const order = async (by: object) =>
      (await search(by)).map((one: { assistant_id: string }) => ids.indexOf(one.assistant_id));
    const byId = [0, 1, 2, 3].sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
    const tied = (a: number, b: number) => byId.filter((one) => one === a || one === b);
    expect(await order({ sort_by: "assistant_id", sort_order: "asc" })).toEqual(byId);
    expect(await order({ sort_by: "name", sort_order: "asc" })).toEqual([2, ...tied(0, 3), 1]);
    expect(await order({ sort_by: "name" })).toEqual([1, ...tied(0, 3), 2]);
    expect(await order({ sort_by: "graph_id", sort_order: "desc" })).toEqual([...tied(0, 2), ...tied(1, 3)]);
    const times = (found: Record<string, string>[], field: string) => found.map((one) => one[field]!);
    const oldest = times(await search({ sort_order: "asc" }), "created_at");
    expect(oldest).toEqual(oldest.toSorted());
    expect(times(await search({ sort_by: "created_at" }), "created_at")).toEqual(oldest.toReversed());
    expect((await order({ sort_by: "updated_at", sort_order: "asc" })).at(-1)).toBe(1);
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
      status: 404,
      body: { detail: "Thread or assistant not found." },
    });
    expect((await rest.post("/assistants", { graph_id: "nope" })).status).toBe(404);
    kit.gates.remove();
  });
});

describe("the server itself", () => {
  it("says that it is there, what it is, what it does and what it has to do", async () => {
    expect((await rest.get("/ok")).body).toEqual({ ok: true });
    expect((await rest.get("/")).body).toEqual({ ok: true });
    const first = await fetch(app.app.url, { headers: { accept: "text/html,*/*;q=0.8" } });
    expect([first.status, first.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const welcome = await first.text();
    expect(welcome).toMatch(/href="docs".*href="openapi\.json".*<code>gated<\/code>.*<dt>Data<.*<dt>Stop</s);
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
    for (const [{ headers }, text] of [
      [first, welcome],
      [page, page.text],
    ] as const) {
      const styles = [...text.matchAll(/<style>(.*?)<\/style>/gs)].map(([, style]) => style!);
      const hashes = styles.map((style) => `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`);
      expect(headers.get("content-security-policy")?.split("; ")).toEqual([
        ...["default-src 'none'", ...hashes, "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"],
      ]);
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(text).not.toMatch(/\s(?:style|on\w+)=/);
    }
    kit.gates.remove();
  });

  it("says that its database is away, when it is asked for that", async () => {
    let isAway = false;
    const alone = await startTestApp({
      decorate(parts) {
        const probe = () => (isAway ? Promise.reject(new MongoNetworkError("away")) : parts.probe());
        return { ...parts, probe };
      },
    });
    const status = async (path: string) => (await createRestClient(alone.app.url).get(path)).status;
    for (const query of ["", "?check_db=0", "?check_db=1", "?check_db=true"]) {
      expect([query, await status(`/ok${query}`), await status(`/${query}`)]).toEqual([query, 200, 200]);
    }
    isAway = true;
    for (const [query, expected] of [
      ["", 200],
      ["?check_db=false", 200],
      ["?check_db=1", 503],
    ] as const) {
      expect([query, await status(`/ok${query}`), await status(`/${query}`)]).toEqual([query, expected, expected]);
    }
    expect([await status("/readyz"), await status("/livez")]).toEqual([503, 200]);
    await alone.close();
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
