import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { graceMs: 500 } });
});
afterAll(() => app.close());

const notFound = { detail: "No runs found to cancel." };
const notCancellable = {
  detail:
    "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs haven't been deleted or completed.",
};

const cancel = (kit: RestKit, runId: string, query = "") => kit.rest.post(`${kit.thread}/runs/${runId}/cancel${query}`);

/** A run in the middle of its first step. */
async function running(input: object = {}) {
  const kit = await createRestKit(app.app.url);
  const runId = await kit.start(input);
  await kit.gates.started("a");
  return { kit, runId };
}

describe("POST /threads/{thread_id}/runs/{run_id}/cancel", () => {
  it("answers an interrupt at once, and shows the run as running until it has really stopped", async () => {
    const { kit, runId } = await running({ manners: { a: "deaf" } });
    const answer = await cancel(kit, runId);
    expect([answer.status, answer.text, answer.headers.get("content-length")]).toEqual([202, "", "0"]);
    expect(await kit.get(runId)).toMatchObject({ status: "running", cancellation: { action: "interrupt" } });
    expect((await cancel(kit, runId)).status).toBe(202);
    expect((await kit.rest.get(`${kit.thread}/runs/${runId}?wait=true`)).body.status).toBe("interrupted");
    const beats = kit.gates.beats();
    expect(await kit.current()).toMatchObject({ status: "interrupted" });
    expect(kit.gates.beats()).toBe(beats);
    kit.gates.remove();
  });

  it("with wait answers when the run has stopped, names the run, and says how it was stopped", async () => {
    const { kit, runId } = await running();
    const answer = await cancel(kit, runId, "?wait=true");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("location")).toBe(`${kit.thread}/runs/${runId}/join`);
    expect(answer.headers.get("content-location")).toBe(`${kit.thread}/runs/${runId}`);
    expect(answer.body).toMatchObject({ __cancelled__: { action: "interrupt", outcome: "stopped" } });
    expect(await kit.status(runId)).toBe("interrupted");
    expect((await kit.state()).next).toEqual(["step"]);
    for (const query of ["", "?wait=true"]) {
      expect(await cancel(kit, runId, query)).toMatchObject({ status: 404, body: notCancellable });
    }
    kit.gates.remove();
  });

  it("keeps why, and shows it where runs are shown", async () => {
    const { kit, runId } = await running();
    const waiting = await kit.start({ steps: ["b"] });
    const plain = (id: string) => kit.get(id).then((run) => run.cancel_reason);
    expect(await plain(runId)).toBeNull();
    for (const query of ["?reason=token", "?reason=", "?reason=taken&action=rollback", "?reson=taken", "?wait=1&x=1"]) {
      const { status, body } = await cancel(kit, waiting, query);
      expect([query, status]).toEqual([query, 422]);
      expect(body.detail).toMatch(/^Query parameter /);
      expect((await kit.rest.post(`/runs/cancel${query}`, { thread_id: kit.threadId, run_ids: [runId] })).status).toBe(
        422,
      );
    }
    expect([await kit.status(waiting), await plain(waiting)]).toEqual(["pending", null]);
    expect((await cancel(kit, waiting, "?reason=taken&action=interrupt&wait=0")).status).toBe(202);
    expect(await plain(waiting)).toMatch(/^taken: ./);
    expect((await cancel(kit, runId, "?wait=true")).status).toBe(200);
    const select = "select=run_id&select=cancel_reason";
    expect((await kit.rest.get(`${kit.thread}/runs?${select}`)).body).toEqual([
      { run_id: waiting, cancel_reason: expect.stringMatching(/^taken: ./) },
      { run_id: runId, cancel_reason: "interrupt requested by client" },
    ]);
    kit.gates.remove();
  });

  it.each(["?action=rollback", "?action=rollback&wait=1"])(
    "a rollback leaves nothing of the run (%s)",
    async (query) => {
      const { kit, runId } = await running();
      const answer = await cancel(kit, runId, query);
      expect(answer.status).toBe(query.includes("wait") ? 200 : 202);
      expect(await kit.rest.get(`${kit.thread}/runs/${runId}`)).toMatchObject({
        status: 404,
        body: { detail: "Not Found" },
      });
      expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
      expect(await kit.history()).toEqual([]);
      expect(await kit.current()).toMatchObject({ status: "idle", values: null });
      expect(await cancel(kit, runId)).toMatchObject({ status: 404, body: notFound });
      kit.gates.remove();
    },
  );

  it("holds a rollback of a deaf run no longer than the grace allows, and answers 202 all the same", async () => {
    const { kit, runId } = await running({ manners: { a: "deaf" } });
    expect((await cancel(kit, runId, "?action=rollback")).status).toBe(202);
    expect((await kit.rest.get(`${kit.thread}/runs/${runId}`)).status).toBe(404);
    kit.gates.remove();
  });

  it.each(["interrupt", "rollback"])("a pending run is over at once (%s)", async (action) => {
    const { kit, runId: busy } = await running();
    const pending = await kit.start({ steps: ["x"] });
    expect((await cancel(kit, pending, `?action=${action}&wait=yes`)).body).toMatchObject({
      __cancelled__: { action, outcome: "never_started" },
    });
    const after = await kit.rest.get(`${kit.thread}/runs/${pending}`);
    expect(action === "rollback" ? after.status : after.body.status).toBe(action === "rollback" ? 404 : "interrupted");
    expect(await kit.status(busy)).toBe("running");
    expect((await kit.current()).status).toBe("busy");
    await cancel(kit, busy, "?wait=true");
    kit.gates.remove();
  });

  it("tells a finished run, an unknown one, and one of another thread, in LangGraph's words", async () => {
    const { kit, runId } = await running();
    kit.gates.open();
    await kit.rest.get(`${kit.thread}/runs/${runId}/join`);
    const other = await createRestKit(app.app.url);
    for (const query of ["", "?action=rollback", "?wait=true"]) {
      expect(await cancel(kit, runId, query)).toMatchObject({ status: 404, body: notCancellable });
      expect(await cancel(kit, randomUUID(), query)).toMatchObject({ status: 404, body: notFound });
      expect(await cancel(other, runId, query)).toMatchObject({ status: 404, body: notFound });
    }
    expect(await kit.status(runId)).toBe("success");
    kit.gates.remove();
    other.gates.remove();
  });

  it.each(["action=rolback", "action=", "wait=on", "wait=", "action=interrupt&action=rollback", "wait=true&wait=0"])(
    "refuses %s, and the run goes on",
    async (query) => {
      const { kit, runId } = await running();
      const answer = await cancel(kit, runId, `?${query}`);
      expect(answer.status).toBe(422);
      expect(answer.body.detail).toContain(query.split("=")[0]);
      expect(await kit.get(runId)).not.toHaveProperty("cancellation");
      expect(await kit.status(runId)).toBe("running");
      await cancel(kit, runId, "?wait=true");
      kit.gates.remove();
    },
  );

  it("refuses ids that are none", async () => {
    const rest = createRestClient(app.app.url);
    expect(await rest.post(`/threads/nonsense/runs/${randomUUID()}/cancel`)).toMatchObject({
      status: 422,
      body: { detail: "Invalid thread ID: must be a UUID" },
    });
    expect(await rest.post(`/threads/${randomUUID()}/runs/..%2F..%2Fok/cancel`)).toMatchObject({
      status: 422,
      body: { detail: "Invalid run ID: must be a UUID" },
    });
  });
});

describe("POST /runs/cancel", () => {
  const many = (kit: RestKit, body: unknown, query = "") => kit.rest.post(`/runs/cancel${query}`, body);

  it("stops runs by their ids, for real, whatever else is named beside them", async () => {
    const { kit, runId } = await running();
    const waiting = await kit.start({ steps: ["x"] });
    const untouched = await kit.start({ steps: ["y"] });
    const ids = [runId, waiting, runId, randomUUID()];
    const answer = await many(kit, { thread_id: kit.threadId, run_ids: ids });
    expect([answer.status, answer.text]).toEqual([204, ""]);
    expect([await kit.status(runId), await kit.status(waiting)]).toEqual(["interrupted", "interrupted"]);
    expect(kit.gates.isDone("a")).toBe(false);
    await kit.gates.started("y");
    expect(kit.gates.hasStarted("x")).toBe(false);
    await cancel(kit, untouched, "?wait=true");
    expect(await many(kit, { thread_id: kit.threadId, run_ids: ids })).toMatchObject({
      status: 404,
      body: notCancellable,
    });
    kit.gates.remove();
  });

  it("rolls back by ids, and the runs are gone when it answers", async () => {
    const { kit, runId } = await running();
    const waiting = await kit.start({ steps: ["x"] });
    expect((await many(kit, { thread_id: kit.threadId, run_ids: [runId, waiting] }, "?action=rollback")).status).toBe(
      204,
    );
    expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
    expect((await kit.current()).status).toBe("idle");
    kit.gates.remove();
  });

  it("stops runs by status, of all threads or of one", async () => {
    const one = await running();
    const two = await running();
    const pending = await two.kit.start({ steps: ["x"] });
    expect((await many(one.kit, { status: "running", thread_id: one.kit.threadId })).status).toBe(204);
    expect([await one.kit.status(one.runId), await two.kit.status(two.runId)]).toEqual(["interrupted", "running"]);
    expect((await many(one.kit, { status: "pending" })).status).toBe(204);
    expect([await two.kit.status(pending), await two.kit.status(two.runId)]).toEqual(["interrupted", "running"]);
    expect((await many(one.kit, { status: "all" })).status).toBe(204);
    expect(await two.kit.status(two.runId)).toBe("interrupted");
    for (const kit of [one.kit, two.kit]) {
      expect(await many(kit, { status: "all" })).toMatchObject({ status: 404, body: notFound });
      kit.gates.remove();
    }
  });

  it.each([
    ["nothing", {}],
    ["a thread without runs", { thread_id: randomUUID() }],
    ["runs without a thread", { run_ids: [randomUUID()] }],
    ["both kinds", { status: "all", thread_id: randomUUID(), run_ids: [randomUUID()] }],
    ["an unknown status", { status: "Running" }],
    ["a finished status", { status: "success" }],
    ["an empty status", { status: "" }],
    ["a text for a list", { thread_id: randomUUID(), run_ids: "x" }],
    ["an id that is none", { thread_id: randomUUID(), run_ids: ["x"] }],
    ["a thread that is none", { thread_id: "x", run_ids: [randomUUID()] }],
    ["a list for the body", [{ status: "all" }]],
    ["broken JSON", '{"status": "all"'],
    ["no body", undefined],
  ])("refuses %s, and stops nothing", async (_, body) => {
    const { kit, runId } = await running();
    const answer = await many(kit, body);
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toEqual(expect.any(String));
    expect(await kit.get(runId)).not.toHaveProperty("cancellation");
    await cancel(kit, runId, "?wait=true");
    kit.gates.remove();
  });

  it.each([
    ["no ids", { thread_id: randomUUID(), run_ids: [] }],
    ["unknown ids", { thread_id: randomUUID(), run_ids: [randomUUID()] }],
  ])("finds nothing with %s", async (_, body) => {
    expect(await createRestClient(app.app.url).post("/runs/cancel", body)).toMatchObject({
      status: 404,
      body: notFound,
    });
  });
});
