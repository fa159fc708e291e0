import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HumanMessage } from "@langchain/core/messages";
import { RemoteGraph } from "@langchain/langgraph/remote";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRestKit, type RestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** An event of LangChain's streaming protocol. */
interface ProtocolEvent {
  readonly event_id: string;
  readonly seq: number;
  readonly method: string;
  // biome-ignore lint/suspicious/noExplicitAny: the data has a shape of its own for each method
  readonly params: { readonly namespace: string[]; readonly node?: string; readonly data: any };
}

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { configFile: undefined } });
});
afterAll(() => app.close());

const leavers: (() => void)[] = [];
afterEach(() => {
  for (const leave of leavers.splice(0)) leave();
});

const everything = ["values", "updates", "messages", "lifecycle", "input", "checkpoints", "custom"];
const question = { messages: [{ type: "human", content: "Is it so?" }], steps: 1, delay_ms: 0 };

async function createKit() {
  const kit = await createRestKit(app.app.url, "agent");
  leavers.push(kit.gates.remove);
  let id = 0;
  return {
    ...kit,
    command: async (method: string, params: object, thread = kit.thread) =>
      (await kit.rest.post(`${thread}/commands`, { id: id++, method, params })).body,
    open: (filter: object = {}) => open(kit, filter),
  };
}

async function open(kit: RestKit, filter: object) {
  const { events, leave } = await kit.rest.stream(`${kit.thread}/stream/events`, { channels: everything, ...filter });
  leavers.push(leave);
  return {
    async takeUntil(isLast: (event: ProtocolEvent) => boolean): Promise<ProtocolEvent[]> {
      const taken: ProtocolEvent[] = [];
      while (taken.length === 0 || !isLast(taken.at(-1)!)) {
        const { value, done } = await events.next();
        if (done) throw new Error(`the stream ended after ${taken.length} events`);
        expect(value.event).toBe(value.data.method === "input.requested" ? "input" : value.data.method);
        taken.push(value.data);
      }
      return taken;
    },
  };
}
type Kit = Awaited<ReturnType<typeof createKit>>;

const isEnd = ({ method, params }: ProtocolEvent) =>
  method === "lifecycle" && params.namespace.length === 0 && params.data.event !== "running";
/** Without the time at which it was told. */
const untimed = (events: readonly ProtocolEvent[]) =>
  events.map(({ params, ...event }) => ({ ...event, params: { ...params, timestamp: undefined } }));
const shapes = (events: readonly ProtocolEvent[]) =>
  events.map(({ method, params: { data } }) => [method, data.event].filter(Boolean).join(" "));

const start = async (kit: Kit, assistant_id: string, input: object | null, more: object = {}) => {
  const { type, result } = await kit.command("run.start", { assistant_id, input, ...more });
  expect(type).toBe("success");
  return result.run_id as string;
};

describe("POST /threads/{thread_id}/stream/events", () => {
  it("tells a run: its states with their checkpoints, and its messages block by block", async () => {
    const kit = await createKit();
    const stream = await kit.open();
    await start(kit, "agent", question);
    const told = await stream.takeUntil(isEnd);
    const rough = shapes(told).filter((shape, place, all) => shape !== all[place - 1]);
    const message = ["messages message-start", "messages content-block-start", "messages content-block-delta"];
    const step = ["updates", "checkpoints", "values"];
    expect(rough).toEqual([
      ...["lifecycle running", "checkpoints", "values"],
      // Two blocks: what it says, and the call of its tool.
      ...[...message, "messages content-block-finish", ...message.slice(1), "messages content-block-finish"],
      ...["messages message-finish", ...step, ...step],
      ...[...message, "messages content-block-finish", "messages message-finish", ...step],
      "lifecycle completed",
    ]);
    const blocks = told.flatMap(({ params: { data } }) =>
      data.event === "content-block-finish" ? [data.content] : [],
    );
    expect(blocks).toEqual([
      { type: "text", text: "To answer this I first look up part 1 of 1. " },
      { type: "tool_call", id: expect.any(String), name: "look_up", args: { topic: "part 1 of 1", pause_ms: 0 } },
      { type: "text", text: expect.stringMatching(/^You asked: "Is it so\?"/) },
    ]);
    const checkpoints = told.filter(({ method }) => method === "checkpoints").map(({ params }) => params.data);
    expect(checkpoints.map(({ step }) => step)).toEqual([-1, 0, 1, 2, 3]);
    expect(checkpoints.map(({ parent_id: parent }) => parent)).toEqual([
      undefined,
      ...checkpoints.slice(0, -1).map(({ id }) => id),
    ]);
    const states = told.filter(({ method }) => method === "values");
    expect(states.at(-1)!.params.data.messages).toHaveLength(4);
  });

  it("numbers its events, the same for all readers, and goes on after a number", async () => {
    const kit = await createKit();
    const first = await kit.open();
    await start(kit, "agent", question);
    const told = await first.takeUntil(isEnd);
    const numbers = told.map(({ seq }) => seq);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(told.map(({ event_id: id }) => id)).size).toBe(told.length);

    expect(untimed(await (await kit.open()).takeUntil(isEnd))).toEqual(untimed(told));
    for (const place of [0, 7, told.length - 2]) {
      const rest = await (await kit.open({ since: numbers[place] })).takeUntil(isEnd);
      expect(untimed(rest)).toEqual(untimed(told.slice(place + 1)));
    }

    const behind = await kit.open({ since: numbers.at(-1) });
    await start(kit, "agent", { ...question, steps: 0 });
    const next = await first.takeUntil(isEnd);
    expect(next[0]!.seq).toBeGreaterThan(numbers.at(-1)!);
    expect(untimed(await behind.takeUntil(isEnd))).toEqual(untimed(next));
    // Who comes later gets the newest run only.
    expect(untimed(await (await kit.open()).takeUntil(isEnd))).toEqual(untimed(next));
  });

  it("tells only the channels and namespaces that were asked for", async () => {
    const kit = await createKit();
    const inCritic = await kit.open({ namespaces: [["critic"]] });
    const atRoot = await kit.open({ namespaces: [[]], depth: 0 });
    const custom = await kit.open({ channels: ["custom", "lifecycle"] });
    await start(kit, "team", { delay_ms: 1 });

    const below = await inCritic.takeUntil(({ params: { data } }) => data.event === "completed");
    expect(new Set(below.map(({ params }) => params.namespace[0]!.split(":")[0]))).toEqual(new Set(["critic"]));
    expect(shapes(below)).toEqual(
      expect.arrayContaining(["lifecycle started", "custom", "values", "lifecycle completed"]),
    );
    const root = await atRoot.takeUntil(isEnd);
    expect(root.every(({ params }) => params.namespace.length === 0)).toBe(true);
    const pages = await custom.takeUntil(isEnd);
    expect(new Set(pages.map(({ method }) => method))).toEqual(new Set(["custom", "lifecycle"]));
    expect(pages.filter(({ method }) => method === "custom")).toHaveLength(8);
    expect(pages.find(({ method }) => method === "custom")!.params.data).toEqual({
      payload: { colleague: expect.any(String), page: 1 },
    });
  });

  it("tells how runs fail and are cancelled", async () => {
    const kit = await createKit();
    const stream = await kit.open({ channels: ["lifecycle"] });
    await start(kit, "stubborn", { mode: "nonsense" });
    expect((await stream.takeUntil(isEnd)).at(-1)!.params.data).toMatchObject({
      event: "failed",
      graph_name: "stubborn",
      error: expect.stringContaining("is not a mode"),
    });
    const run = await start(kit, "stubborn", { mode: "polite", ms: 3_600_000 });
    await kit.rest.post(`${kit.thread}/runs/${run}/cancel?wait=true`);
    expect((await stream.takeUntil(isEnd)).at(-1)!.params.data.event).toBe("interrupted");
  });

  it("refuses what it does not know", async () => {
    const kit = await createKit();
    const post = (path: string, body: object) => kit.rest.post(path, body);
    expect(await post(`/threads/${crypto.randomUUID()}/stream/events`, { channels: [] })).toMatchObject({
      status: 404,
    });
    expect(await post(`${kit.thread}/stream/events`, {})).toMatchObject({ status: 422 });
    expect(await post(`${kit.thread}/stream/events`, { channels: ["zzz"] })).toMatchObject({ status: 422 });
  });
});

describe("POST /threads/{thread_id}/commands", () => {
  it("starts a run on a thread that it makes", async () => {
    const kit = await createKit();
    const thread = `/threads/${crypto.randomUUID()}`;
    const metadata = { made: "here" };
    const params = { assistant_id: "agent", input: question, metadata, config: { configurable: { thread_id: "x" } } };
    const answer = await kit.command("run.start", params, thread);
    expect(answer).toMatchObject({ type: "success", id: 0, result: { run_id: expect.any(String) } });
    const run = (await kit.rest.get(`${thread}/runs/${answer.result.run_id}?wait=true`)).body;
    expect(run).toMatchObject({ status: "success", metadata, multitask_strategy: "enqueue" });
  });

  it.each(["constructor", "__proto__", "valueOf", "toString", "hasOwnProperty", "nonsense"])(
    "knows no command %s",
    async (method) => {
      const kit = await createKit();
      const answer = await kit.rest.post(`${kit.thread}/commands`, JSON.stringify({ id: 1, method }));
      expect(answer).toMatchObject({ status: 200, body: { type: "error", id: 1, error: "unknown_command" } });
    },
  );

  it("answers an interrupt, by name or with the next input", async () => {
    const kit = await createKit();
    const stream = await kit.open();
    await start(kit, "approval", { delay_ms: 0 });
    const asked = await stream.takeUntil(isEnd);
    expect(asked.at(-1)!.params.data.event).toBe("interrupted");
    const [{ params }] = asked.filter(({ method }) => method === "input.requested") as [ProtocolEvent];
    expect(params.data.payload).toMatchObject({ question: "May this be sent?" });

    const wrong = await kit.command("input.respond", { namespace: [], interrupt_id: "nope", response: "approve" });
    expect(wrong).toMatchObject({ type: "error", error: "no_such_interrupt" });
    const { interrupt_id } = params.data;
    const responses = ["approve", "reject"].map((response) => ({ interrupt_id, response }));
    expect(await kit.command("input.respond", { responses })).toMatchObject({ error: "invalid_argument" });
    const answer = { namespace: [], interrupt_id, response: "with a greeting" };
    expect(await kit.command("input.respond", answer)).toMatchObject({ type: "success", result: {} });
    const again = await stream.takeUntil(isEnd);
    expect(again.at(-1)!.params.data.event).toBe("interrupted");

    await start(kit, "approval", "approve" as unknown as object);
    expect((await stream.takeUntil(isEnd)).at(-1)!.params.data.event).toBe("completed");
    const { values } = await kit.state();
    expect(values.messages.at(-1).content).toBe(
      "Sent: Dear team, we will ship on Friday (with a greeting). Kind regards.",
    );
  });

  it("reads states, and forks one", async () => {
    const kit = await createKit();
    await kit.rest.get(`${kit.thread}/runs/${await start(kit, "agent", { ...question, steps: 0 })}/join`);
    const { result: state } = await kit.command("state.get", { namespace: [], keys: ["steps"] });
    expect(state).toMatchObject({ values: { steps: 0 }, checkpoint: { id: expect.any(String), ns: "" } });
    const { result: list } = await kit.command("state.listCheckpoints", { limit: 2 });
    expect(list.checkpoints.map(({ step }: { step: number }) => step)).toEqual([1, 0]);
    expect(list.checkpoints[0].id).toBe(state.checkpoint.id);

    const fork = await kit.command("state.fork", { checkpoint_id: list.checkpoints[1].id });
    await kit.rest.get(`${kit.thread}/runs/${fork.result.run_id}/join`);
    const [head, forked] = await kit.history();
    expect([head.values.messages.length, head.parent_checkpoint.checkpoint_id]).toEqual([2, forked.checkpoint_id]);
    expect(forked).toMatchObject({ metadata: { source: "fork" }, parent_checkpoint_id: list.checkpoints[1].id });
  });

  it("says in the protocol's terms what is wrong", async () => {
    const kit = await createKit();
    const wrong = async (method: string, params: object) => {
      const { type, error, message } = await kit.command(method, params);
      expect([type, message]).toEqual(["error", expect.any(String)]);
      return error;
    };
    expect(await wrong("run.cancel", {})).toBe("unknown_command");
    expect(await wrong("run.start", {})).toBe("invalid_argument");
    expect(await wrong("run.start", { assistant_id: "nope" })).toBe("invalid_argument");
    expect(await wrong("run.start", { assistant_id: "agent", multitask_strategy: "zzz" })).toBe("invalid_argument");
    expect(await wrong("run.start", { assistant_id: crypto.randomUUID() })).toBe("no_such_run");
    expect(await wrong("input.respond", {})).toBe("invalid_argument");
    expect(await wrong("state.fork", { checkpoint_id: crypto.randomUUID() })).toBe("no_such_run");
    expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
    const run = await start(kit, "stubborn", { mode: "polite", ms: 3_600_000 });
    expect(await wrong("run.start", { assistant_id: "stubborn", multitaskStrategy: "reject" })).toBe("unknown_error");
    await kit.rest.post(`${kit.thread}/runs/${run}/cancel?wait=true`);
  });
});

describe("RemoteGraph.streamEvents", () => {
  const remote = (graphId: string) => new RemoteGraph({ graphId, url: app.app.url });

  it("streams messages and states, and ends with the output", async () => {
    // Slow enough to go on when the client has subscribed: from a run that is over by then, it drops the messages itself.
    const input = { messages: [new HumanMessage("Is it so?")], steps: 0, delay_ms: 100 };
    const run = await remote("agent").streamEvents(input, { version: "v3" });
    const texts: string[] = [];
    for await (const message of run.messages) texts.push(await message.text);
    expect(texts).toEqual([expect.stringMatching(/^You asked: "Is it so\?".*some care\.$/)]);
    const output = (await run.output) as { messages: { content: string }[] };
    expect(output.messages.map(({ content }) => content)).toEqual(["Is it so?", ...texts]);
    run.abort();
  });

  it("stops its run for real when it is aborted", async () => {
    const dir = mkdtempSync(join(tmpdir(), "reins-streaming-protocol-"));
    try {
      const heartbeat = join(dir, "heartbeat");
      const threadId = crypto.randomUUID();
      const input = { mode: "polite", ms: 3_600_000, heartbeat_file: heartbeat };
      const config = { version: "v3" as const, configurable: { thread_id: threadId } };
      const run = await remote("stubborn").streamEvents(input, config);
      await expect.poll(() => beats(heartbeat), { timeout: 30_000 }).toBeGreaterThan(0);
      run.abort();
      const kit = await createKit();
      const newest = async () => (await kit.rest.get(`/threads/${threadId}/runs`)).body[0];
      await expect.poll(async () => (await newest()).status, { timeout: 30_000 }).toBe("interrupted");
      const last = beats(heartbeat);
      await kit.rest.post(`${kit.thread}/runs/wait`, { assistant_id: "agent", input: { ...question, delay_ms: 5 } });
      expect(beats(heartbeat)).toBe(last);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

function beats(file: string): number {
  try {
    return readFileSync(file, "utf8").length;
  } catch {
    return 0;
  }
}
