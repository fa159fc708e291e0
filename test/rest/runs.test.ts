import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRestClient, createRestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);

describe("POST /threads/{thread_id}/runs", () => {
  it("answers the run in LangGraph's shape", async () => {
    const kit = await createRestKit(app.app.url);
    const answer = await kit.rest.post(
      `${kit.thread}/runs`,
      kit.body(
        { steps: ["a"] },
        { metadata: { who: "me" }, config: { tags: ["t"], configurable: { x: 1 } }, stream_mode: "updates" },
      ),
    );
    const { run_id: id, assistant_id: assistant } = answer.body;
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-location")).toBe(`${kit.thread}/runs/${id}`);
    const metadata = { who: "me", graph_id: "gated", assistant_id: assistant };
    expect(answer.body).toEqual({
      run_id: id,
      thread_id: kit.threadId,
      assistant_id: assistant,
      metadata,
      status: expect.stringMatching(/pending|running/),
      created_at: time,
      updated_at: time,
      multitask_strategy: "enqueue",
      attempt: expect.any(Number),
      cancel_reason: null,
      kwargs: {
        input: { dir: kit.gates.dir, steps: ["a"] },
        command: null,
        context: {},
        stream_mode: ["updates"],
        interrupt_before: null,
        interrupt_after: null,
        config: {
          tags: ["t"],
          configurable: { x: 1, run_id: id, thread_id: kit.threadId, graph_id: "gated", assistant_id: assistant },
          metadata,
        },
        webhook: null,
        feedback_keys: null,
        temporary: false,
        subgraphs: false,
        resumable: true,
        checkpoint_during: true,
        durability: "sync",
      },
    });
    kit.gates.open();
    const ended = await kit.rest.get(`${kit.thread}/runs/${id}?wait=true`);
    expect(ended.body).toMatchObject({ run_id: id, status: "success" });
    expect(ended.body).toEqual(await kit.get(id));
    kit.gates.remove();
  });

  it("takes out of a configuration what the server decides, so that clients can send on their own", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const places = {
      thread_id: randomUUID(),
      run_id: randomUUID(),
      checkpoint_id: randomUUID(),
      checkpoint_ns: "a:b",
      checkpoint_map: { "": randomUUID() },
      __pregel_resuming: true,
      __pregel_task_id: "x",
    };
    const more = { config: { tags: ["t"], recursion_limit: 7, configurable: { ...places, x: 1 } } };
    const id = await kit.start({}, more);
    const { config } = (await kit.get(id)).kwargs;
    const shown = { run_id: id, thread_id: kit.threadId, graph_id: "gated", assistant_id: expect.any(String) };
    expect(config).toMatchObject({ tags: ["t"], recursion_limit: 7, configurable: { x: 1 } });
    expect(config.configurable).toEqual({ x: 1, ...shown });

    const again = await kit.start({}, { config });
    expect((await kit.get(again)).kwargs.config.configurable).toEqual({ x: 1, ...shown, run_id: again });
    // With nothing of the caller's in it, it is no second place for settings.
    const plain = (await kit.get(await kit.start({}, { config: { configurable: places }, context: { y: 2 } }))).kwargs;
    const third = await kit.start({}, { config: plain.config, context: plain.context });
    expect((await kit.rest.get(`${kit.thread}/runs/${third}?wait=true`)).body).toMatchObject({ status: "success" });
    kit.gates.remove();
  });

  it("creates the thread when it may, and not otherwise", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const threadId = randomUUID();
    const path = `/threads/${threadId}/runs`;
    expect(await kit.rest.post(path, kit.body({}))).toMatchObject({
      status: 404,
      body: { detail: "Thread or assistant not found." },
    });
    const created = await kit.rest.post(path, kit.body({}, { if_not_exists: "create" }));
    expect(created.status).toBe(200);
    await kit.finish(created.body.run_id, threadId);
  });

  it("goes on after an interrupt with input null, and from a checkpoint", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open("a");
    const runId = await kit.start({});
    await kit.gates.started("b");
    expect((await kit.rest.post(`${kit.thread}/runs/${runId}/cancel?wait=true`)).status).toBe(200);
    kit.gates.open();
    const resumed = await kit.rest.post(`${kit.thread}/runs/wait`, kit.body(null));
    expect(resumed.body).toMatchObject({ log: ["a", "b", "c"] });
    const afterA = (await kit.history()).find((state: { values: { log: string[] } }) => state.values.log?.length === 1);
    const again = await kit.rest.post(
      `${kit.thread}/runs/wait`,
      kit.body(null, { checkpoint_id: afterA.checkpoint.checkpoint_id }),
    );
    expect(again.body).toMatchObject({ log: ["a", "b", "c"] });
    expect(kit.gates.steps()).toEqual(["a", "b", "b", "c", "b", "c"]);
    // As a state's own configuration names it.
    const config = { configurable: { checkpoint_id: afterA.checkpoint.checkpoint_id, checkpoint_ns: "" } };
    await kit.rest.post(`${kit.thread}/runs/wait`, kit.body(null, { config }));
    expect(kit.gates.steps()).toEqual(["a", "b", "b", "c", "b", "c", "b", "c"]);
    kit.gates.remove();
  });

  it("goes where a command sends it, with an input of its own", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    await kit.rest.post(`${kit.thread}/runs/wait`, kit.body({ steps: ["a"] }));
    const input = { dir: kit.gates.dir, steps: ["sent"], manners: {}, done: 0 };
    const command = { goto: [{ node: "step", input }] };
    const sent = await kit.rest.post(`${kit.thread}/runs/wait`, kit.body(null, { command }));
    expect(sent.body).toMatchObject({ log: ["a", "sent"] });
    const [run] = (await kit.rest.get(`${kit.thread}/runs`)).body;
    expect(run.kwargs.command).toEqual(command);
    kit.gates.remove();
  });

  it("is stopped for real in the mode that executes it by its callbacks", async () => {
    const kit = await createRestKit(app.app.url);
    const runId = await kit.start({ manners: { a: "polite" } }, { stream_mode: ["events", "values"] });
    await kit.gates.started("a");
    const stopped = await kit.rest.post(`${kit.thread}/runs/${runId}/cancel?wait=true`);
    expect(stopped.body).toMatchObject({ __cancelled__: { outcome: "stopped" } });
    expect(kit.gates.isDone("a")).toBe(false);
    expect(await kit.state()).toMatchObject({ next: ["step"], metadata: { run_id: runId } });
    kit.gates.open();
    expect((await kit.rest.post(`${kit.thread}/runs/wait`, kit.body(null))).body).toMatchObject({
      log: ["a", "b", "c"],
    });
    kit.gates.remove();
  });

  it("keeps the order of a thread, and the strategies of double-texting", async () => {
    const kit = await createRestKit(app.app.url);
    const first = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const rejected = await kit.rest.post(`${kit.thread}/runs`, kit.body({}, { multitask_strategy: "reject" }));
    expect(rejected).toMatchObject({
      status: 409,
      body: {
        detail: "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.",
      },
    });
    const second = await kit.start({ steps: ["b"] }, { multitask_strategy: "interrupt" });
    await kit.gates.started("b");
    expect(await kit.get(first)).toMatchObject({ status: "interrupted", cancellation: { requested_by: "multitask" } });
    const third = await kit.start({ steps: ["c"] }, { multitask_strategy: "rollback" });
    await kit.gates.started("c");
    expect((await kit.rest.get(`${kit.thread}/runs/${second}`)).status).toBe(404);
    kit.gates.open();
    expect((await kit.rest.get(`${kit.thread}/runs/${third}/join`)).body).toMatchObject({ log: ["c"] });
    kit.gates.remove();
  });

  it("answers a repeat of a request with an id of its own, and a run with a chosen id, only once", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const runId = randomUUID();
    const wanted = kit.body({}, { request_id: randomUUID(), run_id: runId });
    const [one, two] = [
      await kit.rest.post(`${kit.thread}/runs`, wanted),
      await kit.rest.post(`${kit.thread}/runs`, wanted),
    ];
    expect([one.body.run_id, two.body.run_id]).toEqual([runId, runId]);
    expect((await kit.rest.post(`${kit.thread}/runs`, kit.body({}, { run_id: runId }))).status).toBe(409);
    await kit.finish(runId);
  });
});

describe("waiting", () => {
  it("answers the values, the error, or the questions, each in LangGraph's shape", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const done = await kit.rest.post(`${kit.thread}/runs/wait`, kit.body({}));
    expect(done.body).toMatchObject({ log: ["a", "b", "c"] });
    const [{ run_id: id }] = (await kit.rest.get(`${kit.thread}/runs`)).body;
    expect(done.headers.get("location")).toBe(`${kit.thread}/runs/${id}/join`);
    expect((await kit.rest.get(`${kit.thread}/runs/${id}/join`)).body).toEqual(done.body);

    const faulty = await createRestKit(app.app.url, "faulty");
    const error = { error: "RangeError", message: "this step always fails" };
    const failed = await faulty.rest.post(`${faulty.thread}/runs/wait`, faulty.body({ fault: "throw" }));
    expect([failed.status, failed.body]).toEqual([200, { __error__: error }]);
    expect(await faulty.current()).toMatchObject({ status: "error", error });

    const asking = await createRestKit(app.app.url, "ask");
    asking.gates.open();
    const asked = await asking.rest.post(`${asking.thread}/runs/wait`, asking.body({}));
    const question = { id: expect.any(String), value: { question: "first" } };
    expect(asked.body).toMatchObject({ dir: asking.gates.dir, __interrupt__: [question] });
    const [task] = (await asking.rest.get(`${asking.thread}/state`)).body.tasks;
    expect(task.interrupts).toEqual(asked.body.__interrupt__);
    expect(await asking.current()).toMatchObject({ status: "interrupted", interrupts: { [task.id]: [question] } });
    const answered = await asking.rest.post(
      `${asking.thread}/runs/wait`,
      asking.body(null, { command: { resume: "blue" } }),
    );
    expect(answered.body).toMatchObject({
      answers: ["first=blue"],
      __interrupt__: [{ value: { question: "second" } }],
    });
    for (const { gates } of [kit, faulty, asking]) gates.remove();
  });

  it("of a cancelled run answers the values at its stop, of a rolled back one those before it, and says so", async () => {
    const kit = await createRestKit(app.app.url);
    for (const [action, log] of [
      ["interrupt", ["a"]],
      ["rollback", ["a"]],
    ] as const) {
      kit.gates.open("a");
      const waiting = kit.rest.post(`${kit.thread}/runs/wait`, kit.body({ steps: ["a", action] }));
      await kit.gates.started(action);
      const [{ run_id: id }] = (await kit.rest.get(`${kit.thread}/runs?status=running`)).body;
      const joining = kit.rest.get(`${kit.thread}/runs/${id}/join`);
      await kit.rest.post(`${kit.thread}/runs/${id}/cancel?action=${action}`);
      for (const { status, body } of await Promise.all([waiting, joining])) {
        expect([status, body.log]).toEqual([200, log]);
        expect(body.__cancelled__).toEqual({ action, reason: "" });
      }
    }
    kit.gates.remove();
  });

  it("shows that it goes on with white space before the JSON", async () => {
    const slow = await startTestApp({ config: { restBeatMs: 50 } });
    const kit = await createRestKit(slow.app.url);
    const response = await kit.rest.send("POST", `${kit.thread}/runs/wait`, kit.body({ steps: ["a"] }));
    expect(response.status).toBe(200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect([(await reader.read()).value, (await reader.read()).value]).toEqual(["\n", "\n"]);
    kit.gates.open();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    expect(JSON.parse(text)).toMatchObject({ log: ["a"] });
    kit.gates.remove();
    await slow.close();
  });

  it("for what is not there is 404 at once", async () => {
    const kit = await createRestKit(app.app.url);
    for (const path of ["/join", "/stream", "", "?wait=true"]) {
      const answer = await kit.rest.get(`${kit.thread}/runs/${randomUUID()}${path}`);
      expect([answer.status, answer.body]).toEqual([404, { detail: "Not Found" }]);
    }
    kit.gates.remove();
  });
});

describe("runs that there are", () => {
  it("are listed newest first, in pages, by status, and with some of their fields", async () => {
    const kit = await createRestKit(app.app.url);
    const runs: string[] = [];
    for (const step of ["a", "b", "c"]) runs.unshift(await kit.start({ steps: [step] }));
    const ids = async (query: string) =>
      (await kit.rest.get(`${kit.thread}/runs${query}`)).body.map(({ run_id: id }: { run_id: string }) => id);
    await kit.gates.started("a");
    expect(await ids("")).toEqual(runs);
    expect(await ids("?limit=1&offset=1")).toEqual([runs[1]]);
    expect(await ids("?limit=0")).toEqual([]);
    expect(await ids("?offset=7")).toEqual([]);
    expect(await ids("?status=running")).toEqual([runs[2]]);
    const some = await kit.rest.get(`${kit.thread}/runs?select=run_id&select=status&limit=1`);
    expect(some.body).toEqual([{ run_id: runs[0], status: "pending" }]);
    kit.gates.open();
    await kit.rest.get(`${kit.thread}/runs/${runs[0]}/join`);
    expect(await ids("?status=success")).toEqual(runs);
    kit.gates.remove();
  });

  it("can be deleted, also while they run", async () => {
    const kit = await createRestKit(app.app.url);
    const runId = await kit.start({});
    await kit.gates.started("a");
    expect((await kit.rest.delete(`${kit.thread}/runs/${runId}`)).status).toBe(204);
    const beats = kit.gates.beats();
    expect((await kit.rest.get(`${kit.thread}/runs/${runId}`)).status).toBe(404);
    expect(await kit.rest.delete(`${kit.thread}/runs/${runId}`)).toMatchObject({
      status: 404,
      body: { detail: "Run not found" },
    });
    expect(await kit.current()).toMatchObject({ status: "idle" });
    expect(kit.gates.beats()).toBe(beats);
    kit.gates.remove();
  });
});

describe("stateless runs", () => {
  it("wait, run in the background and in batches, and leave no thread behind", async () => {
    const kit = await createRestKit(app.app.url);
    const { rest } = kit;
    kit.gates.open();
    expect((await rest.post("/runs/wait", kit.body({}))).body).toMatchObject({ log: ["a", "b", "c"] });
    const one = await rest.post("/runs", kit.body({}));
    expect(one.body.kwargs.temporary).toBe(true);
    expect(one.headers.get("content-location")).toBe(`/threads/${one.body.thread_id}/runs/${one.body.run_id}`);
    const kept = await rest.post("/runs", kit.body({}, { on_completion: "keep" }));
    const joined = await rest.get(`/threads/${kept.body.thread_id}/runs/${kept.body.run_id}/join`);
    expect(joined.body).toMatchObject({ log: ["a", "b", "c"] });
    const batch = await rest.post("/runs/batch", [kit.body({}), kit.body({})]);
    expect(batch.body).toHaveLength(2);
    for (const { thread_id: thread, run_id: run } of [one.body, ...batch.body]) {
      await rest.get(`/threads/${thread}/runs/${run}/join`);
      await expect.poll(async () => (await rest.get(`/threads/${thread}`)).status, { timeout: 20_000 }).toBe(404);
    }
    expect((await rest.get(`/threads/${kept.body.thread_id}`)).status).toBe(200);
    expect((await rest.post("/runs/batch", [kit.body({}), kit.body({}, { assistant_id: "nope" })])).status).toBe(422);
    kit.gates.remove();
  });

  it("cannot resume anything", async () => {
    const answer = await createRestClient(app.app.url).post("/runs/wait", {
      assistant_id: "ask",
      command: { resume: 1 },
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { detail: "You must provide a thread_id when resuming." },
    });
  });
});
