import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit, type RestClient, type RestKit } from "../support/rest-kit.ts";
import { stateGraphs } from "../support/state-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let rest: RestClient;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: stateGraphs } });
  rest = createRestClient(app.app.url);
});
afterAll(() => app.close());

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);

describe("threads", () => {
  it("are created, read, changed and removed", async () => {
    const threadId = randomUUID();
    const created = await rest.post("/threads", { thread_id: threadId, metadata: { a: 1, run_id: "taken out" } });
    expect(created.status).toBe(200);
    expect(created.body).toEqual({
      thread_id: threadId,
      created_at: time,
      updated_at: time,
      state_updated_at: time,
      metadata: { a: 1 },
      status: "idle",
      config: {},
      values: null,
      interrupts: {},
      error: null,
    });
    expect((await rest.get(`/threads/${threadId.toUpperCase()}`)).body).toEqual(created.body);
    const patched = await rest.patch(`/threads/${threadId}`, { metadata: { b: null } });
    expect(patched.body.metadata).toEqual({ a: 1, b: null });
    const minimal = await rest.patch(
      `/threads/${threadId}`,
      { metadata: { a: 2 } },
      { headers: { prefer: "return=minimal" } },
    );
    expect([minimal.status, minimal.text]).toEqual([204, ""]);
    expect((await rest.get(`/threads/${threadId}`)).body.metadata).toEqual({ a: 2, b: null });
    const deleted = await rest.delete(`/threads/${threadId}`);
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    const gone = { status: 404, body: { detail: `Thread with ID ${threadId} not found` } };
    expect(await rest.get(`/threads/${threadId}`)).toMatchObject(gone);
    expect(await rest.delete(`/threads/${threadId}`)).toMatchObject(gone);
    expect(await rest.patch(`/threads/${threadId}`, {})).toMatchObject(gone);
    expect(await rest.post(`/threads/${threadId}/copy`)).toMatchObject(gone);
    expect(await rest.get(`/threads/${threadId}/runs`)).toMatchObject(gone);
    expect(await rest.get(`/threads/${threadId}/state`)).toMatchObject(gone);
    expect(await rest.get(`/threads/${threadId}/history`)).toMatchObject(gone);
  });

  it("that exist are refused, or answered as they are", async () => {
    const { body } = await rest.post("/threads", { metadata: { first: true } });
    const again = { thread_id: body.thread_id, metadata: { second: true } };
    expect(await rest.post("/threads", again)).toMatchObject({
      status: 409,
      body: { detail: `Thread with ID ${body.thread_id} already exists` },
    });
    const kept = await rest.post("/threads", { ...again, if_exists: "do_nothing" });
    expect([kept.status, kept.body]).toEqual([200, body]);
  });

  it("are kept for a time, in minutes", async () => {
    for (const ttl of [5, { ttl: 5, strategy: "delete" }]) {
      expect((await rest.post("/threads", { ttl })).body.ttl).toEqual({ strategy: "delete", ttl_minutes: 5 });
    }
    expect((await rest.post("/threads", { ttl: { ttl: 5, strategy: "keep_latest" } })).status).toBe(422);
    expect((await rest.post("/threads", { ttl: -1 })).status).toBe(422);
  });

  it("are found by what is known of them, in pages, and counted", async () => {
    const mark = randomUUID();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift((await rest.post("/threads", { metadata: { mark, i } })).body.thread_id);
    const search = async (more: object) => {
      const { body, headers } = await rest.post("/threads/search", { metadata: { mark }, ...more });
      const found = body.map(({ thread_id: id }: { thread_id: string }) => id);
      return [found, headers.get("x-pagination-total"), headers.get("x-pagination-next")];
    };
    expect(await search({})).toEqual([ids, "5", null]);
    expect(await search({ limit: 2 })).toEqual([ids.slice(0, 2), "3", "2"]);
    expect(await search({ limit: 2, offset: 2 })).toEqual([ids.slice(2, 4), "5", "4"]);
    expect(await search({ limit: 2, offset: 4 })).toEqual([ids.slice(4), "5", null]);
    expect(await search({ sort_by: "created_at", sort_order: "asc" })).toEqual([ids.toReversed(), "5", null]);
    expect(await search({ ids: [ids[3]] })).toEqual([[ids[3]], "1", null]);
    expect(await search({ status: "busy" })).toEqual([[], "0", null]);
    expect((await rest.post("/threads/count", { metadata: { mark } })).body).toBe(5);
    const some = await rest.post("/threads/search", { metadata: { mark }, select: ["thread_id"], limit: 1 });
    expect(some.body).toEqual([{ thread_id: ids[0] }]);
    expect((await rest.post("/threads/prune", { thread_ids: [...ids, randomUUID()] })).body).toEqual({
      pruned_count: 5,
    });
    expect((await rest.post("/threads/count", { metadata: { mark } })).body).toBe(0);
  });

  it("are found by the graph and the assistant that last ran on them", async () => {
    const mark = randomUUID();
    const [one, other] = [await createRestKit(app.app.url), await createRestKit(app.app.url, "ask")];
    for (const kit of [one, other]) {
      kit.gates.open();
      await rest.patch(kit.thread, { metadata: { mark } });
      await rest.post(`${kit.thread}/runs/wait`, kit.body({}));
    }
    const { metadata } = await one.current();
    expect(metadata).toEqual({ mark, graph_id: "gated", assistant_id: expect.any(String) });
    const search = async (more: object) =>
      (await rest.post("/threads/search", { metadata: { mark, ...more }, select: ["thread_id"] })).body;
    const found = (kit: RestKit) => [{ thread_id: kit.threadId }];
    expect(await search({ graph_id: "gated" })).toEqual(found(one));
    expect(await search({ graph_id: "ask" })).toEqual(found(other));
    expect(await search({ assistant_id: metadata.assistant_id })).toEqual(found(one));
    expect(await search({ graph_id: "ask", assistant_id: metadata.assistant_id })).toEqual([]);
    expect((await rest.post("/threads/count", { metadata: { mark, graph_id: "gated" } })).body).toBe(1);
    expect((await rest.post("/threads/search", { metadata: { graph_id: 1 } })).status).toBe(422);
    // A thread without a graph has none to be found by, and a run that is rolled back gives it none.
    const kit = await createRestKit(app.app.url);
    await rest.patch(kit.thread, { metadata: { mark } });
    const runId = await kit.start({});
    await kit.gates.started("a");
    await rest.post(`${kit.thread}/runs/${runId}/cancel?action=rollback&wait=true`);
    expect((await kit.current()).metadata).toEqual({ mark });
    expect(await search({ graph_id: "gated" })).toEqual(found(one));
    for (const { gates } of [one, other, kit]) gates.remove();
  });

  it("are for the graph that their metadata names, until a run has given them a state", async () => {
    const mark = randomUUID();
    const create = async (graph: unknown): Promise<string> =>
      (await rest.post("/threads", { metadata: { mark, graph_id: graph } })).body.thread_id;
    const search = async (graph: string) =>
      (await rest.post("/threads/search", { metadata: { mark, graph_id: graph }, select: ["thread_id"] })).body;
    const [one, other] = [await create("ask"), await create("nope")];
    expect(await search("ask")).toEqual([{ thread_id: one }]);
    expect((await rest.post("/threads/count", { metadata: { mark, graph_id: "ask" } })).body).toBe(1);
    // A name that is no graph's is a name, until something is to be done with it; what is no name is free data.
    expect(await search("nope")).toEqual([{ thread_id: other }]);
    const values = { log: ["before"] };
    expect(await rest.post(`/threads/${other}/state`, { values, as_node: "__start__" })).toMatchObject({
      status: 422,
      body: { detail: expect.stringContaining('"nope"') },
    });
    await rest.patch(`/threads/${other}`, { metadata: { graph_id: "ask" } });
    expect(await search("nope")).toEqual([]);
    expect(await search("ask")).toHaveLength(2);
    await rest.patch(`/threads/${other}`, { metadata: { graph_id: 7 } });
    expect(await search("ask")).toEqual([{ thread_id: one }]);
    const unnamed = await rest.post(`/threads/${other}/state`, { values, as_node: "__start__" });
    expect([unnamed.status, unnamed.body.detail]).toEqual([422, expect.stringContaining("assistant_id")]);

    expect((await rest.post(`/threads/${one}/state`, { values, as_node: "__start__" })).status).toBe(200);
    const state = (await rest.get(`/threads/${one}/state`)).body;
    expect([state.values.log, state.next]).toEqual([["before"], ["first"]]);
    const asked = await rest.post(`/threads/${one}/runs/wait`, { assistant_id: "ask", input: {} });
    expect(asked.body).toMatchObject({ log: ["before"], __interrupt__: [expect.anything()] });
    // From then on its state says whose it is.
    const stays = (await rest.patch(`/threads/${one}`, { metadata: { graph_id: "gated" } })).body.metadata;
    expect(stays).toMatchObject({ mark, graph_id: "ask" });
    expect(await search("ask")).toEqual([{ thread_id: one }]);
    expect(await search("gated")).toEqual([]);
  });

  it("that a run works on are busy, and are stopped before they are removed", async () => {
    const kit = await createRestKit(app.app.url);
    await kit.start({});
    await kit.gates.started("a");
    expect(await kit.current()).toMatchObject({ status: "busy" });
    expect((await rest.delete(kit.thread)).status).toBe(204);
    const beats = kit.gates.beats();
    expect((await rest.get(kit.thread)).status).toBe(404);
    expect(kit.gates.beats()).toBe(beats);
    kit.gates.remove();
  });
});

describe("states", () => {
  it("are those of LangGraph's server, of a thread without one as well", async () => {
    const kit = await createRestKit(app.app.url);
    expect(await kit.state()).toEqual({
      values: {},
      next: [],
      tasks: [],
      metadata: null,
      created_at: null,
      checkpoint: null,
      parent_checkpoint: null,
      interrupts: [],
      checkpoint_id: null,
      parent_checkpoint_id: null,
    });
    kit.gates.open("a");
    const runId = await kit.start({ steps: ["a", "b"] });
    await kit.gates.started("b");
    await kit.rest.post(`${kit.thread}/runs/${runId}/cancel?wait=true`);
    const state = await kit.state();
    const { checkpoint } = state;
    expect(checkpoint).toEqual({
      checkpoint_id: state.checkpoint_id,
      thread_id: kit.threadId,
      checkpoint_ns: "",
    });
    expect(state).toMatchObject({
      values: { log: ["a"] },
      next: ["step"],
      created_at: expect.any(String),
      interrupts: [],
      tasks: [{ id: expect.any(String), name: "step", error: null, interrupts: [], result: null, state: null }],
      metadata: { source: "loop", step: 2, run_id: runId },
      parent_checkpoint_id: expect.any(String),
    });
    expect((await rest.get(`${kit.thread}/state/${state.checkpoint_id}`)).body).toEqual(state);
    expect((await rest.post(`${kit.thread}/state/checkpoint`, { checkpoint })).body).toEqual(state);
    const history = await kit.history();
    expect(history[0]).toEqual(state);
    expect(history.map(({ metadata }: { metadata: { step: number } }) => metadata.step)).toEqual([2, 1, 0, -1]);
    const before = await rest.get(`${kit.thread}/history?before=${state.checkpoint_id}&limit=1`);
    expect(before.body).toEqual([history[1]]);
    for (const body of [
      { before: state.checkpoint_id, limit: 1 },
      { before: { configurable: { checkpoint_id: state.checkpoint_id } }, limit: 1 },
      { metadata: { step: 1 } },
    ]) {
      expect((await rest.post(`${kit.thread}/history`, body)).body).toEqual([history[1]]);
    }
    kit.gates.remove();
  });

  it("can be edited and forked, not while a run is live", async () => {
    const kit = await createRestKit(app.app.url);
    const state = `${kit.thread}/state`;
    expect((await rest.post(state, { values: { steps: ["x"] } })).status).toBeGreaterThanOrEqual(400);
    const runId = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    expect(await rest.post(state, { values: { log: ["me"] } })).toMatchObject({
      status: 409,
      body: { detail: `Thread ${kit.threadId} has in-flight runs: ${runId}` },
    });
    kit.gates.open();
    await rest.get(`${kit.thread}/runs/${runId}/join`);
    const edited = await rest.post(state, { values: { log: ["me"], steps: ["a", "b"] }, as_node: "step" });
    const { checkpoint_id: id } = edited.body;
    const made = { checkpoint_id: id, thread_id: kit.threadId, checkpoint_ns: "" };
    expect(edited.body).toEqual({ checkpoint: made, configurable: made, checkpoint_id: id });
    expect(await kit.state()).toMatchObject({ checkpoint_id: id, values: { log: ["a", "me"] }, next: ["step"] });
    expect(await kit.current()).toMatchObject({ status: "interrupted" });
    const first = (await kit.history()).at(-1).checkpoint_id;
    expect((await rest.post(state, { values: { log: ["fork"] }, checkpoint_id: first, as_node: "begin" })).status).toBe(
      200,
    );
    expect((await kit.state()).values.log).toEqual(["fork"]);
    expect((await rest.post(state, { values: {}, as_node: "nonode" })).body.detail).toContain("nonode");
    kit.gates.remove();
  });

  it("at a checkpoint that there is not are an error", async () => {
    const kit = await createRestKit(app.app.url);
    const missing = { checkpoint_id: randomUUID() };
    for (const answer of [
      await rest.get(`${kit.thread}/state/${missing.checkpoint_id}`),
      await rest.post(`${kit.thread}/state/checkpoint`, { checkpoint: missing }),
      await rest.post(`${kit.thread}/runs`, kit.body(null, missing)),
    ]) {
      expect([answer.status, answer.body.detail]).toEqual([404, expect.stringContaining(missing.checkpoint_id)]);
    }
    expect((await rest.get(`${kit.thread}/state/nonsense`)).status).toBe(422);
    kit.gates.remove();
  });

  it("go with copies, runs do not", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    await rest.post(`${kit.thread}/runs/wait`, kit.body({}));
    const copy = (await rest.post(`${kit.thread}/copy`)).body;
    expect(copy).toMatchObject({ status: "idle", values: { log: ["a", "b", "c"] } });
    expect((await rest.get(`/threads/${copy.thread_id}/runs`)).body).toEqual([]);
    const steps = (states: { metadata: { step: number } }[]) => states.map(({ metadata }) => metadata.step);
    const history = (await rest.get(`/threads/${copy.thread_id}/history?limit=100`)).body;
    expect(steps(history)).toEqual(steps(await kit.history()));
    kit.gates.remove();
  });

  it("of subgraphs come with theirs", async () => {
    const kit = await createRestKit(app.app.url, "tree");
    kit.gates.open();
    await rest.post(`${kit.thread}/runs/wait`, kit.body({ asks: true }));
    const [plain] = (await rest.get(`${kit.thread}/state`)).body.tasks;
    expect(plain).toMatchObject({
      name: "sub",
      state: null,
      checkpoint: { checkpoint_ns: expect.stringMatching(/^sub:/) },
    });
    const [task] = (await rest.get(`${kit.thread}/state?subgraphs=true`)).body.tasks;
    const question = { id: expect.any(String), value: { question: "inside" } };
    expect(task.state).toMatchObject({ next: ["question"], interrupts: [question] });
    // What is asked below is found by the task of the thread's own graph, in every answer that shows the thread.
    const byTask = { [task.id]: [question] };
    const [found] = (await rest.post("/threads/search", { ids: [kit.threadId], select: ["interrupts"] })).body;
    expect([(await rest.get(kit.thread)).body.interrupts, found]).toEqual([byTask, { interrupts: byTask }]);
    const inside = (await rest.post(`${kit.thread}/state/checkpoint`, { checkpoint: plain.checkpoint })).body;
    expect(inside).toEqual(task.state);
    expect((await rest.post(`${kit.thread}/state/checkpoint`, { checkpoint: inside.checkpoint })).body).toEqual(inside);
    kit.gates.remove();
  });
});
