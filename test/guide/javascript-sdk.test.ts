import { randomUUID } from "node:crypto";
import { Client } from "@langchain/langgraph-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type GuideServer, startGuideServer } from "../support/guide-server.ts";
import { startCuttingProxy } from "../support/net-cutting-proxy.ts";

interface Values {
  readonly messages: { readonly type: string; readonly content: string }[];
  readonly steps: number;
}

/** What LangGraph's JavaScript SDK offers beside the guide. */
describe("LangGraph's JavaScript SDK", () => {
  let server: GuideServer;
  let client: Client;
  beforeAll(async () => {
    server = await startGuideServer();
    client = new Client({ apiUrl: server.url });
  });
  afterAll(() => server?.stop());
  afterEach(() => server.cancelAll());

  const ask = (text = "Is it so?", { steps = 1, delay_ms = 5 } = {}) => ({
    messages: [{ role: "user", content: text }],
    steps,
    delay_ms,
  });
  const slow = () => ask("Take your time", { steps: 3, delay_ms: 60 });
  const createThread = async () => (await client.threads.create()).thread_id;
  const contents = (values: unknown) => (values as Values).messages.map(({ content }) => content);
  const failure = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: Error & { status?: number }) => ({ status: error.status, message: error.message }),
    );
  async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const parts: T[] = [];
    for await (const part of stream) parts.push(part);
    return parts;
  }

  it("has errors with their status and the server's sentence", async () => {
    const thread = await createThread();
    const nowhere = randomUUID();
    expect(await failure(client.threads.get(nowhere))).toMatchObject({
      status: 404,
      message: expect.stringContaining(`Thread with ID ${nowhere} not found`),
    });
    expect(await failure(client.runs.get(thread, nowhere))).toMatchObject({ status: 404 });
    expect(await failure(client.runs.join(thread, nowhere))).toMatchObject({ status: 404 });
    expect(await failure(client.runs.create(thread, "nope", { input: ask() }))).toMatchObject({
      status: 422,
      message: expect.stringContaining("Invalid assistant: 'nope'"),
    });
    const run = await client.runs.create(thread, "agent", { input: slow() });
    const refused = client.runs.create(thread, "agent", { input: ask(), multitaskStrategy: "reject" });
    expect(await failure(refused)).toMatchObject({ status: 409 });
    await client.runs.cancel(thread, run.run_id, true);
    expect(await failure(client.runs.cancel(thread, run.run_id))).toMatchObject({ status: 404 });
  });

  it("has the error of a run that fails", async () => {
    const input = { mode: "nonsense" };
    const sentence = '"nonsense" is not a mode; there are polite, deaf and busy.';
    expect(await failure(client.runs.wait(null, "stubborn", { input }))).toMatchObject({
      message: `Error: ${sentence}`,
    });
    const told = await client.runs.wait(null, "stubborn", { input, raiseError: false });
    expect(told).toEqual({ __error__: { error: "Error", message: sentence } });
    const parts = await all(client.runs.stream(null, "stubborn", { input }));
    expect(parts.at(-1)).toMatchObject({ event: "error", data: { error: "Error", message: sentence } });
  });

  it("streams all kinds of parts, and comes back to exactly the rest", async () => {
    const thread = await createThread();
    let created: { run_id: string } | undefined;
    const input = { messages: [{ role: "user", content: "Go" }], delay_ms: 5 };
    const parts = await all(
      client.runs.stream(thread, "team", {
        input,
        streamMode: ["values", "updates", "messages-tuple", "custom"],
        streamSubgraphs: true,
        onRunCreated: (run) => {
          created = run;
        },
      }),
    );
    const run = created!.run_id;
    expect(parts[0]).toMatchObject({ event: "metadata", data: { run_id: run } });
    expect(new Set(parts.map(({ event }) => (event as string).split("|")[0]))).toEqual(
      new Set(["metadata", "values", "updates", "messages", "custom"]),
    );
    expect(parts.at(-1)).toMatchObject({ event: "values", data: await client.runs.join(thread, run) });

    for (const place of [0, 5, parts.length - 2]) {
      const lastEventId = parts[place]!.id as string;
      expect(await all(client.runs.joinStream(thread, run, { lastEventId }))).toEqual(parts.slice(place + 1));
    }
    const custom = await all(client.runs.joinStream(thread, run, { lastEventId: "-1", streamMode: ["custom"] }));
    expect(custom.slice(1)).toEqual(parts.filter(({ event }) => (event as string).startsWith("custom")));
    for (const lastEventId of ["zzz", "99999"]) {
      const asked: unknown[] = [];
      const counted = new Client({
        apiUrl: server.url,
        callerOptions: {
          fetch(...request: Parameters<typeof fetch>) {
            asked.push(request);
            return fetch(...request);
          },
        },
      });
      const refused = await failure(all(counted.runs.joinStream(thread, run, { lastEventId })));
      // What can never succeed is not asked for again.
      expect({ status: refused?.status, times: asked.length }).toEqual({ status: 422, times: 1 });
    }
  });

  it("comes back by itself to a stream that was broken off", async () => {
    const proxy = await startCuttingProxy(server.url, "/runs/stream ", 3_000);
    const thread = await createThread();
    const through = new Client({ apiUrl: proxy.url });
    const input = ask("Still there?", { delay_ms: 20 });
    const parts = await all(through.runs.stream(thread, "agent", { input, streamMode: ["values", "messages-tuple"] }));
    const run = (parts[0]!.data as { run_id: string }).run_id;
    expect(parts).toEqual(await all(client.runs.joinStream(thread, run, { lastEventId: "-1" })));
    expect(proxy.cuts()).toBe(1);
    await proxy.stop();
  });

  it("knows threads and their state", async () => {
    const shelf = randomUUID();
    const thread = (await client.threads.create({ metadata: { shelf }, graphId: "agent" })).thread_id;
    const values = await client.runs.wait(thread, "agent", { input: ask() });
    expect(await client.threads.get(thread)).toMatchObject({ status: "idle", values, metadata: { shelf } });
    const state = await client.threads.getState(thread);
    expect(state).toMatchObject({ values, next: [] });
    const history = await client.threads.getHistory(thread);
    expect(history[0]).toEqual(state);
    const older = await client.threads.getHistory(thread, {
      limit: 2,
      before: { configurable: history[1]!.checkpoint },
    });
    expect(older).toEqual(history.slice(2, 4));
    const early = history.at(-3)!;
    expect(await client.threads.getState(thread, early.checkpoint)).toMatchObject({ values: early.values });
    expect(await client.threads.getState(thread, early.checkpoint.checkpoint_id!)).toMatchObject({ next: early.next });

    const edit = { messages: [{ role: "user", content: "And now?" }] };
    const { configurable } = await client.threads.updateState(thread, { values: edit, asNode: "tools" });
    const edited = await client.threads.getState<Values>(thread);
    expect(edited.checkpoint.checkpoint_id).toBe(configurable!.checkpoint_id);
    expect(edited).toMatchObject({ next: ["model"] });
    const copy = await client.threads.copy(thread);
    expect((await client.threads.getState(copy.thread_id)).values).toEqual(edited.values);

    await client.threads.update(thread, { metadata: { more: true } });
    const found = await client.threads.search({ metadata: { shelf }, sortBy: "created_at", sortOrder: "asc" });
    expect(found.map(({ thread_id }) => thread_id)).toEqual([thread, copy.thread_id]);
    expect(found[0]!.metadata).toMatchObject({ shelf, more: true });
    expect(await client.threads.count({ metadata: { shelf } })).toBe(2);
    await client.threads.delete(thread);
    expect(await failure(client.threads.get(thread))).toMatchObject({ status: 404 });
  });

  it("knows assistants", async () => {
    const [agent, ...others] = await client.assistants.search({ graphId: "agent" });
    expect(others).toEqual([]);
    expect(await client.assistants.get(agent!.assistant_id)).toEqual(agent);
    const graph = await client.assistants.getGraph("agent");
    expect(graph.nodes.map(({ id }) => id)).toEqual(expect.arrayContaining(["model", "tools"]));
    const schemas = await client.assistants.getSchemas("agent");
    expect(schemas.input_schema).toMatchObject({ properties: { messages: {} } });
    const made = await client.assistants.create({ graphId: "agent", name: "Mine", metadata: { owner: "me" } });
    expect(await client.assistants.update(made.assistant_id, { name: "Ours" })).toMatchObject({ version: 2 });
    expect(await client.assistants.count({ metadata: { owner: "me" } })).toBe(1);
    await client.assistants.delete(made.assistant_id);
    expect(await failure(client.assistants.get(made.assistant_id))).toMatchObject({ status: 404 });
  });

  it("knows runs, and runs without a thread", async () => {
    const thread = await createThread();
    const first = await client.runs.create(thread, "agent", { input: ask("One?"), metadata: { part: 1 } });
    expect(contents(await client.runs.join(thread, first.run_id))).toHaveLength(4);
    const second = await client.runs.create(thread, "agent", { input: slow() });
    const ids = async (options?: Parameters<typeof client.runs.list>[1]) =>
      (await client.runs.list(thread, options)).map(({ run_id }) => run_id);
    expect(await ids()).toEqual([second.run_id, first.run_id]);
    expect(await ids({ status: "success" })).toEqual([first.run_id]);
    expect(await ids({ limit: 1, offset: 1 })).toEqual([first.run_id]);
    await client.runs.delete(thread, second.run_id);
    expect(await failure(client.runs.get(thread, second.run_id))).toMatchObject({ status: 404 });
    expect(await client.threads.get(thread)).toMatchObject({ status: "idle" });

    expect(contents(await client.runs.wait(null, "agent", { input: ask("Alone?") }))[0]).toBe("Alone?");
    const parts = await all(client.runs.stream(null, "agent", { input: ask("Streamed?") }));
    expect(parts.at(-1)!.event).toBe("values");
    expect(contents(parts.at(-1)!.data as never)).toHaveLength(4);
    const batch = await client.runs.createBatch([
      { assistantId: "agent", input: ask("A") },
      { assistantId: "agent", input: ask("B") },
    ]);
    const ends = await Promise.all(batch.map((run) => client.runs.join(run.thread_id, run.run_id)));
    expect(ends.map((end) => contents(end)[0])).toEqual(["A", "B"]);
  });

  it("goes on, back and aside after a cancel", async () => {
    const undisturbed = await client.runs.wait(null, "agent", { input: ask("How far?", { steps: 3 }) });
    const thread = await createThread();
    let run: { run_id: string } | undefined;
    const stream = client.runs.stream(thread, "agent", {
      input: ask("How far?", { steps: 3, delay_ms: 20 }),
      onRunCreated: (created) => {
        run = created;
      },
    });
    for await (const part of stream) {
      if (part.event !== "values" || contents(part.data).length !== 3) continue;
      await client.runs.cancel(thread, run!.run_id, true);
    }
    expect(await client.threads.get(thread)).toMatchObject({ status: "interrupted" });
    const history = await client.threads.getHistory<Values>(thread);
    const resumed = await client.runs.wait(thread, "agent", { input: null });
    expect(contents(resumed)).toEqual(contents(undisturbed));

    const early = history.find(({ values }) => contents(values).length === 2)!;
    const checkpointId = early.checkpoint.checkpoint_id!;
    const replayed = await client.runs.wait(thread, "agent", { input: null, checkpointId });
    expect(contents(replayed)).toEqual(contents(undisturbed));
    const { configurable } = await client.threads.updateState(thread, {
      values: { steps: 1 },
      checkpoint: early.checkpoint,
    });
    const aside = { input: null, checkpointId: configurable!.checkpoint_id as string };
    expect(contents(await client.runs.wait(thread, "agent", aside))).toHaveLength(4);
  });

  it.each([
    ["enqueue", ["First?", "Second?"], "success"],
    ["interrupt", ["First?", "Second?"], "interrupted"],
    ["rollback", ["Second?"], undefined],
  ] as const)("double-texting: %s", async (multitaskStrategy, asked, status) => {
    const thread = await createThread();
    const first = await client.runs.create(thread, "agent", { input: ask("First?", { delay_ms: 30 }) });
    await server.isRunning(first);
    const values = await client.runs.wait(thread, "agent", { input: ask("Second?"), multitaskStrategy });
    const human = (values as unknown as Values).messages.filter(({ type }) => type === "human");
    expect(human.map(({ content }) => content)).toEqual(asked);
    const ended = status && (await client.runs.get(thread, first.run_id)).status;
    expect(ended).toBe(status);
    const runs = await client.runs.list(thread);
    expect(runs).toHaveLength(status === undefined ? 1 : 2);
  });

  describe("with an AbortController", () => {
    const ways = ["wait", "stream", "joinStream"] as const;

    /** Begins to watch a run in one of the ways, and resolves to it when the server has begun to answer. */
    async function watch(way: (typeof ways)[number], leaves: boolean) {
      const thread = await createThread();
      const gone = new AbortController();
      const { signal } = gone;
      const input = leaves ? slow() : ask("Go on", { delay_ms: 40 });
      const answers = Promise.withResolvers<void>();
      const watcher = new Client({
        apiUrl: server.url,
        callerOptions: {
          async fetch(...request: Parameters<typeof fetch>) {
            const response = await fetch(...request);
            answers.resolve();
            return response;
          },
        },
      });
      const onDisconnect = leaves ? ("cancel" as const) : undefined;
      let over: Promise<unknown>;
      if (way === "wait") over = watcher.runs.wait(thread, "agent", { input, onDisconnect, signal });
      else if (way === "stream") over = all(watcher.runs.stream(thread, "agent", { input, onDisconnect, signal }));
      else {
        const { run_id } = await client.runs.create(thread, "agent", { input });
        over = all(watcher.runs.joinStream(thread, run_id, { cancelOnDisconnect: leaves, signal }));
      }
      over.catch(() => {});
      await answers.promise;
      return { run: await server.running(), gone, over };
    }

    it.each(ways)("on disconnect, %s: stops the run", async (way) => {
      const { run, gone, over } = await watch(way, true);
      gone.abort();
      expect(await server.over(run)).toMatchObject({
        status: "interrupted",
        cancellation: { reason: "client disconnected" },
      });
      await over.catch(() => {});
    });

    it.each(ways)("%s: leaves the run alone when nothing is said", async (way) => {
      const { run, gone, over } = await watch(way, false);
      gone.abort();
      await over.catch(() => {});
      expect(await server.over(run)).toMatchObject({ status: "success" });
    });
  });
});
