import { create, toBinary } from "@bufbuild/protobuf";
import { PayloadFormat } from "../../gen/reins/v1/payload_pb.ts";
import { CancelRunsRequestSchema, CreateRunRequestSchema } from "../../gen/reins/v1/run_service_pb.ts";
import {
  GetThreadStateRequestSchema,
  ListThreadHistoryRequestSchema,
  UpdateThreadStateRequestSchema,
} from "../../gen/reins/v1/thread_service_pb.ts";

/** A body, the door that it knocks at, and how it is addressed. */
export interface HostileBody {
  readonly name: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

const maxBytes = 16 * 1024 * 1024 - 64;
/** The threads that are there. */
export const threads = {
  small: "11111111-1111-4111-8111-111111111111",
  large: "22222222-2222-4222-8222-222222222222",
} as const;
const thread = threads.small;
const many = (item: string, bytes = 15_000_000) =>
  Array(Math.floor(bytes / (item.length + 1)))
    .fill(item)
    .join(",");
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const bytesOf = (text: string) => new TextEncoder().encode(text);

const rest = (name: string, path: string, text: string): HostileBody => ({
  name: `REST, ${name}`,
  path,
  contentType: "application/json",
  body: bytesOf(text),
});
const connect = (name: string, rpc: string, text: string): HostileBody => ({
  name: `Connect JSON, ${name}`,
  path: `/reins.v1.${rpc}`,
  contentType: "application/json",
  body: bytesOf(text),
});
const binary = (name: string, rpc: string, body: Uint8Array): HostileBody => ({
  name: `binary, ${name}`,
  path: `/reins.v1.${rpc}`,
  contentType: "application/proto",
  body,
});

/** Wraps bytes into a field of a message. */
const field = (number: number, inner: Uint8Array): Uint8Array =>
  Buffer.concat([varint((number << 3) | 2), varint(inner.length), inner]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

/** spec.input.value.list_value with these bytes as its items. */
const valueInput = (items: Uint8Array) =>
  field(3, Buffer.concat([field(1, bytesOf("plain")), field(2, field(1, field(6, items)))]));
const repeated = (unit: number[], bytes = maxBytes - 100) =>
  Buffer.alloc(Math.floor(bytes / unit.length) * unit.length, Buffer.from(unit));
const jsonInput = (text: string) =>
  toBinary(
    CreateRunRequestSchema,
    create(CreateRunRequestSchema, {
      spec: { assistantId: "plain", input: { encoding: { case: "json", value: bytesOf(text) } } },
    }),
  );

export const messages = Array.from({ length: 40_000 }, (_, i) => ({
  type: "human",
  id: `m${i}`,
  content: `Message ${i}. ${"Words ".repeat(15)}`,
  extra: {},
}));
const messagesText = JSON.stringify(messages);
const dictionary = (entries: number) => `{${Array.from({ length: entries }, (_, i) => `"key ${i}":${i}`)}}`;

/** What a client may send to hold up everybody else; the last ones are large and well meant. */
export const hostileBodies: readonly (() => HostileBody)[] = [
  () => rest("5 M empty lists as input", "/runs", `{"assistant_id":"plain","input":[${many("[]")}]}`),
  () => rest("250 k empty lists as input", "/runs", `{"assistant_id":"plain","input":[${many("[]", 700_000)}]}`),
  () =>
    rest("1 M wrong stream modes", "/runs", `{"assistant_id":"plain","stream_mode":[${many('"wrong"', 8_000_000)}]}`),
  () =>
    rest(
      "11,000 wrong stream modes",
      "/runs",
      `{"assistant_id":"plain","stream_mode":[${many('"wrong"', 11_000 * 8)}]}`,
    ),
  () =>
    rest("1 M tags of a wrong kind", "/runs", `{"assistant_id":"plain","config":{"tags":[${many("1", 2_000_000)}]}}`),
  () => rest("nested 7 M deep", "/runs", `{"assistant_id":"plain","input":${nested(7_000_000)}}`),
  () => rest("nested 120,000 deep", "/runs", `{"assistant_id":"plain","input":${nested(120_000)}}`),
  () => rest("broken after 15 MB", "/runs", `{"assistant_id":"plain","input":[${many('"some text"')}`),
  () => rest("480,000 different names", "/runs", `{"assistant_id":"plain","input":${dictionary(480_000)}}`),
  () =>
    rest(
      "480,000 different names as configuration",
      "/runs",
      `{"assistant_id":"plain","config":{"configurable":${dictionary(480_000)}}}`,
    ),
  () =>
    rest(
      "a batch of 100 with 4,000 values each",
      "/runs/batch",
      `[${Array(100).fill(`{"assistant_id":"plain","input":[${many("1", 8_000)}]}`)}]`,
    ),
  () => rest("5 M wrong ids to cancel", "/runs/cancel", `{"thread_id":"${thread}","run_ids":[${many('"x"')}]}`),
  () =>
    rest(
      "10,000 ids to cancel",
      "/runs/cancel",
      JSON.stringify({ thread_id: thread, run_ids: Array.from({ length: 10_000 }, () => crypto.randomUUID()) }),
    ),
  () => rest("a metadata filter of 5 M numbers", "/threads/search", `{"metadata":{"a":[${many("1", 10_000_000)}]}}`),
  () => rest("a filter of 300,000 values", "/threads/search", `{"values":${dictionary(300_000)}}`),
  () => rest("metadata of 11,000 fields", "/threads", `{"metadata":${dictionary(11_000)}}`),
  () => rest("state of 4 M empty objects", `/threads/${thread}/state`, `{"values":{"a":[${many("{}", 12_000_000)}]}}`),
  () =>
    rest(
      "an item of 4 M numbers",
      "/store/items",
      `{"namespace":["a"],"key":"k","value":{"a":[${many("1", 8_000_000)}]}}`,
    ),
  () =>
    rest(
      "a filter of items",
      "/store/items/search",
      `{"namespace_prefix":[],"filter":{"a":[${many("1", 8_000_000)}]}}`,
    ),
  () =>
    rest(
      "a command of 4 M values",
      `/threads/${thread}/commands`,
      `{"id":1,"method":"run.start","params":{"assistant_id":"plain","input":[${many("{}", 12_000_000)}]}}`,
    ),
  () =>
    connect(
      "5 M empty lists as input",
      "RunService/CreateRun",
      `{"spec":{"assistantId":"plain","input":{"value":[${many("[]")}]}}}`,
    ),
  () =>
    connect(
      "240,000 values as input",
      "RunService/CreateRun",
      `{"spec":{"assistantId":"plain","input":{"value":[${many("1", 480_000)}]}}}`,
    ),
  () =>
    connect(
      "1 M wrong stream modes",
      "RunService/CreateRun",
      `{"spec":{"assistantId":"plain","streamModes":[${many("99", 3_000_000)}]}}`,
    ),
  () => connect("nested 7 M deep", "RunService/CreateRun", `{"spec":{"input":{"value":${nested(7_000_000)}}}}`),
  () =>
    connect(
      "a metadata filter",
      "ThreadService/SearchThreads",
      `{"filter":{"metadata":{"a":[${many("1", 10_000_000)}]}}}`,
    ),
  () => binary("4 M empty lists in a Value", "RunService/CreateRun", valueInput(repeated([0x0a, 2, 0x32, 0]))),
  () => binary("240,000 numbers in a Value", "RunService/CreateRun", valueInput(repeated([0x0a, 2, 0x20, 1], 960_000))),
  () => binary("8 M unknown fields", "RunService/CreateRun", repeated([0x78, 1])),
  () =>
    binary("16 M stream modes, packed", "RunService/CreateRun", field(3, field(8, Buffer.alloc(maxBytes - 100, 1)))),
  () =>
    binary(
      "a Value nested 2 M deep",
      "RunService/CreateRun",
      repeated([0x32, 0x80, 0x80, 0x80, 7, 0x0a, 0x80, 0x80, 0x80, 7]),
    ),
  () => binary("480,000 values in JSON bytes", "RunService/CreateRun", jsonInput(`[${many("1", 960_000)}]`)),
  () => binary("JSON bytes nested 7 M deep", "RunService/CreateRun", jsonInput(nested(7_000_000))),
  () =>
    binary(
      "10,000 ids to cancel",
      "RunService/CancelRuns",
      toBinary(
        CancelRunsRequestSchema,
        create(CancelRunsRequestSchema, {
          target: {
            case: "runs",
            value: { threadId: thread, runIds: Array.from({ length: 10_000 }, () => crypto.randomUUID()) },
          },
        }),
      ),
    ),
  () =>
    binary(
      "JSON bytes as state",
      "ThreadService/UpdateThreadState",
      toBinary(
        UpdateThreadStateRequestSchema,
        create(UpdateThreadStateRequestSchema, {
          threadId: thread,
          values: { encoding: { case: "json", value: bytesOf(`{"a":[${many("1", 960_000)}]}`) } },
        }),
      ),
    ),
  () => rest("well meant: 40,000 messages", "/runs", `{"assistant_id":"plain","input":{"messages":${messagesText}}}`),
  () =>
    connect(
      "well meant: 40,000 messages",
      "RunService/CreateRun",
      `{"spec":{"assistantId":"plain","input":{"value":{"messages":${messagesText}}}}}`,
    ),
  () =>
    binary(
      "well meant: 40,000 messages in JSON bytes, with a request id",
      "RunService/CreateRun",
      Buffer.concat([jsonInput(`{"messages":${messagesText}}`), field(5, bytesOf("r1"))]),
    ),
  () => rest("answer: a history of such states", `/threads/${threads.large}/history`, '{"limit":3}'),
  ...(["VALUE", "JSON"] as const).flatMap((format) => [
    () =>
      connect(
        `answer as ${format}: a state of 40,000 messages`,
        "ThreadService/GetThreadState",
        `{"threadId":"${threads.large}","payloadFormat":"PAYLOAD_FORMAT_${format}"}`,
      ),
    () =>
      connect(
        `answer as ${format}: a history of such states`,
        "ThreadService/ListThreadHistory",
        `{"threadId":"${threads.large}","limit":3,"payloadFormat":"PAYLOAD_FORMAT_${format}"}`,
      ),
    () =>
      connect(
        `answer as ${format}: runs with their inputs`,
        "RunService/ListRuns",
        `{"threadId":"${threads.large}","includeInput":true,"pageSize":100,"payloadFormat":"PAYLOAD_FORMAT_${format}"}`,
      ),
    () =>
      binary(
        `answer as ${format}: a state of 40,000 messages`,
        "ThreadService/GetThreadState",
        toBinary(
          GetThreadStateRequestSchema,
          create(GetThreadStateRequestSchema, { threadId: threads.large, payloadFormat: PayloadFormat[format] }),
        ),
      ),
    () =>
      binary(
        `answer as ${format}: a history of such states`,
        "ThreadService/ListThreadHistory",
        toBinary(
          ListThreadHistoryRequestSchema,
          create(ListThreadHistoryRequestSchema, {
            threadId: threads.large,
            limit: 3,
            payloadFormat: PayloadFormat[format],
          }),
        ),
      ),
  ]),
];
