import { type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Payload } from "../../gen/reins/v1/payload_pb.ts";
import { SearchThreadsResponseSchema } from "../../gen/reins/v1/thread_service_pb.ts";
import { createReinsClient, fromPayload, PayloadFormat, type ReinsClient, StreamMode } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
const clients: Record<string, () => ReinsClient> = {
  gRPC: () => createReinsClient({ baseUrl: app.app.url }),
  "Connect with JSON": () => createReinsClient({ baseUrl: app.app.url, protocol: "connect", useBinaryFormat: false }),
};
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

/** Objects in each other; lists, where `open` and `close` say so. */
const nested = (levels: number, open = '{"a":', close = "}") =>
  JSON.parse(`${open.repeat(levels)}1${close.repeat(levels)}`) as JsonObject;

type Note = { manners: { note: unknown } } | undefined;
const noteIn = (payload: Payload | undefined) => (fromPayload(payload) as Note)?.manners.note;

/** Every answer that holds values, after a run has left them in its thread's state. */
const answers: Record<string, (client: ReinsClient, kit: RunKit, runId: string) => Promise<(Payload | undefined)[]>> = {
  GetThread: async ({ threads }, { threadId }) => [(await threads.getThread({ threadId })).thread!.values],
  SearchThreads: async ({ threads }, { threadId }) =>
    (await threads.searchThreads({ filter: { threadIds: [threadId] } })).threads.map(({ values }) => values),
  GetThreadState: async ({ threads }, { threadId }) => [(await threads.getThreadState({ threadId })).state!.values],
  ListThreadHistory: async ({ threads }, { threadId }) =>
    (await threads.listThreadHistory({ threadId, limit: 1 })).states.map(({ values }) => values),
  JoinRun: async ({ runs }, { threadId }, runId) => [(await runs.joinRun({ threadId, runId })).values],
  GetRun: async ({ runs }, { threadId }, runId) => [
    (await runs.getRun({ threadId, runId, includeInput: true })).run!.spec!.input,
  ],
  async JoinRunStream({ runs }, { threadId }, runId) {
    const found: (Payload | undefined)[] = [];
    for await (const { events } of runs.joinRunStream({ threadId, runId })) {
      for (const { event } of events) if (event.case === "output") found.push(event.value.data);
    }
    return found.slice(-1);
  },
};

// With the two levels above it in the state, the first is as deep as a Value may be.
describe.each([
  ["28 objects", nested(28), "value"],
  ["29 objects", nested(29), "json"],
  ["120 objects", nested(120), "json"],
  ["900 lists", nested(900, "[", "]"), "json"],
  ["brackets in a text", `${'["{'.repeat(200)}\\`, "value"],
  ["120 objects around a large text", { text: '\\"{['.repeat(20_000), ...nested(120) }, "json"],
] as const)("a value of %s", (_, note, encoding) => {
  let kit: RunKit;
  let runId: string;
  beforeAll(async () => {
    kit = await createRunKit(app);
    kit.gates.open();
    runId = (await kit.start({ steps: [], manners: { note } }, { streamModes: [StreamMode.VALUES] })).runId;
    await kit.join(runId);
  });
  afterAll(() => kit.gates.remove());

  it.each(Object.keys(answers).flatMap((call) => Object.keys(clients).map((client) => [call, client] as const)))(
    "is read as it was: %s, %s",
    async (call, client) => {
      const payloads = await answers[call]!(clients[client]!(), kit, runId);
      expect(payloads.map((payload) => payload?.encoding.case)).toEqual([encoding]);
      expect(JSON.stringify(payloads.map(noteIn))).toBe(JSON.stringify([note]));
    },
  );

  it("is JSON wherever that is asked for", async () => {
    const { threadId } = kit;
    const { thread } = await app.client.threads.getThread({ threadId, payloadFormat: PayloadFormat.JSON });
    expect(thread!.values!.encoding.case).toBe("json");
  });
});

it("metadata as deep as it may be leaves a list within the 100 levels of protobuf's readers", async () => {
  const metadata = nested(30);
  const { threadId } = (await app.client.threads.createThread({ metadata })).thread!;
  const found = await app.client.threads.searchThreads({ filter: { threadIds: [threadId] } });
  expect(found.threads.map((thread) => thread.metadata)).toEqual([metadata]);
  const levels = levelsOf(toBinary(SearchThreadsResponseSchema, found));
  expect(levels).toBeGreaterThan(90);
  expect(levels).toBeLessThanOrEqual(100);
});

/** How many messages stand in each other, the answer itself included, on the way to the innermost value of the metadata. */
function levelsOf(answer: Uint8Array): number {
  const [threads, metadata, fields, value, struct] = [1, 3, 1, 2, 5];
  const path = [threads, metadata];
  let bytes: Uint8Array | undefined = answer;
  let levels = 0;
  while (bytes) {
    levels += 1;
    if (path.length === 0) path.push(fields!, value!, struct!);
    bytes = messageIn(bytes, path.shift()!);
  }
  return levels;
}

function messageIn(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.LengthDelimited) return reader.bytes();
    reader.skip(type, field);
  }
  return undefined;
}
