import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import { CancelAction, MultitaskStrategy, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { IfNotExists, LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import {
  createGrpcJsClient,
  createReinsClient,
  errorInfo,
  type ReinsClient,
  RunService,
  toPayload,
} from "../../src/client/index.ts";
import { maxStoredBytes } from "../../src/domain/check-metadata.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A thread with a finished run, and another one beside it. */
let app: TestApp;
let kit: RunKit;
let other: RunKit;
let finished: string;
let foreign: string;
let before: Record<string, string>;

beforeAll(async () => {
  app = await startTestApp();
  [kit, other] = [await createRunKit(app), await createRunKit(app)];
  for (const each of [kit, other]) each.gates.open();
  finished = (await kit.join((await kit.start()).runId)).runId;
  foreign = (await other.join((await other.start()).runId)).runId;
  before = await databaseDigest(app.db);
});
afterAll(async () => {
  for (const each of [kit, other]) each.gates.remove();
  await app.close();
});

interface Refusal {
  readonly code: Code;
  readonly reason: string;
  /** What the sentence must hold. */
  readonly says: readonly (string | RegExp)[];
}

/** The call is refused with exactly one ErrorInfo, says what is wrong, and leaves everything as it was. */
async function refused(call: Promise<unknown> | AsyncIterable<unknown>, { code, reason, says }: Refusal) {
  const error = await outcome(call);
  expect(error).toBeInstanceOf(ConnectError);
  const failure = error as ConnectError;
  expect([Code[failure.code], failure.rawMessage]).toEqual([Code[code], failure.rawMessage]);
  expect(failure.findDetails(ErrorInfoSchema)).toMatchObject([{ domain: "reins", reason }]);
  for (const piece of says) expect(failure.rawMessage).toMatch(piece);
  // The watch of a caller that is refused is taken back just after the answer.
  await expect.poll(() => databaseDigest(app.db), { timeout: 5_000 }).toEqual(before);
  return failure;
}

async function outcome(call: Promise<unknown> | AsyncIterable<unknown>): Promise<unknown> {
  try {
    if (call instanceof Promise) await call;
    else for await (const _ of call);
    return undefined;
  } catch (error) {
    return error;
  }
}

const invalid = (field: string, ...says: (string | RegExp)[]): Refusal => ({
  code: Code.InvalidArgument,
  reason: "INVALID_FIELD",
  says: [new RegExp(`^${field.replaceAll(".", "\\.")}: `), ...says],
});
const unknown = randomUUID();
const noRun: Refusal = { code: Code.NotFound, reason: "RUN_NOT_FOUND", says: [/run_id/] };
const noThread: Refusal = { code: Code.NotFound, reason: "THREAD_NOT_FOUND", says: [/thread_id/, unknown] };
const noCheckpoint: Refusal = { code: Code.NotFound, reason: "CHECKPOINT_NOT_FOUND", says: [/checkpoint_id/, unknown] };

describe("law 12: ids that name nothing", () => {
  type Named = { threadId: string; runId: string };
  const byRun: [string, (client: ReinsClient, name: Named) => Promise<unknown> | AsyncIterable<unknown>][] = [
    ["GetRun", (client, name) => client.runs.getRun(name)],
    ["DeleteRun", (client, name) => client.runs.deleteRun(name)],
    ["JoinRun", (client, name) => client.runs.joinRun(name)],
    ["JoinRun CANCEL", (client, name) => client.runs.joinRun({ ...name, onDisconnect: OnDisconnect.CANCEL })],
    ["JoinRunStream", (client, name) => client.runs.joinRunStream(name)],
    [
      "JoinRunStream CANCEL",
      (client, name) => client.runs.joinRunStream({ ...name, onDisconnect: OnDisconnect.CANCEL }),
    ],
    ["CancelRun", (client, name) => client.runs.cancelRun(name)],
    ["CancelRun ROLLBACK", (client, name) => client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK })],
  ];
  it.each(byRun)("%s of an unknown run, and of another thread's", async (_, call) => {
    await refused(call(app.client, { threadId: kit.threadId, runId: unknown }), noRun);
    await refused(call(app.client, { threadId: kit.threadId, runId: foreign }), noRun);
    await refused(call(app.client, { threadId: unknown, runId: finished }), noRun);
  });

  it("an unknown thread", async () => {
    const { runs, threads } = app.client;
    const create = { threadId: unknown, spec: kit.spec({}) };
    await refused(runs.createRun(create), noThread);
    await refused(runs.waitRun({ create, onDisconnect: OnDisconnect.CANCEL }), noThread);
    await refused(runs.streamRun({ create, onDisconnect: OnDisconnect.CANCEL }), noThread);
    await refused(runs.listRuns({ threadId: unknown }), noThread);
    await refused(threads.getThread({ threadId: unknown }), noThread);
    await refused(threads.deleteThread({ threadId: unknown }), noThread);
    await refused(threads.getThreadState({ threadId: unknown }), noThread);
    await refused(threads.listThreadHistory({ threadId: unknown }), noThread);
  });

  it("an unknown checkpoint, and another thread's", async () => {
    const { runs, threads } = app.client;
    const { threadId } = kit;
    await refused(runs.createRun({ threadId, spec: kit.spec(null, { checkpointId: unknown }) }), noCheckpoint);
    await refused(threads.getThreadState({ threadId, checkpointId: unknown }), noCheckpoint);
    await refused(threads.listThreadHistory({ threadId, beforeCheckpointId: unknown }), noCheckpoint);
    const { checkpoint } = await other.state();
    const checkpointId = checkpoint!.checkpointId;
    const theirs = { ...noCheckpoint, says: [checkpointId] };
    await refused(runs.createRun({ threadId, spec: kit.spec(null, { checkpointId }) }), theirs);
    await refused(threads.getThreadState({ threadId, checkpointId }), theirs);
  });

  it("a thread that would be created for a run that is refused", async () => {
    const created = { threadId: unknown, ifNotExists: IfNotExists.CREATE };
    const create = (change: SpecInit, runId = "") =>
      app.client.runs.createRun({ ...created, runId, spec: kit.spec(null, change) });
    await refused(create({ checkpointId: unknown }), noCheckpoint);
    const noGraph = { code: Code.InvalidArgument, reason: "GRAPH_NOT_FOUND", says: ["nothing"] };
    await refused(create({ assistantId: "nothing" }), noGraph);
    const taken = { code: Code.AlreadyExists, reason: "RUN_EXISTS", says: [/^run_id: /, foreign] };
    await refused(create({}, foreign), taken);
  });
});

describe("law 12: runs that cannot be created", () => {
  const refusedSpec = async (spec: SpecInit, refusal: Refusal, fieldless = refusal.says) => {
    const create = { threadId: kit.threadId, spec };
    const inCreate = (text: string | RegExp) =>
      text instanceof RegExp ? new RegExp(text.source.replace("^", "")) : text;
    await refused(app.client.runs.createRun(create), refusal);
    await refused(app.client.runs.waitRun({ create }), { ...refusal, says: fieldless.map(inCreate) });
    await refused(app.client.runs.streamRun({ create }), { ...refusal, says: fieldless.map(inCreate) });
  };

  it("an unknown graph: the sentence lists those that there are", () =>
    refusedSpec(kit.spec({}, { assistantId: "gatde" }), {
      code: Code.InvalidArgument,
      reason: "GRAPH_NOT_FOUND",
      says: [/^assistant_id: /, "gatde", /gated, dedicated, ask/],
    }));

  it("a broken graph: the sentence has its path and its error", () =>
    refusedSpec(kit.spec({}, { assistantId: "broken" }), {
      code: Code.FailedPrecondition,
      reason: "GRAPH_UNAVAILABLE",
      says: [/^assistant_id: /, /test\/agents\/broken\.ts/, /this file is broken on purpose/],
    }));

  it("input together with a command", () =>
    refusedSpec(kit.spec({}, { command: { goto: ["step"] } }), invalid("spec.command", /together with spec\.input/)));

  it.each([[[1]], ["text"], [null], [7], [true]])("%j where an object is needed", async (value) => {
    const payload = toPayload(value);
    const object = /must be a JSON object/;
    await refusedSpec(kit.spec(null, { context: payload }), invalid("spec.context", object));
    await refusedSpec(
      kit.spec(null, { config: { configurable: payload } }),
      invalid("spec.config.configurable", object),
    );
    await refusedSpec(kit.spec(null, { command: { update: payload } }), invalid("spec.command.update", object));
  });

  it.each(["thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "__pregel_read"])(
    "the reserved key %s in configurable",
    (key) =>
      refusedSpec(
        kit.spec({}, { config: { configurable: toPayload({ model: "x", [key]: "y" }) } }),
        invalid("spec.config.configurable", key, /belongs to the server/),
      ),
  );

  it.each([
    ["no JSON", "{a:1}"],
    ["an empty text", ""],
    ["two values", "1 2"],
    ["half an emoji's UTF-8", Buffer.from([0x22, 0xf0, 0x9f, 0x22])],
  ])("payload bytes that hold %s", async (_, bytes) => {
    const json = { encoding: { case: "json", value: Buffer.from(bytes) } } as const;
    const text = /must be JSON text in UTF-8/;
    await refused(
      app.client.runs.createRun({ threadId: kit.threadId, spec: { assistantId: "gated", input: json } }),
      invalid("spec.input.json", text),
    );
    const create = { threadId: kit.threadId, spec: { assistantId: "gated", command: { resume: json } } };
    await refused(app.client.runs.streamRun({ create }), invalid("create.spec.command.resume.json", text));
  });

  it("numbers that JSON does not have, and values that are none", async () => {
    const input = (value: object) => ({ encoding: { case: "value", value } }) as SpecInit["input"];
    const create = (spec: SpecInit) => app.client.runs.createRun({ threadId: kit.threadId, spec });
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const value = { kind: { case: "numberValue", value: number } };
      await refused(create({ assistantId: "gated", input: input(value) }), invalid("spec.input.value", /JSON/));
    }
    await refused(create({ assistantId: "gated", input: input({}) }), invalid("spec.input.value", /JSON/));
    const metadata = { rate: Number.NaN };
    await refused(create({ assistantId: "gated", metadata }), invalid("spec.metadata", /NaN/));
    await refused(app.client.threads.createThread({ metadata }), invalid("metadata", /NaN/));
  });

  it("metadata whose names cannot be stored", async () => {
    const metadata = { deep: { "a\0b": 1 } };
    await refusedSpec(kit.spec({}, { metadata }), invalid("spec.metadata", /NUL/));
    await refused(app.client.threads.createThread({ metadata }), invalid("metadata", /NUL/));
  });

  it("more input than a run may have", () =>
    refusedSpec(kit.spec({ padding: "x".repeat(maxStoredBytes) }), {
      code: Code.ResourceExhausted,
      reason: "INPUT_TOO_LARGE",
      says: [/^spec: /, String(maxStoredBytes)],
    }));

  it("a message over the transport's limit", async () => {
    const input = toPayload("x".repeat(app.config.maxRequestBytes));
    const tooLarge = {
      code: Code.ResourceExhausted,
      reason: "REQUEST_TOO_LARGE",
      says: [String(app.config.maxRequestBytes)],
    };
    const create = { threadId: kit.threadId, spec: { assistantId: "gated", input } };
    await refused(app.client.runs.createRun(create), tooLarge);
    const grpcJs = createGrpcJsClient(RunService, new URL(app.app.url).host);
    const http1 = createReinsClient({ baseUrl: app.app.url, protocol: "connect", httpVersion: "1.1" });
    for (const runs of [grpcJs, http1.runs]) {
      const error = await outcome(runs.createRun(create));
      expect(error).toMatchObject({ code: Code.ResourceExhausted });
      expect(errorInfo(error)?.reason).toBe("REQUEST_TOO_LARGE");
      // What was not read of it does not hold up the next call on the same connection.
      await runs.getRun({ threadId: kit.threadId, runId: finished }, { timeoutMs: 20_000 });
    }
    grpcJs.close();
  });

  it("REJECT on a busy thread: the error names the live run", async () => {
    const busy = await createRunKit(app);
    const live = await busy.start();
    await busy.gates.started("a");
    const spec = busy.spec({}, { multitaskStrategy: MultitaskStrategy.REJECT });
    const error = (await outcome(app.client.runs.createRun({ threadId: busy.threadId, spec }))) as ConnectError;
    expect(error.code).toBe(Code.Aborted);
    expect(errorInfo(error)?.reason).toBe("THREAD_BUSY");
    const { runId, threadId } = live;
    expect(error.findDetails(RunErrorDetailSchema)).toMatchObject([{ runId, threadId, status: RunStatus.RUNNING }]);
    expect((await app.client.runs.listRuns({ threadId })).runs.map((run) => run.runId)).toEqual([runId]);
    await app.client.threads.deleteThread({ threadId });
    busy.gates.remove();
    await expect.poll(() => databaseDigest(app.db), { timeout: 20_000 }).toMatchObject({ runs: before.runs });
    before = await databaseDigest(app.db);
  });
});

describe("law 12: searching and cancelling", () => {
  it("a page token that was not given out, or for other filters", async () => {
    const badToken = {
      code: Code.InvalidArgument,
      reason: "INVALID_PAGE_TOKEN",
      says: [/^page_token: /, /next_page_token/],
    };
    const { runs } = app.client;
    const first = await runs.listRuns({ pageSize: 1 });
    expect(first.nextPageToken).not.toBe("");
    const forged = Buffer.from('[1,"x","y"]').toString("base64url");
    for (const pageToken of ["x", forged, `${first.nextPageToken.slice(0, -4)}AAAA`]) {
      await refused(runs.listRuns({ pageToken }), badToken);
    }
    const pageToken = first.nextPageToken;
    await refused(runs.listRuns({ pageToken, statuses: [RunStatus.ERROR] }), badToken);
    await refused(runs.listRuns({ pageToken, threadId: kit.threadId }), badToken);
  });

  it("a metadata field that no run can have", async () => {
    await refused(app.client.runs.listRuns({ metadata: { deep: { "a\0": 1 } } }), invalid("metadata", /NUL/));
  });

  it("a finished run cannot be cancelled", async () => {
    const name = { threadId: kit.threadId, runId: finished };
    const failure = await refused(app.client.runs.cancelRun(name), {
      code: Code.FailedPrecondition,
      reason: "RUN_NOT_CANCELLABLE",
      says: [finished, /SUCCESS/, /PENDING and RUNNING/],
    });
    expect(failure.findDetails(RunErrorDetailSchema)).toMatchObject([{ ...name, status: RunStatus.SUCCESS }]);
  });

  it("CancelRuns takes one kind of target", async () => {
    const both = {
      runs: { threadId: kit.threadId, runIds: [finished] },
      filter: { status: LiveRunStatus.ALL },
    };
    const response = await fetch(`${app.app.url}/reins.v1.RunService/CancelRuns`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(both),
    });
    expect(await response.json()).toMatchObject({ code: "invalid_argument", message: /target/ });
    expect(await databaseDigest(app.db)).toEqual(before);
  });
});
