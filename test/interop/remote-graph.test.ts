import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BaseMessage, HumanMessage } from "@langchain/core/messages";
import { Annotation, Command, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { RemoteGraph } from "@langchain/langgraph/remote";
import { Client } from "@langchain/langgraph-sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Run, RunStatus, toPayload } from "../../src/client/index.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

type RemoteClient = NonNullable<ConstructorParameters<typeof RemoteGraph>[0]["client"]>;

/** LangGraph's own client of a graph that runs elsewhere: a graph on Reins is used like one in the same process. */
describe("RemoteGraph", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
  });
  afterAll(() => app?.close());

  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "reins-remote-graph-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const remote = (graphId: string) => new RemoteGraph({ graphId, url: app.app.url });
  /** RemoteGraph sends no on_disconnect; its client does it for each of its streams. */
  const remoteThatCancels = (graphId: string) => {
    const client = new Client({
      apiUrl: app.app.url,
      onRequest(url, init) {
        if (url.pathname.endsWith("/runs/stream")) url.searchParams.set("on_disconnect", "cancel");
        return init;
      },
    });
    return new RemoteGraph({ graphId, client: client as unknown as RemoteClient });
  };
  const thread = () => ({ configurable: { thread_id: crypto.randomUUID() as string } });
  const collect = async <T>(chunks: AsyncIterable<T>) => {
    const all: T[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return all;
  };
  const contents = (values: unknown) => (values as { messages: BaseMessage[] }).messages.map(({ content }) => content);

  const question = { messages: [new HumanMessage("Is it so?")], steps: 1, delay_ms: 0 };
  const answered = ["Is it so?", "To answer this I first look up part 1 of 1. ", expect.stringMatching(/^Notes/)];
  const answer = expect.stringMatching(/^You asked: "Is it so\?"/);

  it("invokes a graph, with and without a thread", async () => {
    expect(contents(await remote("agent").invoke(question))).toEqual([...answered, answer]);
    const config = thread();
    await remote("agent").invoke(question, config);
    const again = { messages: [{ role: "user", content: "And so?" }], steps: 0 };
    const values = await remote("agent").invoke(again, config);
    expect(contents(values)).toEqual([...answered, answer, "And so?", expect.stringContaining('"And so?"')]);
  });

  it("takes an assistant's id for a graph's name", async () => {
    const { assistants } = await app.client.assistants.searchAssistants({ filter: { graphId: "agent" } });
    const values = await remote(assistants[0]!.assistantId).invoke({ ...question, steps: 0 });
    expect(contents(values)).toEqual(["Is it so?", answer]);
  });

  it("streams one mode, or several", async () => {
    const updates = await collect(await remote("agent").stream(question, { streamMode: "updates" }));
    expect(updates.map((update) => Object.keys(update as object))).toEqual([["model"], ["tools"], ["model"]]);

    const streamMode = ["values", "messages", "updates"] as const;
    const chunks = (await collect(await remote("agent").stream(question, { streamMode: [...streamMode] }))) as [
      string,
      unknown,
    ][];
    const of = (mode: string) => chunks.filter(([name]) => name === mode).map(([, data]) => data);
    expect(new Set(chunks.map(([name]) => name))).toEqual(new Set(streamMode));
    expect(of("updates").map((update) => Object.keys(update as object))).toEqual([["model"], ["tools"], ["model"]]);
    expect(contents(of("values").at(-1))).toEqual([...answered, answer]);
    const words = (of("messages") as [{ content: string; type: string }, { langgraph_node: string }][])
      .filter(([message, { langgraph_node: node }]) => node === "model" && message.type === "ai")
      .map(([{ content }]) => content);
    expect(words.length).toBeGreaterThan(20);
    expect(words.join("")).toMatch(/^To answer this.*1 of 1\. You asked: .*with some care\.$/);
  });

  it("streams subgraphs", async () => {
    const options = { streamMode: "updates" as const, subgraphs: true };
    const chunks = (await collect(await remote("team").stream({ delay_ms: 1 }, options))) as [string[], object][];
    const names = chunks.map(([path, update]) => [...path.map((part) => part.split(":")[0]), ...Object.keys(update)]);
    expect(names).toHaveLength(7);
    expect(names).toEqual(
      expect.arrayContaining([
        ["researcher", "gather"],
        ["researcher", "summarize"],
        ["researcher"],
        ["critic", "gather"],
        ["critic", "summarize"],
        ["critic"],
        ["editor"],
      ]),
    );
    const flat = await collect(await remote("team").stream({ delay_ms: 1 }, { streamMode: "updates" }));
    expect(flat).toHaveLength(3);
  });

  it("throws what a run has failed with", async () => {
    await expect(remote("stubborn").invoke({ mode: "nonsense" })).rejects.toMatchObject({
      name: "RemoteException",
      message: expect.stringContaining("is not a mode"),
    });
  });

  it("interrupts for a human, and resumes with a command", async () => {
    const config = thread();
    const input = { messages: [new HumanMessage("Write it.")], delay_ms: 0 };
    await expect(remote("approval").invoke(input, config)).rejects.toMatchObject({
      name: "GraphInterrupt",
      interrupts: [{ value: { question: "May this be sent?" } }],
    });
    const state = await remote("approval").getState(config);
    expect(state.next).toEqual(["review"]);
    expect(state.tasks[0]!.interrupts[0]!.value).toMatchObject({ question: "May this be sent?" });
    const values = await remote("approval").invoke(new Command({ resume: "approve" }), config);
    expect(contents(values).at(-1)).toMatch(/^Sent: Dear team/);
  });

  it("reads, edits and forks states, and lists their history", async () => {
    const graph = remote("agent");
    const config = thread();
    await graph.invoke({ ...question, steps: 0 }, config);
    const state = await graph.getState(config);
    expect(contents(state.values)).toEqual(["Is it so?", answer]);
    expect(state.next).toEqual([]);

    const history = await collect(graph.getStateHistory(config));
    expect(history.map(({ metadata }) => metadata!.step)).toEqual([1, 0, -1]);
    expect(history.map(({ config: { configurable } }) => configurable!.checkpoint_id)[0]).toBe(
      state.config.configurable!.checkpoint_id,
    );
    expect(await collect(graph.getStateHistory(config, { limit: 1 }))).toEqual([history[0]]);
    expect(await collect(graph.getStateHistory(config, { before: history[0]!.config }))).toEqual(history.slice(1));
    expect(await collect(graph.getStateHistory(config, { filter: { step: 0 } }))).toEqual([history[1]]);
    expect((await graph.getState(history[1]!.config)).next).toEqual(["model"]);

    const edited = await graph.updateState(config, { messages: [{ role: "user", content: "More." }] }, "model");
    expect(contents((await graph.getState(edited)).values)).toEqual(["Is it so?", answer, "More."]);
    const forked = await graph.updateState(history[1]!.config, { steps: 0, delay_ms: 1 }, "model");
    expect((await graph.getState(forked)).parentConfig!.configurable!.checkpoint_id).toBe(
      history[1]!.config.configurable!.checkpoint_id,
    );
    expect((await graph.getState(config)).config).toEqual(forked);
  });

  it("draws the graph", async () => {
    const graph = await remote("approval").getGraphAsync();
    expect(Object.keys(graph.nodes).sort()).toEqual(["__end__", "__start__", "review", "send", "write"]);
    expect(graph.edges.map(({ source, target }) => `${source}>${target}`)).toContain("write>review");
    expect(graph.drawMermaid()).toContain("review");
    expect(Object.keys((await remote("team").getGraphAsync({ xray: true })).nodes)).toContain("critic:gather");
  });

  describe("aborted", () => {
    const heartbeat = () => join(dir, "heartbeat");
    const beats = () => {
      try {
        return readFileSync(heartbeat(), "utf8").length;
      } catch {
        return 0;
      }
    };
    const deaf = () => ({ mode: "deaf", ms: 3_600_000, heartbeat_file: heartbeat() });
    const newestRun = async (threadId: string): Promise<Run> => (await app.client.runs.listRuns({ threadId })).runs[0]!;
    const statusIs = (threadId: string, status: RunStatus) =>
      expect.poll(async () => (await newestRun(threadId)).status, { timeout: 30_000 }).toBe(status);
    const quick = () =>
      app.client.runs.waitRun({ create: { spec: { assistantId: "agent", input: toPayload(question) } } });

    /** Aborts the call when the work has begun; resolves when it has ended. */
    async function abortWhenWorking(call: (signal: AbortSignal) => Promise<unknown>) {
      const abort = new AbortController();
      const called = call(abort.signal).then(
        () => "ended",
        (error: Error) => error.name,
      );
      await expect.poll(beats, { timeout: 30_000 }).toBeGreaterThan(0);
      abort.abort();
      expect(await called).not.toBe("ended");
    }

    it("leaves its run alone, unless it is told otherwise", async () => {
      const config = thread();
      await abortWhenWorking((signal) => remote("stubborn").invoke(deaf(), { ...config, signal }));
      const run = {
        threadId: config.configurable.thread_id,
        runId: (await newestRun(config.configurable.thread_id)).runId,
      };
      const before = beats();
      await expect.poll(beats, { timeout: 30_000 }).toBeGreaterThan(before);
      const { run: kept } = await app.client.runs.getRun(run);
      expect([kept!.status, kept!.cancellation]).toEqual([RunStatus.RUNNING, undefined]);
      await app.client.runs.cancelRun({ ...run, wait: true });
    });

    it("stops its run for real when its client asks for that", async () => {
      const config = thread();
      await abortWhenWorking((signal) => remoteThatCancels("stubborn").invoke(deaf(), { ...config, signal }));
      await statusIs(config.configurable.thread_id, RunStatus.INTERRUPTED);
      const last = beats();
      expect((await newestRun(config.configurable.thread_id)).cancellation).toMatchObject({
        requestedBy: "disconnect",
      });
      await quick();
      expect(beats()).toBe(last);
    });

    it("stops it also as a node of another graph", async () => {
      const config = thread();
      const parent = new StateGraph(Annotation.Root({ ...MessagesAnnotation.spec, mode: Annotation<string>() }))
        .addNode("work", (_state, { signal }: { signal?: AbortSignal }) =>
          remoteThatCancels("stubborn").invoke(deaf(), { ...config, signal }),
        )
        .addEdge(START, "work")
        .compile();
      await abortWhenWorking((signal) => parent.invoke({ messages: [] }, { signal }));
      await statusIs(config.configurable.thread_id, RunStatus.INTERRUPTED);
      const last = beats();
      await quick();
      expect(beats()).toBe(last);
    });
  });

  it("is a node in another graph, whose stream shows what happens in it", async () => {
    const State = Annotation.Root({
      ...MessagesAnnotation.spec,
      findings: Annotation<string[]>({ reducer: (_, next) => next, default: () => [] }),
      delay_ms: Annotation<number>(),
    });
    const parent = new StateGraph(State)
      .addNode("team", remote("team"))
      .addNode("after", ({ findings }) => ({ findings: [...findings, "after"] }))
      .addEdge(START, "team")
      .addEdge("team", "after")
      .addEdge("after", END)
      .compile();
    const { findings } = await parent.invoke({ messages: [], delay_ms: 1 });
    expect(findings.sort()).toEqual(["The critic read 3 pages", "The researcher read 5 pages", "after"]);

    const chunks = (await collect(
      await parent.stream({ messages: [], delay_ms: 1 }, { streamMode: "updates", subgraphs: true }),
    )) as [string[], object][];
    const names = chunks.map(([path, update]) => [...path.map((part) => part.split(":")[0]), ...Object.keys(update)]);
    expect(names).toContainEqual(["team", "critic", "gather"]);
    expect(names).toContainEqual(["team", "editor"]);
    expect(names.at(-1)).toEqual(["after"]);
  });

  it.each([
    { of: "its parent", options: {}, status: 200 },
    { of: "its own", options: { configurable: {} }, status: 404 },
  ])("has a thread of $of in a node that calls it", async ({ options, status }) => {
    const config = thread();
    const parent = new StateGraph(Annotation.Root({ ...MessagesAnnotation.spec }))
      .addNode("work", () => remote("agent").invoke({ ...question, steps: 0 }, options))
      .addEdge(START, "work")
      .compile();
    expect(contents(await parent.invoke({ messages: [] }, config))).toEqual(["Is it so?", answer]);
    const response = await fetch(`${app.app.url}/threads/${config.configurable.thread_id}`);
    expect(response.status).toBe(status);
  });
});
