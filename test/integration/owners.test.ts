import { randomUUID } from "node:crypto";
import { create, type DescMethod, fromJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { PayloadSchema } from "../../gen/reins/v1/payload_pb.ts";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { anybody } from "../../src/access/identity.ts";
import { createReinsClient, type ReinsClient, toPayload } from "../../src/client/index.ts";
import { minimal } from "../support/good-requests.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const [alice, bob] = ["alice", "bob"];

let app: TestApp;
let hers: RunKit;
let theirs: { [owner: string]: ReinsClient };
/** A finished run, one that executes, an assistant, and a finished run's checkpoint: all Alice's. */
let over: string;
let live: string;
let assistantId: string;
let checkpointId: string;

const as =
  (owner: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("x-owner", owner);
    return next(request);
  };

beforeAll(async () => {
  app = await startTestApp({
    identify: ({ headers }) => ({ ...anybody, owner: String(headers["x-owner"] ?? "nobody") }),
  });
  const client = (owner: string) => createReinsClient({ baseUrl: app.app.url, interceptors: [as(owner)] });
  theirs = { [alice]: client(alice), [bob]: client(bob) };
  const { assistants } = theirs[alice]!;
  assistantId = (await assistants.createAssistant({ graphId: "gated", metadata: { of: alice } })).assistant!
    .assistantId;
  hers = await createRunKit({ client: theirs[alice]! });
  over = (await hers.start({ steps: ["a"] })).runId;
  await hers.gates.started("a");
  hers.gates.open("a");
  await hers.join(over);
  checkpointId = (await hers.client.threads.getThreadState({ threadId: hers.threadId })).state!.checkpoint!
    .checkpointId;
  live = (await hers.start({ steps: ["b"] })).runId;
  await hers.gates.started("b");
});
afterAll(async () => {
  hers.gates.remove();
  await app.close();
});

/** What somebody else is told: that there is no such thing, or that there is nothing. */
const nothing: Record<string, (answer: never) => unknown> = {
  CreateThread: ({ thread }: { thread: { threadId: string } }) => thread.threadId !== hers.threadId,
  SearchThreads: ({ threads }: { threads: { threadId: string }[] }) =>
    threads.every(({ threadId }) => threadId !== hers.threadId),
  CountThreads: ({ count }: { count: bigint }) => count <= 1n,
  PruneThreads: ({ prunedThreadIds, busyThreadIds }: Record<string, string[]>) =>
    prunedThreadIds!.length + busyThreadIds!.length === 0,
  ListRuns: ({ runs }: { runs: unknown[] }) => runs.length === 0,
  CancelRuns: ({ results }: { results: { outcome: CancelOutcome }[] }) =>
    results.length > 0 && results.every(({ outcome }) => outcome === CancelOutcome.NOT_FOUND),
  CreateAssistant: ({ assistant }: { assistant: { metadata: object } }) => !("of" in assistant.metadata),
  SearchAssistants: ({ assistants }: { assistants: { metadata: object }[] }) =>
    assistants.every(({ metadata }) => !("of" in metadata)),
  CountAssistants: ({ count }: { count: bigint }) => count === 0n,
};

const methods = [RunService, ThreadService, AssistantService, OperationService].flatMap((service) =>
  service.methods.map((method): [string, DescMethod] => [method.name, method]),
);

/** The least that the method takes, about what is Alice's. */
function about(method: DescMethod) {
  const spec = { assistantId };
  const known = {
    ...{ thread_id: hers.threadId, run_id: live, assistant_id: assistantId, graph_id: "gated", spec },
    ...{ thread_ids: [hers.threadId], run_ids: [live, over] },
    ...{ create: { threadId: hers.threadId, spec }, ...(method.name === "BatchCreateRuns" && { runs: [{ spec }] }) },
  };
  const filter = { metadata: { of: alice } };
  const request = fromJson(method.input, {
    ...minimal(method.input, known),
    ...(method.name === "CountAssistants" && { filter }),
  });
  // The rules let an absent one pass, the handler does not.
  return method.name === "UpdateThreadState" ? { ...request, values: create(PayloadSchema, toPayload({})) } : request;
}

async function ask(owner: string, method: DescMethod): Promise<unknown> {
  const transport = createGrpcTransport({ baseUrl: app.app.url, interceptors: [as(owner)] });
  const client = createClient(method.parent, transport) as unknown as Record<string, (request: unknown) => unknown>;
  const answer = client[method.localName]!(about(method));
  if (method.methodKind === "unary") return answer;
  for await (const message of answer as AsyncIterable<unknown>) return message;
}

describe("what is somebody else's", () => {
  it.each(methods)("looks like what does not exist: %s", async (name, method) => {
    const asked = ask(bob, method).catch((error: unknown) => ConnectError.from(error));
    const answer = await asked;
    if (answer instanceof ConnectError) expect(answer).toMatchObject({ code: Code.NotFound });
    else
      expect(
        nothing[name]?.(answer as never),
        JSON.stringify(answer, (_, one) => String(one)),
      ).toBe(true);
    // And nothing has come of it.
    expect((await hers.get(live)).status).toBe(RunStatus.RUNNING);
    expect((await hers.get(over)).status).toBe(RunStatus.SUCCESS);
    const { thread } = await hers.client.threads.getThread({ threadId: hers.threadId });
    expect(thread!.status).toBe(ThreadStatus.BUSY);
    expect((await theirs[alice]!.assistants.getAssistant({ assistantId })).assistant!.metadata).toEqual({ of: alice });
  });

  it("may have the same ids, and is another one: a cancel of the one is none of the other", async () => {
    const { threads, runs } = theirs[bob]!;
    await threads.createThread({ threadId: hers.threadId, ifExists: 2 });
    const gates = (await createRunKit({ client: theirs[bob]! })).gates;
    const spec = { ...hers.spec({ steps: ["b"] }) };
    const mine = { threadId: hers.threadId, runId: live };
    await runs.createRun({ ...mine, spec });
    expect((await runs.cancelRun({ ...mine, wait: true })).run!.status).toBe(RunStatus.INTERRUPTED);
    expect((await hers.get(live)).status).toBe(RunStatus.RUNNING);
    await runs.cancelRun({ ...mine, action: CancelAction.INTERRUPT, wait: true });
    expect((await hers.get(live)).status).toBe(RunStatus.RUNNING);
    await threads.deleteThread({ threadId: hers.threadId });
    expect((await hers.get(live)).status).toBe(RunStatus.RUNNING);
    gates.remove();
  });

  it("is no start, no parent and no former request", async () => {
    const { threads, runs } = theirs[bob]!;
    const { threadId } = (await threads.createThread({})).thread!;
    const hersToo = theirs[alice]!;
    const requestId = randomUUID();
    const spec = hers.spec({ steps: ["a"] });
    const made = await hersToo.runs.createRun({ threadId: hers.threadId, requestId, spec });
    const created = await runs.createRun({ threadId, requestId, spec });
    expect(created.run!.runId).not.toBe(made.run!.runId);
    await runs.joinRun({ threadId, runId: created.run!.runId });
    for (const refused of [
      runs.createRun({ threadId, spec: { ...spec, checkpointId } }),
      runs.createRun({ threadId, spec, parent: { threadId: hers.threadId, runId: live } }),
    ])
      await expect(refused).rejects.toMatchObject({ code: Code.NotFound });
    await hersToo.runs.cancelRun({ threadId: made.run!.threadId, runId: made.run!.runId });
  });
});

describe("over HTTP as well", () => {
  const rest = (owner: string, path: string, body?: unknown, method = body === undefined ? "GET" : "POST") =>
    fetch(app.app.url + path, {
      method,
      headers: { "x-owner": owner, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  it("threads, runs and long-term memory of others are not there", async () => {
    const item = { namespace: ["notes"], key: "one", value: { of: alice } };
    expect((await rest(alice, "/store/items", item, "PUT")).status).toBe(204);
    expect(await (await rest(bob, "/store/items?namespace=notes&key=one")).json()).toBeNull();
    expect(await (await rest(bob, "/store/items/search", {})).json()).toEqual({ items: [] });
    expect(await (await rest(bob, "/store/namespaces", {})).json()).toEqual({ namespaces: [] });
    expect((await rest(bob, "/store/items", { namespace: ["notes"], key: "one" }, "DELETE")).status).toBe(204);
    expect(await (await rest(alice, "/store/items?namespace=notes&key=one")).json()).toMatchObject({
      value: { of: alice },
    });
    for (const path of ["", "/state", "/history", "/runs", `/runs/${live}`, "/stream", `/runs/${live}/stream`]) {
      const answer = await rest(bob, `/threads/${hers.threadId}${path}`);
      const isEmptyList = path === "/runs" && answer.status === 200 && (await answer.json()).length === 0;
      expect([path, isEmptyList ? 404 : answer.status]).toEqual([path, 404]);
      await answer.body?.cancel().catch(() => undefined);
    }
    expect((await rest(bob, `/threads/${hers.threadId}/runs/${live}/cancel`, {})).status).toBe(404);
    expect((await hers.get(live)).status).toBe(RunStatus.RUNNING);
  });
});
