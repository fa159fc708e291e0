import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Dump, dump } from "../support/dump.ts";
import { rawCall } from "../support/raw-call.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const unknown = randomUUID();
const uuid = /valid UUID/;

let app: TestApp;
/** A thread with a finished run and a delayed one, which nobody may touch, and another one beside it. */
let kit: RunKit;
let other: RunKit;
let finished: string;
let live: string;
let foreign: string;
let before: Dump;

beforeAll(async () => {
  app = await startTestApp();
  [kit, other] = [await createRunKit(app), await createRunKit(app)];
  for (const each of [kit, other]) each.gates.open();
  finished = (await kit.join((await kit.start({ steps: ["a"] })).runId)).runId;
  live = (await kit.start({}, { after: { seconds: 3600n } })).runId;
  foreign = (await other.join((await other.start({ steps: ["a"] })).runId)).runId;
  before = await dump(app.db);
});
afterAll(async () => {
  for (const each of [kit, other]) each.gates.remove();
  await app.close();
});

/** The watch of a caller that is refused is taken back just after the answer. */
const nothingChanged = () => expect.poll(() => dump(app.db), { timeout: 10_000 }).toEqual(before);

const named = ["CancelRun", "JoinRun", "JoinRunStream", "GetRun", "DeleteRun"] as const;
const watched = ["JoinRun", "JoinRunStream"] as const;
const actions = /CANCEL_ACTION_INTERRUPT, CANCEL_ACTION_ROLLBACK/;
const formats = /PAYLOAD_FORMAT_VALUE, PAYLOAD_FORMAT_JSON/;
const leaving = /ON_DISCONNECT_CONTINUE, ON_DISCONNECT_CANCEL/;
const statuses = /RUN_STATUS_PENDING, .*RUN_STATUS_INTERRUPTED/;

/** The RPC, what is changed in a good request, the field that the error names, and a piece of its sentence. */
type Row = readonly [rpc: string, change: Record<string, unknown>, field: string, sentence: RegExp];

const shape: Row[] = [
  ...named.flatMap((rpc): Row[] => [
    [rpc, { threadId: "" }, "thread_id", uuid],
    [rpc, { threadId: "mine" }, "thread_id", uuid],
    [rpc, { threadId: 7 }, "thread_id", /string/],
    [rpc, { runId: undefined }, "run_id", uuid],
    [rpc, { runId: `${unknown}0` }, "run_id", uuid],
    [rpc, { runId: [unknown] }, "run_id", /string/],
    [rpc, { runID: unknown }, "runID", /there is no such field; there are .*run_id/],
  ]),
  ["CancelRun", { action: 3 }, "action", actions],
  ["CancelRun", { action: "STOP" }, "action", actions],
  ["CancelRun", { action: "rollback" }, "action", actions],
  ["CancelRun", { wait: "true" }, "wait", /bool/],
  ["CancelRun", { waitTimeout: "-1s" }, "wait_timeout", /greater than or equal to 0s/],
  ["CancelRun", { waitTimeout: "31536001s" }, "wait_timeout", /less than or equal to 31536000s/],
  ["CancelRun", { waitTimeout: 5 }, "wait_timeout", /Duration/],
  ["CancelRun", { reason: 5 }, "reason", /string/],
  ["CancelRun", { reason: "x".repeat(1001) }, "reason", /at most 1000 characters/],
  ["CancelRun", { requestId: "x".repeat(201) }, "request_id", /at most 200 characters/],
  ["CancelRun", { requestId: {} }, "request_id", /string/],
  ...watched.flatMap((rpc): Row[] => [
    [rpc, { onDisconnect: 4 }, "on_disconnect", leaving],
    [rpc, { onDisconnect: "CANCEL" }, "on_disconnect", leaving],
    [rpc, { payloadFormat: 3 }, "payload_format", formats],
  ]),
  ["JoinRun", { timeout: "-0.001s" }, "timeout", /greater than or equal to 0s/],
  ["JoinRun", { timeout: "soon" }, "timeout", /Duration/],
  ["JoinRun", { omitValues: 1 }, "omit_values", /bool/],
  ["JoinRunStream", { afterSequence: -1 }, "after_sequence", /uint64/],
  ["JoinRunStream", { afterSequence: 1.5 }, "after_sequence", /uint64/],
  ["JoinRunStream", { streamModes: [0] }, "stream_modes[0]", /STREAM_MODE_VALUES/],
  ["JoinRunStream", { streamModes: [2, 2] }, "stream_modes", /unique/],
  ["JoinRunStream", { streamModes: ["updates"] }, "stream_modes", /STREAM_MODE_UPDATES/],
  ["GetRun", { payloadFormat: "JSON" }, "payload_format", formats],
  ["ListRuns", { threadId: "mine" }, "thread_id", uuid],
  ["ListRuns", { statuses: [0] }, "statuses[0]", statuses],
  ["ListRuns", { statuses: ["DONE"] }, "statuses", statuses],
  ["ListRuns", { statuses: [3, 3] }, "statuses", /unique/],
  ["ListRuns", { pageSize: -1 }, "page_size", /greater than or equal to 0/],
  ["ListRuns", { pageSize: 1001 }, "page_size", /less than or equal to 1000/],
  ["ListRuns", { pageToken: "x".repeat(1001) }, "page_token", /at most 1000 characters/],
  ["ListRuns", { metadata: "a=b" }, "metadata", /Struct/],
  ["ListRuns", { omitSpec: "no" }, "omit_spec", /bool/],
  ["ListRuns", { omitSpec: true, includeInput: true }, "request", /include_input goes without omit_spec/],
  ...(["WaitRun", "StreamRun"] as const).flatMap((rpc): Row[] => [
    [rpc, { create: undefined }, "create", /required/],
    [rpc, { create: [] }, "create", /is not a reins.v1.CreateRunRequest/],
    [rpc, { create: {} }, "create.spec", /required/],
    [rpc, { onDisconnect: 4 }, "on_disconnect", leaving],
    [rpc, { onDisconnect: "cancel" }, "on_disconnect", leaving],
    [rpc, { payloadFormat: 3 }, "payload_format", formats],
    [rpc, { spec: {} }, "spec", /there is no such field; there are create/],
  ]),
  ["WaitRun", { omitValues: "yes" }, "omit_values", /bool/],
];

/** A request that would be in order, on the run that is live. */
function good(rpc: string): Record<string, unknown> {
  if (rpc === "ListRuns") return { threadId: kit.threadId };
  if (rpc === "WaitRun" || rpc === "StreamRun") {
    return { create: { threadId: kit.threadId, spec: { assistantId: "gated" }, requestId: "refused" } };
  }
  return { threadId: kit.threadId, runId: live };
}

describe("a call about a run that is wrong is refused with the field and what is allowed, and nothing is changed", () => {
  it.each(shape)("%s %j", async (rpc, change, field, sentence) => {
    const { code, message, infos } = await rawCall(app.app.url, rpc, { ...good(rpc), ...change });
    expect([code, message]).toEqual(["invalid_argument", expect.stringMatching(sentence)]);
    expect(message).toContain(`${field}: `);
    expect(infos).toMatchObject([{ domain: "reins", reason: "INVALID_FIELD", metadata: { field } }]);
    await nothingChanged();
  });

  it.each(named)("%s of a run that there is not, or that is another thread's", async (rpc) => {
    for (const [threadId, runId] of [
      [kit.threadId, unknown],
      [kit.threadId, foreign],
      [other.threadId, live],
      [unknown, live],
    ] as const) {
      for (const more of rpc === "CancelRun" ? [{ wait: true }, { action: 2 }, { requestId: "r" }] : [{}]) {
        const { code, message, infos } = await rawCall(app.app.url, rpc, { threadId, runId, ...more });
        expect([code, message]).toEqual(["not_found", `run_id: thread ${threadId} has no run ${runId}`]);
        const metadata = { run_id: runId, thread_id: threadId };
        expect(infos).toMatchObject([{ domain: "reins", reason: "RUN_NOT_FOUND", metadata }]);
      }
    }
    await nothingChanged();
  });

  it.each(watched)("%s of such a run with CANCEL cancels none", async (rpc) => {
    for (const runId of [unknown, foreign]) {
      const request = { threadId: kit.threadId, runId, onDisconnect: "ON_DISCONNECT_CANCEL" };
      expect(await rawCall(app.app.url, rpc, request)).toMatchObject({ code: "not_found" });
    }
    await nothingChanged();
  });

  it.each([{}, { action: "CANCEL_ACTION_ROLLBACK" }, { wait: true, requestId: "r" }])(
    "CancelRun %j of a run that is over",
    async (more) => {
      const request = { threadId: kit.threadId, runId: finished, ...more };
      const { code, message, infos } = await rawCall(app.app.url, "CancelRun", request);
      expect([code, message]).toEqual([
        "failed_precondition",
        `run ${finished} is over with status SUCCESS; only PENDING and RUNNING runs can be cancelled`,
      ]);
      const metadata = { run_id: finished, status: "SUCCESS" };
      expect(infos).toMatchObject([{ domain: "reins", reason: "RUN_NOT_CANCELLABLE", metadata }]);
      await nothingChanged();
    },
  );

  it("JoinRunStream after a sequence that is not reached", async () => {
    for (const runId of [live, finished]) {
      const request = { threadId: kit.threadId, runId, afterSequence: "1000000" };
      const { code, message, infos } = await rawCall(app.app.url, "JoinRunStream", request);
      expect([code, message]).toEqual([
        "out_of_range",
        expect.stringMatching(/^after_sequence 1000000 is not reached/),
      ]);
      expect(infos).toMatchObject([{ domain: "reins", reason: "SEQUENCE_OUT_OF_RANGE" }]);
    }
    await nothingChanged();
  });

  it("ListRuns of a thread that there is not and with a token that was not given out", async () => {
    const list = (request: object) => rawCall(app.app.url, "ListRuns", request);
    expect(await list({ threadId: unknown })).toMatchObject({
      code: "not_found",
      message: `thread_id: there is no thread ${unknown}`,
      infos: [{ reason: "THREAD_NOT_FOUND" }],
    });
    expect(await list({ pageToken: "made-up" })).toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/^page_token: /),
      infos: [{ reason: "INVALID_PAGE_TOKEN" }],
    });
    await nothingChanged();
  });
});
