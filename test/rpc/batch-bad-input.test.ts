import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { MultitaskStrategy, OnCompletion } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists } from "../../gen/reins/v1/run_service_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { type Dump, dump, tombstones } from "../support/dump.ts";
import { rawCall } from "../support/raw-call.ts";
import type { SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let before: Dump;
const threadId = randomUUID();

beforeAll(async () => {
  app = await startTestApp({ config: { maxBatch: 20 } });
  await app.client.threads.createThread({ threadId });
  before = await dump(app.db);
});
afterAll(async () => {
  expect(await tombstones(app.db)).toEqual([]);
  await app.close();
});

interface Item {
  readonly threadId?: string;
  readonly runId?: string;
  readonly requestId?: string;
  readonly ifNotExists?: IfNotExists;
  readonly spec?: SpecInit;
}

/** What is wrong with a run, the field's path in it, and what the sentence must say. */
type Row = readonly [what: string, change: { item?: Item; spec?: SpecInit }, field: string, says: RegExp];

const input = toPayload({ dir: "/nowhere" });
const build = ({ item, spec }: Row[1]): Item => ({
  spec: { assistantId: "gated", input, ...spec } as SpecInit,
  ...item,
});
const json = (bytes: string) => ({ encoding: { case: "json", value: Buffer.from(bytes) } }) as const;

const unnamed: Row[] = [
  ["a checkpoint id", { spec: { checkpointId: randomUUID() } }, "spec.checkpoint_id", /needs a thread_id/],
  ["a checkpoint", { spec: { checkpoint: {} } }, "spec.checkpoint", /needs a thread_id/],
  [
    "an answer",
    { spec: { input: undefined, command: { resume: toPayload(1) } } },
    "spec.command.resume",
    /needs a thread_id/,
  ],
  ...[MultitaskStrategy.ENQUEUE, MultitaskStrategy.ROLLBACK].map(
    (multitaskStrategy): Row => [
      `strategy ${multitaskStrategy}`,
      { spec: { multitaskStrategy } },
      "spec.multitask_strategy",
      /needs a thread_id/,
    ],
  ),
  ...[IfNotExists.REJECT, IfNotExists.CREATE].map(
    (ifNotExists): Row => [
      `if_not_exists ${ifNotExists}`,
      { item: { ifNotExists } },
      "if_not_exists",
      /needs a thread_id/,
    ],
  ),
];

const webhooks: Row[] = [
  ...[
    "hook",
    "/hook",
    "//host/hook",
    "ftp://host/hook",
    "http://",
    "http:host",
    "https://a b/",
    " http://host",
    "http://host\n",
    "javascript:1",
  ].map(
    (webhook): Row => [
      `the webhook ${JSON.stringify(webhook)}`,
      { spec: { webhook } },
      "spec.webhook",
      /absolute URL that begins with http/,
    ],
  ),
  ...["http://user@host/", "https://user:word@host/", "https://:word@host/"].map(
    (webhook): Row => [`the webhook ${webhook}`, { spec: { webhook } }, "spec.webhook", /must not hold credentials/],
  ),
  [
    "a long webhook",
    { spec: { webhook: `http://host/${"x".repeat(2000)}` } },
    "spec.webhook",
    /at most 2000 characters/,
  ],
];

const others: Row[] = [
  ["no spec", { item: { spec: undefined } }, "spec", /required/],
  ["no assistant", { spec: { assistantId: "" } }, "spec.assistant_id", /at least 1 character/],
  ["a broken input", { spec: { input: json("{") } }, "spec.input.json", /must be JSON text/],
  ["a context that is no object", { spec: { context: toPayload([1]) } }, "spec.context", /must be a JSON object/],
  [
    "a server's key",
    { spec: { config: { configurable: toPayload({ thread_id: "x" }) } } },
    "spec.config.configurable",
    /"thread_id"/,
  ],
  ["input with a command", { spec: { command: { goto: ["a"] } } }, "spec.command", /together with spec\.input/],
  ["metadata without a number", { spec: { metadata: { rate: Number.NaN } } }, "spec.metadata", /NaN/],
  [
    "an unknown completion",
    { spec: { onCompletion: 9 as OnCompletion } },
    "spec.on_completion",
    /ON_COMPLETION_DELETE, ON_COMPLETION_KEEP/,
  ],
];

const ids: Row[] = [
  ["a thread", { item: { threadId } }, "thread_id", /must be empty in a batch/],
  ["an id", { item: { runId: randomUUID() } }, "run_id", /must be empty in a batch/],
  ["a request id", { item: { requestId: "r" } }, "request_id", /must be empty in a batch/],
];

async function refused(call: Promise<unknown>, code: Code, reason: string, field: string | undefined, says: RegExp) {
  const error = await call.then(() => expect.fail("it was accepted"), ConnectError.from);
  expect([Code[error.code], error.findDetails(ErrorInfoSchema)]).toMatchObject([
    Code[code],
    [{ domain: "reins", reason, metadata: field === undefined ? {} : { field } }],
  ]);
  expect(error.rawMessage).toMatch(says);
  if (field !== undefined) expect(error.rawMessage).toContain(`${field}: `);
  expect(await dump(app.db)).toEqual(before);
}

describe("a run without a thread", () => {
  it.each([...unnamed, ...webhooks])("with %s", async (_, change, field, says) => {
    const { runs } = app.client;
    const create = build(change);
    await refused(runs.createRun(create), Code.InvalidArgument, "INVALID_FIELD", field, says);
    const inside = field.startsWith("spec.webhook") && says.source.includes("2000") ? `create.${field}` : field;
    await refused(runs.waitRun({ create }), Code.InvalidArgument, "INVALID_FIELD", inside, says);
    const read = async () => {
      for await (const _ of runs.streamRun({ create }));
    };
    await refused(read(), Code.InvalidArgument, "INVALID_FIELD", inside, says);
  });
});

describe("a run on a thread", () => {
  it.each([OnCompletion.DELETE, OnCompletion.KEEP])("with on_completion %i", (onCompletion) =>
    refused(
      app.client.runs.createRun({ ...build({ spec: { onCompletion } }), threadId }),
      ...([Code.InvalidArgument, "INVALID_FIELD", "spec.on_completion", /together with thread_id/] as const),
    ),
  );

  it.each(webhooks)("with %s", (_, change, field, says) =>
    refused(
      app.client.runs.createRun({ ...build(change), threadId }),
      ...([Code.InvalidArgument, "INVALID_FIELD", field, says] as const),
    ),
  );
});

describe("a batch in which one run has", () => {
  it.each([...ids, ...unnamed, ...webhooks, ...others])("%s", async (_, change, field, says) => {
    const good = () => build({});
    const runs = [good(), good(), build(change), good()];
    const call = app.client.runs.batchCreateRuns({ runs, requestId: "r" });
    await refused(call, Code.InvalidArgument, "INVALID_FIELD", `runs[2].${field}`, says);
  });

  it("an unknown graph, or a broken one", async () => {
    const batch = (assistantId: string) =>
      app.client.runs.batchCreateRuns({ runs: [build({}), build({ spec: { assistantId } })] });
    const unknown = /^runs\[1\]\.assistant_id: .*"gatde"/;
    await refused(batch("gatde"), Code.InvalidArgument, "GRAPH_NOT_FOUND", undefined, unknown);
    await refused(
      batch("broken"),
      Code.FailedPrecondition,
      "GRAPH_UNAVAILABLE",
      undefined,
      /^runs\[1\]\.assistant_id: /,
    );
  });
});

describe("a batch", () => {
  it("of nothing, or of more runs than are allowed", async () => {
    const batch = (length: number) =>
      app.client.runs.batchCreateRuns({ runs: Array.from({ length }, () => build({})) });
    await refused(batch(0), Code.InvalidArgument, "INVALID_FIELD", "runs", /at least 1 item/);
    await refused(batch(21), Code.InvalidArgument, "INVALID_FIELD", "runs", /has 21 runs; at most 20 are allowed/);
  });

  it("of more than the database takes", async () => {
    const half = build({ spec: { input: toPayload("x".repeat(4 * 1024 * 1024)) } });
    const tooLarge = [Code.ResourceExhausted, "INPUT_TOO_LARGE"] as const;
    await refused(
      app.client.runs.batchCreateRuns({ runs: [half, half] }),
      ...tooLarge,
      "runs",
      /together; at most 8388608/,
    );
    // What is in no request counts as well, once for each run.
    const context = toPayload({ text: "x".repeat(1024 * 1024) });
    const { assistant } = await app.client.assistants.createAssistant({ graphId: "gated", context });
    const { assistantId } = assistant!;
    before = await dump(app.db);
    const runs = Array.from({ length: 16 }, () => build({ spec: { assistantId } }));
    await refused(
      app.client.runs.batchCreateRuns({ runs }),
      ...tooLarge,
      "runs",
      /settings of their assistants .*; at most 15728640/,
    );
    await app.client.assistants.deleteAssistant({ assistantId });
    before = await dump(app.db);
    const large = build({ spec: { metadata: { large: "x".repeat(65_536) } } });
    const call = app.client.runs.batchCreateRuns({ runs: [build({}), large] });
    await refused(call, ...tooLarge, "runs[1].spec.metadata", /at most 65536 are allowed/);
  });

  it.each([
    ["request_id", { requestId: "x".repeat(201) }, /at most 200 characters/],
    ["request_id", { requestId: 7 }, /string/],
    ["runs", { runs: "all" }, /Array/],
    ["nonsense", { nonsense: 1 }, /there is no such field; there are/],
    [
      "runs[0].spec.on_completion",
      { runs: [{ spec: { assistantId: "gated", onCompletion: "GO" } }] },
      /ON_COMPLETION_DELETE/,
    ],
  ])("with a wrong %s %j", async (field, change, says) => {
    const good = { runs: [{ spec: { assistantId: "gated" } }] };
    const answer = await rawCall(app.app.url, "BatchCreateRuns", { ...good, ...change });
    expect(answer).toMatchObject({ code: "invalid_argument", message: expect.stringMatching(says) });
    expect(answer.infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD" }]);
    expect(answer.message).toContain(field.split(".").at(-1));
    expect(await dump(app.db)).toEqual(before);
  });
});
