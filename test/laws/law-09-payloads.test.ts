import { randomUUID } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import {
  createGrpcJsClient,
  createReinsClient,
  fromPayload,
  PayloadFormat,
  type RunOutputEvent,
  RunService,
  toPayload,
} from "../../src/client/index.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let examples: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const outputs = (events: readonly RunEvent[]): RunOutputEvent[] =>
  events.flatMap(({ event }) => (event.case === "output" ? [event.value] : []));
const json = (output: RunOutputEvent | undefined) => fromPayload(output?.data) as never;

const allModes = [
  ...[StreamMode.VALUES, StreamMode.UPDATES, StreamMode.MESSAGES, StreamMode.MESSAGES_TUPLE],
  ...[StreamMode.CUSTOM, StreamMode.TASKS, StreamMode.CHECKPOINTS, StreamMode.DEBUG],
];

describe("law 9: modes, subgraphs and namespaces", () => {
  beforeAll(async () => {
    examples = await startTestApp({ config: { configFile: undefined } });
  });
  afterAll(() => examples.close());

  /** A finished run of an example with all modes. */
  async function finished(graph: string, input: object, streamSubgraphs: boolean) {
    const { client } = examples;
    const { threadId } = (await client.threads.createThread({})).thread!;
    const spec = { assistantId: graph, input: toPayload(input), streamModes: allModes, streamSubgraphs };
    const runId = randomUUID();
    const reader = readEvents((signal) => client.runs.streamRun({ create: { threadId, runId, spec } }, { signal }));
    expect(await reader.ended).toBeUndefined();
    expect(endOf(reader.events)).toMatchObject({ status: RunStatus.SUCCESS });
    expect(reader.sequences()).toEqual(reader.events.map((_, i) => i + 1));
    const { values } = await client.runs.joinRun({ threadId, runId });
    return { events: reader.events, final: fromPayload(values) as Record<string, unknown> };
  }

  it("a model's words, a tool and a state in all modes but the one for what nodes write", async () => {
    const question = { messages: [{ role: "user", content: "Is it so?" }], steps: 1, delay_ms: 1 };
    const { events, final } = await finished("agent", question, false);
    const of = (mode: StreamMode) => outputs(events).filter((output) => output.mode === mode);
    const silent = allModes.filter((mode) => of(mode).length === 0);
    expect(silent).toEqual([StreamMode.CUSTOM]);
    for (const output of outputs(events)) expect(output.namespace).toEqual([]);

    expect(json(of(StreamMode.VALUES).at(-1))).toEqual(final);
    expect(of(StreamMode.UPDATES).map((one) => Object.keys(json(one)))).toEqual([["model"], ["tools"], ["model"]]);
    const names = new Set(of(StreamMode.MESSAGES).map(({ name }) => name));
    expect(names).toEqual(new Set(["messages/metadata", "messages/partial", "messages/complete"]));
    const answer = (final.messages as { content: string }[]).at(-1)!;
    expect(json(of(StreamMode.MESSAGES).findLast(({ name }) => name === "messages/complete"))).toMatchObject([
      { content: answer.content },
    ]);
    const words = of(StreamMode.MESSAGES_TUPLE).map((one) => json(one) as [{ content: string }, object]);
    expect(words.map(([message]) => message.content).join("")).toContain(answer.content);
    for (const mode of [StreamMode.TASKS, StreamMode.CHECKPOINTS, StreamMode.DEBUG]) {
      expect(new Set(of(mode).map(({ name }) => name)).size).toBe(1);
    }
    expect(of(StreamMode.DEBUG)).toHaveLength(of(StreamMode.TASKS).length + of(StreamMode.CHECKPOINTS).length);
  });

  it.each([true, false])("subgraphs speak in their namespace, if they are asked for (%s)", async (streamSubgraphs) => {
    const { events } = await finished("team", { delay_ms: 1 }, streamSubgraphs);
    const inner = outputs(events).filter(({ namespace }) => namespace.length > 0);
    const from = new Set(inner.map(({ namespace }) => namespace[0]!.split(":")[0]));
    expect(from).toEqual(new Set(streamSubgraphs ? ["researcher", "critic"] : []));
    if (!streamSubgraphs) return;
    expect(new Set(inner.map(({ mode }) => mode))).toContain(StreamMode.CUSTOM);
    const nodes = inner.filter(({ mode }) => mode === StreamMode.UPDATES).flatMap((one) => Object.keys(json(one)));
    expect(nodes.sort()).toEqual(["gather", "gather", "summarize", "summarize"]);
  });
});

describe("law 9: large and many events", () => {
  const custom = { streamModes: [StreamMode.CUSTOM] };
  const megabytes = 1024 * 1024;

  it("events of 5 MB arrive whole at a client that takes such messages", async () => {
    const kit = await createRunKit(app, "emitter");
    const { runId, threadId } = await kit.start({ count: 4, padding: 5 * megabytes }, custom);
    kit.gates.open();
    const options = { "grpc.max_receive_message_length": 64 * megabytes };
    const grpcJs = createGrpcJsClient(
      RunService,
      new URL(app.app.url).host,
      grpc.credentials.createInsecure(),
      options,
    );
    const request = { threadId, runId, payloadFormat: PayloadFormat.JSON };
    const clients = [grpcJs.joinRunStream, app.client.runs.joinRunStream];
    for (const joinRunStream of clients) {
      const reader = readEvents((signal) => joinRunStream(request, { signal }));
      expect(await reader.ended).toBeUndefined();
      const paddings = outputs(reader.events).map((one) => (json(one) as { padding: string }).padding.length);
      expect(paddings).toEqual(Array(4).fill(5 * megabytes));
      expect(endOf(reader.events)).toMatchObject({ status: RunStatus.SUCCESS });
    }
    grpcJs.close();
    kit.gates.remove();
  });

  it("an event that the database cannot hold fails its run with a sentence, and only it", async () => {
    const [kit, neighbour] = [await createRunKit(app, "emitter"), await createRunKit(app, "emitter")];
    const innocent = await neighbour.start({ count: 10 }, custom);
    await neighbour.gates.started("middle");
    kit.gates.open();
    const run = await kit.start({ count: 2, padding: 17 * megabytes }, custom);
    const { status, error, attempt } = await kit.join(run.runId);
    expect([status, attempt, error?.name]).toEqual([RunStatus.ERROR, 1, "EventTooLargeError"]);
    expect(error!.message).toMatch(/^an event of mode custom has \d+ bytes of JSON; at most \d+ can be stored$/);
    neighbour.gates.open();
    expect(await neighbour.join(innocent.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
    for (const each of [kit, neighbour]) each.gates.remove();
  });
});

describe("law 9: payloads", () => {
  const value = {
    text: 'a "b" \u2028 \u{1f600} \0',
    numbers: [0, -1.5, 1e21, 2 ** 53],
    deep: { list: [[], {}, null] },
    "a.b": 1,
    $x: 2,
  };
  const rich = (kit: RunKit) => kit.start({ manners: value as never }, { metadata: { tag: "x" } });

  it.each([PayloadFormat.VALUE, PayloadFormat.JSON, PayloadFormat.UNSPECIFIED])(
    "travel as asked for (%s)",
    async (payloadFormat) => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const { runId, threadId } = await rich(kit);
      const encoding = payloadFormat === PayloadFormat.JSON ? "json" : "value";
      const { runs, threads } = app.client;
      const request = { threadId, runId, payloadFormat };
      const joined = await runs.joinRun(request);
      const thread = (await threads.getThread(request)).thread!;
      const { state } = await threads.getThreadState(request);
      const { states } = await threads.listThreadHistory(request);
      const reader = readEvents((signal) => runs.joinRunStream(request, { signal }));
      await reader.ended;
      const payloads = [
        joined.values,
        thread.values,
        state!.values,
        states[0]!.values,
        outputs(reader.events).at(-1)!.data,
      ];
      for (const payload of payloads) {
        expect(payload!.encoding.case).toBe(encoding);
        expect(fromPayload(payload)).toMatchObject({ manners: value, log: ["a", "b", "c"] });
      }
      const { run } = await runs.getRun({ ...request, includeInput: true });
      expect(run!.spec!.input!.encoding.case).toBe(encoding);
      expect(fromPayload(run!.spec!.input)).toMatchObject({ manners: value });
      kit.gates.remove();
    },
  );

  it.each([
    { protocol: "grpc", useBinaryFormat: true },
    { protocol: "grpc", useBinaryFormat: false },
    { protocol: "grpc-web", useBinaryFormat: false },
    { protocol: "connect", useBinaryFormat: true },
    { protocol: "connect", useBinaryFormat: false },
    { protocol: "connect", useBinaryFormat: false, httpVersion: "1.1" },
  ] as const)("travel alike when they are large (%o)", async (options) => {
    const { runs, threads } = createReinsClient({ ...options, baseUrl: app.app.url });
    const large = { ...value, small: "s", items: Array(600).fill(value) };
    const kit = await createRunKit(app);
    kit.gates.open();
    const { runId, threadId } = await kit.start({ manners: large as never });
    await kit.join(runId);
    for (const payloadFormat of [PayloadFormat.VALUE, PayloadFormat.JSON]) {
      const request = { threadId, runId, payloadFormat };
      const reader = readEvents((signal) => runs.joinRunStream(request, { signal }));
      expect(await reader.ended).toBeUndefined();
      const payloads = [
        (await runs.joinRun(request)).values,
        (await threads.getThreadState(request)).state!.values,
        ...(await threads.listThreadHistory({ ...request, limit: 2 })).states.map(({ values }) => values),
        (await runs.listRuns({ ...request, includeInput: true })).runs[0]!.spec!.input,
        outputs(reader.events).at(-1)!.data,
      ];
      expect(payloads).toHaveLength(6);
      for (const payload of payloads) {
        expect(payload!.encoding.case).toBe(payloadFormat === PayloadFormat.JSON ? "json" : "value");
        expect((fromPayload(payload) as { manners: object }).manners).toEqual(large);
      }
    }
    kit.gates.remove();
  });

  it("values are left out where that is asked for", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const { threadId } = kit;
    const { runs, threads } = app.client;
    const waited = await runs.waitRun({ create: { threadId, spec: kit.spec({}) }, omitValues: true });
    expect(waited).toMatchObject({ run: { status: RunStatus.SUCCESS } });
    const { runId } = waited.run!;
    const omitValues = true;
    const answers = [
      waited,
      await runs.joinRun({ threadId, runId, omitValues }),
      (await threads.getThread({ threadId, omitValues })).thread!,
      (await threads.getThreadState({ threadId, omitValues })).state!,
      ...(await threads.listThreadHistory({ threadId, omitValues })).states,
    ];
    for (const answer of answers) expect(answer.values).toBeUndefined();
    expect((await runs.joinRun({ threadId, runId })).values).toBeDefined();
    const listed = await runs.listRuns({ threadId, omitSpec: true });
    expect(listed.runs[0]).toMatchObject({ runId });
    expect(listed.runs[0]!.spec).toBeUndefined();
    kit.gates.remove();
  });
});
