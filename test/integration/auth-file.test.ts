import { randomUUID } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Client, type StreamMode } from "@langchain/langgraph-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists, LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { createReinsClient, fromPayload, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { allMethods, askMethod, requestAbout, type Theirs, tellsNothing } from "../support/foreign-requests.ts";
import { createRestClient } from "../support/rest-kit.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { authGraphs, startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let hers: RunKit;
let [alice, bob]: ReinsClient[] = [];
let things: Theirs;

const as =
  (user: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", `Bearer ${user}-token`);
    return next(request);
  };
const clientOf = (user: string) => createReinsClient({ baseUrl: app.app.url, interceptors: [as(user)] });
/** LangGraph's own. */
const sdkOf = (user: string) =>
  new Client({
    apiUrl: app.app.url,
    apiKey: null,
    defaultHeaders: { authorization: `Bearer ${user}-token` },
    callerOptions: { maxRetries: 0 },
  });
const headersOf = (user: string) => ({ headers: { authorization: `Bearer ${user}-token` } });

beforeAll(async () => {
  app = await startTestApp({ config: { configFile: authGraphs } });
  [alice, bob] = [clientOf("alice"), clientOf("bob")];
  const { assistant } = await alice!.assistants.createAssistant({ graphId: "gated", metadata: { of: "alice" } });
  hers = await createRunKit({ client: alice! });
  const over = await hers.start({ steps: ["a"] });
  await hers.gates.started("a");
  hers.gates.open("a");
  await hers.join(over.runId);
  const live = await hers.start({ steps: ["b"] });
  await hers.gates.started("b");
  const { threadId } = hers;
  things = { threadId, live: live.runId, over: over.runId, assistantId: assistant!.assistantId };
});
afterAll(async () => {
  hers.gates.remove();
  await app.close();
});

/** What is hers is as it was. */
async function isUntouched(): Promise<void> {
  expect((await hers.get(things.live)).status).toBe(RunStatus.RUNNING);
  expect((await hers.get(things.over)).status).toBe(RunStatus.SUCCESS);
  expect((await hers.thread()).metadata).toEqual({ owner: "alice" });
  const { assistant } = await alice!.assistants.getAssistant({ assistantId: things.assistantId });
  expect(assistant!.metadata).toEqual({ of: "alice", owner: "alice" });
}

describe("what a filter hides looks like what does not exist", () => {
  it.each(allMethods)("over gRPC: %s", async (name, method: DescMethod) => {
    const request = requestAbout(things, "alice", method);
    const asked = askMethod(app.app.url, as("bob"), method, request);
    const answer = await asked.catch((error: unknown) => ConnectError.from(error));
    if (answer instanceof ConnectError) {
      expect(answer).toMatchObject({ code: Code.NotFound });
      const unknown = { ...things, threadId: randomUUID(), live: randomUUID(), assistantId: randomUUID() };
      const about = requestAbout(unknown, "alice", method);
      const other = await askMethod(app.app.url, as("bob"), method, about).catch((error: unknown) => error);
      // To the letter, but for the ids.
      expect(withoutIds(answer)).toBe(withoutIds(ConnectError.from(other)));
    } else {
      const said = JSON.stringify(answer, (_, one) => String(one));
      expect(tellsNothing[name]?.(things, answer as never), said).toBe(true);
    }
    await isUntouched();
  });

  const withoutIds = ({ message }: ConnectError) => message.replaceAll(/[0-9a-f-]{36}/g, "…");

  it("with LangGraph's SDK: her own calls work, his are 404", async () => {
    const [her, his] = [sdkOf("alice"), sdkOf("bob")];
    const made = await her.threads.create({ metadata: { topic: "tea", owner: "bob" } });
    expect(made.metadata).toEqual({ topic: "tea", owner: "alice" });
    const id = made.thread_id;
    const { run_id: run } = await her.runs.create(id, "mirror", { input: {}, metadata: { of: "alice" } });
    await her.runs.join(id, run);
    const input = { input: {} };
    const calls: Record<string, (sdk: Client) => Promise<unknown>> = {
      get: (sdk) => sdk.threads.get(id),
      update: (sdk) => sdk.threads.update(id, { metadata: { topic: "coffee" } }),
      copy: (sdk) => sdk.threads.copy(id),
      state: (sdk) => sdk.threads.getState(id),
      "state at a checkpoint": async (sdk) => {
        const { checkpoint } = await her.threads.getState(id);
        return sdk.threads.getState(id, checkpoint.checkpoint_id!);
      },
      "update of the state": (sdk) => sdk.threads.updateState(id, { values: { seen: {} }, asNode: "look" }),
      history: (sdk) => sdk.threads.getHistory(id),
      "list of runs": (sdk) => sdk.runs.list(id),
      "get of a run": (sdk) => sdk.runs.get(id, run),
      join: (sdk) => sdk.runs.join(id, run),
      "join of the stream": async (sdk) => {
        for await (const { event } of sdk.runs.joinStream(id, run)) expect(event).not.toBe("error");
      },
      create: async (sdk) => sdk.runs.join(id, (await sdk.runs.create(id, "mirror", input)).run_id),
      "wait, on a new thread if there is none": (sdk) =>
        sdk.runs.wait(id, "mirror", { ...input, ifNotExists: "create" }),
      wait: (sdk) => sdk.runs.wait(id, "mirror", input),
      stream: async (sdk) => {
        for await (const { event } of sdk.runs.stream(id, "mirror", input)) expect(event).not.toBe("error");
      },
      "delete of a run": (sdk) => sdk.runs.delete(id, run),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect(call(his), name).rejects.toMatchObject({ status: 404 });
      await expect(call(her), name).resolves.not.toBeNull();
    }
    // A run that is over cannot be cancelled by anybody, so that only hers is known to exist.
    await expect(his.runs.cancel(things.threadId, things.live)).rejects.toMatchObject({ status: 404 });
    await expect(his.threads.delete(id)).rejects.toMatchObject({ status: 404 });
    await her.threads.delete(id);
    await isUntouched();
  });

  it("searches, counts and bulk calls reach what is one's own", async () => {
    const [her, his] = [sdkOf("alice"), sdkOf("bob")];
    const tag = randomUUID();
    for (let n = 0; n < 3; n++) {
      await her.threads.create({ metadata: { tag, of: "alice" } });
      await his.threads.create({ metadata: { tag, of: "bob" } });
    }
    for (const [sdk, name] of [
      [her, "alice"],
      [his, "bob"],
    ] as const) {
      const found = await sdk.threads.search({ metadata: { tag }, limit: 2 });
      const rest = await sdk.threads.search({ metadata: { tag }, limit: 2, offset: 2 });
      expect([...found, ...rest].map(({ metadata }) => metadata)).toEqual(
        Array(3).fill({ tag, of: name, owner: name }),
      );
      expect(await sdk.threads.count({ metadata: { tag } })).toBe(3);
    }
    // Whoever asks for another's gets one's own: the handler has the last word.
    expect(await his.threads.count({ metadata: { tag, owner: "alice" } })).toBe(3);

    const listed = async (client: ReinsClient) => (await client.runs.listRuns({ pageSize: 1 })).runs;
    expect((await listed(alice!)).length).toBe(1);
    expect(await listed(bob!)).toEqual([]);
    const all = { target: { case: "filter", value: { status: LiveRunStatus.ALL } } } as const;
    expect((await bob!.runs.cancelRuns({ ...all, wait: true })).results).toEqual([]);
    const preview = await alice!.runs.cancelRuns({ ...all, validateOnly: true });
    expect(preview.results.map(({ runId }) => runId)).toContain(things.live);
    await isUntouched();
  });

  it("thread streams and commands as well", async () => {
    const rest = createRestClient(app.app.url);
    const thread = `/threads/${things.threadId}`;
    expect((await rest.get(`${thread}/stream`, headersOf("bob"))).status).toBe(404);
    const channels = { channels: ["values"] };
    expect((await rest.post(`${thread}/stream/events`, channels, headersOf("bob"))).status).toBe(404);
    for (const method of ["run.start", "state.get", "state.listCheckpoints"]) {
      const command = { id: 1, method, params: { assistant_id: "mirror", input: {} } };
      const { body } = await rest.post(`${thread}/commands`, command, headersOf("bob"));
      expect(body).toMatchObject({ type: "error", error: "no_such_run" });
    }
    const { response, leave } = await rest.stream(`${thread}/stream`, undefined, headersOf("alice"));
    expect(response.status).toBe(200);
    leave();
    await isUntouched();
  });

  it("a run is no parent, no former request, and its thread no start of another's", async () => {
    const { threadId } = (await bob!.threads.createThread({})).thread!;
    const requestId = randomUUID();
    const spec = { assistantId: "mirror", input: toPayload({}) };
    const made = await alice!.runs.createRun({ requestId, spec });
    await expect(bob!.runs.createRun({ requestId, spec })).rejects.toMatchObject({ code: Code.AlreadyExists });
    expect((await alice!.runs.createRun({ requestId, spec })).run!.runId).toBe(made.run!.runId);
    const parent = { threadId: things.threadId, runId: things.live };
    await expect(bob!.runs.createRun({ threadId, spec, parent })).rejects.toMatchObject({ code: Code.NotFound });
    await expect(
      bob!.runs.createRun({ threadId, spec: { ...spec, assistantId: things.assistantId } }),
    ).rejects.toMatchObject({ code: Code.NotFound });
    // A thread that a run has made is its creator's.
    const wanted = { threadId: randomUUID(), ifNotExists: IfNotExists.CREATE, spec };
    await alice!.runs.waitRun({ create: wanted });
    expect((await alice!.threads.getThread(wanted)).thread!.metadata).toEqual({ owner: "alice" });
    await expect(bob!.threads.getThread(wanted)).rejects.toMatchObject({ code: Code.NotFound });
    await expect(bob!.runs.createRun(wanted)).rejects.toMatchObject({ code: Code.NotFound });
  });

  it("long-term memory is what the store's handler makes of it", async () => {
    const [her, his] = [sdkOf("alice"), sdkOf("bob")];
    await her.store.putItem(["mine", "notes"], "one", { text: "tea" });
    expect(await her.store.getItem(["alice", "notes"], "one")).toMatchObject({ value: { text: "tea" } });
    expect(await his.store.getItem(["mine", "notes"], "one")).toBeNull();
    const refused = { status: 403 };
    await expect(his.store.getItem(["alice", "notes"], "one")).rejects.toMatchObject(refused);
    await expect(his.store.putItem(["alice", "notes"], "one", {})).rejects.toMatchObject(refused);
    await expect(his.store.deleteItem(["alice", "notes"], "one")).rejects.toMatchObject(refused);
    await expect(his.store.searchItems(["alice"])).rejects.toMatchObject(refused);
    await expect(his.store.searchItems([])).rejects.toMatchObject(refused);
    await expect(his.store.listNamespaces({ prefix: ["alice"] })).rejects.toMatchObject(refused);
    expect((await her.store.searchItems(["mine"])).items.map(({ namespace }) => namespace)).toEqual([
      ["alice", "notes"],
    ]);
    expect((await her.store.listNamespaces({ prefix: ["mine"] })).namespaces).toEqual([["alice", "notes"]]);
    await her.store.deleteItem(["mine", "notes"], "one");
    expect(await her.store.getItem(["mine", "notes"], "one")).toBeNull();
  });
});

describe("the user reaches the graph", () => {
  const pretended = {
    langgraph_auth_user: { identity: "root" },
    langgraph_auth_user_id: "root",
    langgraph_auth_permissions: ["all"],
    colour: "blue",
  };
  const user = { identity: "alice", permissions: ["threads:write"], org: "acme", display_name: "ALICE" };
  const told = {
    langgraph_auth_user: { ...user, is_authenticated: true },
    langgraph_auth_user_id: "alice",
    langgraph_auth_permissions: ["threads:write"],
    colour: "blue",
  };

  it("over REST, as the file has told it, and never as the caller says", async () => {
    const her = sdkOf("alice");
    const values = await her.runs.wait(null, "mirror", { input: {}, config: { configurable: pretended } });
    const user = { ...told.langgraph_auth_user, asked: "POST /runs/wait" };
    expect(values).toMatchObject({ seen: { configurable: { ...told, langgraph_auth_user: user } } });
  });

  it("over gRPC, and from an assistant", async () => {
    const text = JSON.stringify(pretended).replace("langgraph", "l\\u0061nggraph");
    const configurable = { encoding: { case: "json", value: new TextEncoder().encode(text) } } as const;
    const { assistant } = await alice!.assistants.createAssistant({ graphId: "mirror", config: { configurable } });
    expect(JSON.stringify(fromPayload(assistant!.config!.configurable))).toBe('{"colour":"blue"}');
    const spec = { assistantId: assistant!.assistantId, input: toPayload({}), config: { configurable } };
    const { values, run } = await alice!.runs.waitRun({ create: { spec }, includeInput: true });
    expect(fromPayload(values)).toMatchObject({ seen: { configurable: told } });
    // What the file says of a user is for graphs, and not for whoever reads the run.
    expect(fromPayload(run!.spec!.config!.configurable)).toEqual({ colour: "blue" });
  });

  it("and nobody who reads the thread", async () => {
    const her = sdkOf("alice");
    const { thread_id: id } = await her.threads.create();
    const streamed: unknown[] = [];
    const streamMode: StreamMode[] = ["values", "updates", "debug", "checkpoints", "tasks", "messages-tuple", "events"];
    const wanted = { input: {}, streamMode };
    for await (const part of her.runs.stream(id, "environment", wanted)) streamed.push(part);
    const [run] = await her.runs.list(id);
    const shown = [
      streamed,
      run,
      await her.threads.getState(id),
      await her.threads.getHistory(id),
      await her.threads.get(id),
    ];
    expect(streamed.length).toBeGreaterThan(5);
    for (const one of shown) expect(JSON.stringify(one)).not.toContain("acme");
  });
});

describe("what the file refuses", () => {
  const rest = () => createRestClient(app.app.url);
  const search = (token: string) => rest().post("/threads/search", {}, headersOf(token));

  it("an HTTPException of authenticate is answered with its status, message and headers", async () => {
    const unknown = await search("mallory");
    expect([unknown.status, unknown.body]).toEqual([401, { detail: "Invalid token" }]);
    expect(unknown.headers.get("www-authenticate")).toBe('Bearer realm="tests"');
    const polite = await search("polite");
    expect([polite.status, polite.body, polite.headers.get("retry-after")]).toEqual([
      429,
      { detail: "Come back later" },
      "7",
    ]);
    await expect(clientOf("mallory").threads.countThreads({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(clientOf("polite").threads.countThreads({})).rejects.toMatchObject({ code: Code.ResourceExhausted });
    const studio = { headers: { "x-auth-scheme": "langsmith", "x-api-key": "lsv2_x" } };
    expect((await rest().post("/threads/search", {}, studio)).status).toBe(401);
  });

  it.each(["throws", "nobody", "empty", "odd"])("anything else is 500 and says nothing: %s", async (token) => {
    const answer = await search(token);
    expect([answer.status, answer.body]).toEqual([500, { detail: "The deployment's access control failed." }]);
    await expect(clientOf(token).threads.countThreads({})).rejects.toMatchObject({ code: Code.Internal });
  });

  it.each([
    ["refuse", 402, Code.PermissionDenied, "Pay first"],
    ["say no", 403, Code.PermissionDenied, "Forbidden"],
    ["throw", 500, Code.Internal, "The deployment's access control failed."],
    ["misspell", 500, Code.Internal, "The deployment's access control failed."],
    ["forget", 500, Code.Internal, "The deployment's access control failed."],
  ] as const)("a handler's word counts as well: %s", async (please, status, code, detail) => {
    const answer = await rest().post("/threads", { metadata: { please } }, headersOf("alice"));
    expect([answer.status, answer.body]).toEqual([status, { detail }]);
    if (please === "refuse") expect(answer.headers.get("x-price")).toBe("3");
    await expect(alice!.threads.createThread({ metadata: { please } })).rejects.toMatchObject({ code });
    const spec = { assistantId: "mirror", metadata: { please } };
    await expect(alice!.runs.createRun({ spec })).rejects.toMatchObject({ code });
  });

  it("what is not answered in time is 503", async () => {
    const [late, handler] = await Promise.all([
      search("late"),
      rest().post("/threads", { metadata: { please: "wait" } }, headersOf("alice")),
    ]);
    expect([late.status, handler.status]).toEqual([503, 503]);
    expect((await search("alice")).status).toBe(200);
  });

  it("what an operator may is for no user", async () => {
    expect((await rest().get("/metrics", headersOf("alice"))).status).toBe(403);
    expect((await rest().get("/ok")).status).toBe(200);
  });

  it.each(["exit", "busy"])("while its process is away nobody passes, and another one comes: %s", async (token) => {
    const lost = await search(token);
    expect(lost.status).toBe(503);
    await expect
      .poll(async () => (await search("alice")).status, { timeout: 30_000, interval: 50 })
      .toSatisfy((status: number) => {
        expect([200, 503]).toContain(status);
        return status === 200;
      });
    expect(await bob!.runs.listRuns({})).toMatchObject({ runs: [] });
    await isUntouched();
  });
});

it("a cancel by whoever may is one", async () => {
  const { outcome } = await alice!.runs.cancelRun({ threadId: things.threadId, runId: things.live, wait: true });
  expect(outcome).toBe(CancelOutcome.STOPPED);
});
