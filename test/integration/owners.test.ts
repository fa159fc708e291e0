import { randomUUID } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { anybody } from "../../src/access/identity.ts";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { allMethods, askMethod, requestAbout, tellsNothing } from "../support/foreign-requests.ts";
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

const theirThings = () => ({ threadId: hers.threadId, live, over, assistantId });

const ask = (owner: string, method: DescMethod): Promise<unknown> =>
  askMethod(app.app.url, as(owner), method, requestAbout(theirThings(), alice, method));

describe("what is somebody else's", () => {
  it.each(allMethods)("looks like what does not exist: %s", async (name, method) => {
    const asked = ask(bob, method).catch((error: unknown) => ConnectError.from(error));
    const answer = await asked;
    if (answer instanceof ConnectError) expect(answer).toMatchObject({ code: Code.NotFound });
    else
      expect(
        tellsNothing[name]?.(theirThings(), answer as never),
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
