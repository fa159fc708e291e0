import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { databaseDigest } from "../support/database-digest.ts";
import { rawCall } from "../support/raw-call.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Bad requests: the RPC, what is changed in a good request, the field that is named, and a piece of the sentence. */
type Row = readonly [rpc: string, change: Record<string, unknown>, field: string, allowed: RegExp];

const thread = randomUUID();
const run = randomUUID();
const uuid = /valid UUID/;
const create = (change: Record<string, unknown>) => ({ create: { threadId: thread, spec: spec({}), ...change } });
const spec = (change: Record<string, unknown>) => ({ assistantId: "gated", ...change });

const good: Record<string, Record<string, unknown>> = {
  CreateRun: { threadId: thread, spec: spec({}) },
  WaitRun: create({}),
  StreamRun: create({}),
  GetRun: { threadId: thread, runId: run },
  ListRuns: {},
  DeleteRun: { threadId: thread, runId: run },
  JoinRun: { threadId: thread, runId: run },
  JoinRunStream: { threadId: thread, runId: run },
  CancelRun: { threadId: thread, runId: run },
  CancelRuns: { runs: { threadId: thread, runIds: [run] } },
  CreateThread: {},
  GetThread: { threadId: thread },
  DeleteThread: { threadId: thread },
  GetThreadState: { threadId: thread },
  ListThreadHistory: { threadId: thread },
};
const rpcs = Object.keys(good);
const having = (field: string) => rpcs.filter((rpc) => field in good[rpc]!);

const modes = /STREAM_MODE_VALUES, .*STREAM_MODE_DEBUG/;
const strategies = /MULTITASK_STRATEGY_ENQUEUE, MULTITASK_STRATEGY_REJECT/;
const actions = /CANCEL_ACTION_INTERRUPT, CANCEL_ACTION_ROLLBACK/;
const leaving = /ON_DISCONNECT_CONTINUE, ON_DISCONNECT_CANCEL/;
const formats = /PAYLOAD_FORMAT_VALUE, PAYLOAD_FORMAT_JSON/;
const live = /LIVE_RUN_STATUS_PENDING, LIVE_RUN_STATUS_RUNNING, LIVE_RUN_STATUS_ALL/;
const statuses = /RUN_STATUS_PENDING, .*RUN_STATUS_INTERRUPTED/;
const duration = /Duration|duration/;

const withFormat = ["WaitRun", "StreamRun", "GetRun", "ListRuns", "JoinRun", "JoinRunStream", "GetThread"];
const watching = ["WaitRun", "StreamRun", "JoinRun", "JoinRunStream"];

/** The same spec in each of the RPCs that take one. */
function inSpec(change: Record<string, unknown>, field: string, allowed: RegExp): Row[] {
  return [
    ["CreateRun", { spec: spec(change) }, `spec.${field}`, allowed],
    ["WaitRun", create({ spec: spec(change) }), `create.spec.${field}`, allowed],
    ["StreamRun", create({ spec: spec(change) }), `create.spec.${field}`, allowed],
  ];
}

const missing: Row[] = [
  // Without a thread a new run is a stateless one.
  ...having("threadId")
    .filter((rpc) => rpc !== "CreateRun")
    .map((rpc): Row => [rpc, { threadId: undefined }, "thread_id", uuid]),
  ...having("runId").map((rpc): Row => [rpc, { runId: "" }, "run_id", uuid]),
  ...having("create").map((rpc): Row => [rpc, { create: null }, "create", /required/]),
  ["CreateRun", { spec: undefined }, "spec", /required/],
  ["StreamRun", create({ spec: null }), "create.spec", /required/],
  ...inSpec({ assistantId: "" }, "assistant_id", /at least 1 character/),
  ...inSpec({ input: {} }, "input.encoding", /exactly one field is required/),
  ...inSpec({ command: { resume: {} } }, "command.resume.encoding", /exactly one field is required/),
  ["CancelRuns", { runs: undefined }, "target", /exactly one field is required/],
  ["CancelRuns", { runs: { threadId: thread, runIds: [] } }, "runs.run_ids", /at least 1 item/],
  ["CancelRuns", { runs: undefined, filter: {} }, "filter.status", live],
];

const malformed: Row[] = [
  ...having("threadId").map((rpc): Row => [rpc, { threadId: "42" }, "thread_id", uuid]),
  ...having("runId").map((rpc): Row => [rpc, { runId: `${run}x` }, "run_id", uuid]),
  ["CreateThread", { threadId: "mine" }, "thread_id", uuid],
  ["CreateRun", { runId: "mine" }, "run_id", uuid],
  ["WaitRun", create({ threadId: "mine" }), "create.thread_id", uuid],
  ["ListRuns", { threadId: "mine" }, "thread_id", uuid],
  ["CancelRuns", { runs: { threadId: thread, runIds: [run, "x"] } }, "runs.run_ids[1]", uuid],
  ["CancelRuns", { runs: undefined, filter: { status: 3, threadId: "x" } }, "filter.thread_id", uuid],
  ["GetThreadState", { checkpointId: "newest" }, "checkpoint_id", uuid],
  ["ListThreadHistory", { beforeCheckpointId: "newest" }, "before_checkpoint_id", uuid],
  ...inSpec({ checkpointId: "newest" }, "checkpoint_id", uuid),
];

const wrongType: Row[] = [
  ...rpcs.map((rpc): Row => [rpc, { nonsense: 1 }, "nonsense", /there is no such field; there are \w+/]),
  ...having("threadId").map((rpc): Row => [rpc, { threadId: 7 }, "thread_id", /string/]),
  ["CreateRun", { spec: "gated" }, "spec", /is not a reins.v1.RunSpec/],
  ["WaitRun", { create: [1] }, "create", /is not a reins.v1.CreateRunRequest/],
  ["WaitRun", { omitValues: "yes" }, "omit_values", /bool/],
  ["ListRuns", { pageSize: "ten" }, "page_size", /int32/],
  ["ListRuns", { metadata: "a=b" }, "metadata", /Struct/],
  ["ListRuns", { statuses: "RUN_STATUS_ERROR" }, "statuses", /Array/],
  ["CreateThread", { metadata: ["a"] }, "metadata", /Struct/],
  ["JoinRun", { timeout: "soon" }, "timeout", duration],
  ["JoinRun", { timeout: 5 }, "timeout", duration],
  ["JoinRunStream", { afterSequence: -1 }, "after_sequence", /uint64/],
  ["JoinRunStream", { afterSequence: "x" }, "after_sequence", /uint64/],
  ["CancelRun", { wait: 1 }, "wait", /bool/],
  ["CancelRun", { reason: 1 }, "reason", /string/],
  ["CancelRuns", { runs: { threadId: thread, runIds: "x" } }, "runs.run_ids", /Array/],
  ...inSpec({ input: { json: "*" } }, "input.json", /base64/),
  ...inSpec({ input: 5 }, "input", /is not a reins.v1.Payload/),
  ...inSpec({ streamModes: "values" }, "stream_modes", /Array/),
  ...inSpec({ streamSubgraphs: 1 }, "stream_subgraphs", /bool/),
  ...inSpec({ config: { recursionLimit: 2.5 } }, "config.recursion_limit", /int32/),
  ...inSpec({ interruptBefore: [1] }, "interrupt_before", /string/),
  ...inSpec({ timeout: "1 minute" }, "timeout", duration),
];

const outOfRange: Row[] = [
  ["ListRuns", { pageSize: 1001 }, "page_size", /less than or equal to 1000/],
  ["ListRuns", { pageSize: -1 }, "page_size", /greater than or equal to 0/],
  ["ListRuns", { pageToken: "x".repeat(1001) }, "page_token", /at most 1000 characters/],
  ["ListThreadHistory", { limit: 1001 }, "limit", /less than or equal to 1000/],
  ["JoinRun", { timeout: "-1s" }, "timeout", /greater than or equal to 0s/],
  ["JoinRun", { timeout: "31536001s" }, "timeout", /less than or equal to 31536000s/],
  ["CancelRun", { waitTimeout: "-1s" }, "wait_timeout", /greater than or equal to 0s/],
  ["CancelRuns", { waitTimeout: "-0.5s" }, "wait_timeout", /greater than or equal to 0s/],
  ["CancelRun", { reason: "x".repeat(1001) }, "reason", /at most 1000 characters/],
  ["CancelRuns", { runs: { threadId: thread, runIds: [run, run] } }, "runs.run_ids", /unique/],
  ...inSpec({ assistantId: "x".repeat(201) }, "assistant_id", /at most 200 characters/),
  ...inSpec({ config: { recursionLimit: -1 } }, "config.recursion_limit", /greater than or equal to 0/),
  ...inSpec({ config: { recursionLimit: 100_001 } }, "config.recursion_limit", /less than or equal to 100000/),
  ...inSpec({ timeout: "0s" }, "timeout", /greater than or equal to 0.001s/),
  ...inSpec({ streamModes: [1, 1] }, "stream_modes", /unique/),
  ...inSpec({ interruptAfter: [""] }, "interrupt_after[0]", /at least 1 character/),
  ...inSpec({ command: { goto: [""] } }, "command.goto[0]", /at least 1 character/),
];

const enums: Row[] = [
  ...withFormat.map((rpc): Row => [rpc, { payloadFormat: 9 }, "payload_format", formats]),
  ...withFormat.map((rpc): Row => [rpc, { payloadFormat: "JSON" }, "payload_format", formats]),
  ...watching.map((rpc): Row => [rpc, { onDisconnect: 7 }, "on_disconnect", leaving]),
  ...watching.map((rpc): Row => [rpc, { onDisconnect: "cancel" }, "on_disconnect", leaving]),
  ["CancelRun", { action: 3 }, "action", actions],
  ["CancelRun", { action: "ROLL_BACK" }, "action", actions],
  ["CancelRuns", { action: "interrupt" }, "action", actions],
  ["CancelRuns", { runs: undefined, filter: { status: 4 } }, "filter.status", live],
  ["CancelRuns", { runs: undefined, filter: { status: "all" } }, "filter.status", live],
  ["CreateThread", { ifExists: 5 }, "if_exists", /IF_EXISTS_RAISE, IF_EXISTS_DO_NOTHING/],
  ["CreateRun", { ifNotExists: "yes" }, "if_not_exists", /IF_NOT_EXISTS_REJECT, IF_NOT_EXISTS_CREATE/],
  ["ListRuns", { statuses: ["RUN_STATUS_DONE"] }, "statuses", statuses],
  ["ListRuns", { statuses: [0] }, "statuses[0]", statuses],
  ["JoinRunStream", { streamModes: [0] }, "stream_modes[0]", modes],
  ["JoinRunStream", { streamModes: ["values"] }, "stream_modes", modes],
  ...inSpec({ streamModes: [99] }, "stream_modes[0]", modes),
  ...inSpec({ streamModes: ["events"] }, "stream_modes", modes),
  ...inSpec({ multitaskStrategy: 9 }, "multitask_strategy", strategies),
  ...inSpec({ multitaskStrategy: "interupt" }, "multitask_strategy", strategies),
  ...inSpec({ durability: "never" }, "durability", /DURABILITY_SYNC, DURABILITY_ASYNC, DURABILITY_EXIT/),
];

describe("law 12: a request of the wrong shape is answered with the field and what is allowed", () => {
  let app: TestApp;
  let before: Record<string, string>;
  beforeAll(async () => {
    app = await startTestApp();
    await app.client.threads.createThread({ threadId: thread });
    before = await databaseDigest(app.db);
  });
  afterAll(() => app.close());

  describe.each(Object.entries({ missing, malformed, wrongType, outOfRange, enums }))("%s", (_, rows) => {
    it.each(rows)("%s %j", async (rpc, change, field, allowed) => {
      const answer = await rawCall(app.app.url, rpc, { ...good[rpc], ...change });
      expect(answer).toMatchObject({ code: "invalid_argument", message: expect.stringMatching(allowed) });
      expect(answer.message).toContain(`${field}: `);
      expect(answer.infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD", metadata: { field } }]);
    });
  });

  it.each(rpcs)("%s with what is no JSON object", async (rpc) => {
    for (const body of ["", "{", "[]", '"x"', "null", "\ud800".toWellFormed()]) {
      const answer = await rawCall(app.app.url, rpc, body);
      expect(answer).toMatchObject({ code: "invalid_argument", infos: [{ domain: "reins" }] });
      expect(["MALFORMED_REQUEST", "INVALID_FIELD"]).toContain(answer.infos[0]!.reason);
    }
  });

  it("changed nothing with any of these", async () => {
    expect(await databaseDigest(app.db)).toEqual(before);
  });
});
