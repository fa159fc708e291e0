import { randomUUID } from "node:crypto";
import http from "node:http";
import { json } from "node:stream/consumers";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import {
  createGrpcJsClient,
  createReinsClient,
  errorReason,
  type ReinsClient,
  RunService,
} from "../../src/client/index.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

type Runs = Pick<ReinsClient["runs"], "waitRun" | "streamRun" | "joinRun" | "joinRunStream" | "cancelRun">;

const clients: Record<string, (baseUrl: string) => Runs & { close?(): void }> = {
  "grpc-js": (url) => createGrpcJsClient(RunService, new URL(url).host) as unknown as Runs,
  "connect-node gRPC": (baseUrl) => createReinsClient({ baseUrl }).runs,
  "connect-node Connect over HTTP/1.1": (baseUrl) =>
    createReinsClient({ baseUrl, protocol: "connect", httpVersion: "1.1" }).runs,
  "connect-node gRPC-Web": (baseUrl) => createReinsClient({ baseUrl, protocol: "grpc-web" }).runs,
};

let app: TestApp;
let kit: RunKit;
beforeAll(async () => {
  app = await startTestApp({ config: { pollMs: 100 } });
});
afterAll(() => app.close());

/** The calls that wait, each on a run that does not end by itself. */
const calls: Record<string, (runs: Runs, kit: RunKit, runId: string, timeoutMs: number) => Promise<unknown>> = {
  WaitRun: (runs, kit, runId, timeoutMs) =>
    runs.waitRun({ create: { threadId: kit.threadId, runId, spec: kit.spec({}) }, onDisconnect }, { timeoutMs }),
  StreamRun: (runs, kit, runId, timeoutMs) =>
    readEvents((signal) =>
      runs.streamRun(
        { create: { threadId: kit.threadId, runId, spec: kit.spec({}) }, onDisconnect },
        { signal, timeoutMs },
      ),
    ).ended.then(rethrow),
  JoinRun: (runs, { threadId }, runId, timeoutMs) => runs.joinRun({ threadId, runId, onDisconnect }, { timeoutMs }),
  JoinRunStream: (runs, { threadId }, runId, timeoutMs) =>
    readEvents((signal) => runs.joinRunStream({ threadId, runId, onDisconnect }, { signal, timeoutMs })).ended.then(
      rethrow,
    ),
};
const onDisconnect = OnDisconnect.CANCEL;
const rethrow = (error: unknown) => {
  if (error !== undefined) throw error;
};

describe("law 8: a deadline is not a disconnect", () => {
  it.each(Object.entries(clients))("%s", async (_, connect) => {
    const runs = connect(app.app.url);
    const check = async ([name, call]: [string, (typeof calls)[string]]) => {
      const kit = await createRunKit(app);
      const runId = name.startsWith("Join") ? (await kit.start()).runId : randomUUID();
      const error: unknown = await call(runs, kit, runId, 900).catch((error: unknown) => error);
      expect([name, error]).toMatchObject([name, { code: Code.DeadlineExceeded }]);
      await until(() => kit.get(runId).then(Boolean, () => false));
      // The watch is given up, and with it nothing is cancelled.
      await until(async () => (await app.db.collection("watches").countDocuments({ run_id: runId })) === 0);
      kit.gates.open();
      const { status, cancellation } = await kit.join(runId);
      expect([name, status, cancellation]).toEqual([name, RunStatus.SUCCESS, undefined]);
      kit.gates.remove();
    };
    await Promise.all(Object.entries(calls).map(check));
    runs.close?.();
  });

  it("says so also when the call waits for a cancel, which goes on", async () => {
    kit = await createRunKit(app);
    const { runId, threadId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const waiting = app.client.runs.cancelRun({ threadId, runId, wait: true }, { timeoutMs: 700 });
    await expect(waiting).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect((await kit.join(runId)).status).toBe(RunStatus.INTERRUPTED);
    kit.gates.remove();
  });

  it("carries a reason of its own", async () => {
    kit = await createRunKit(app);
    const { runId, threadId } = await kit.start();
    const answer = await rawJoin({ threadId, runId }, { "connect-timeout-ms": "300" });
    expect(answer).toMatchObject({ code: "deadline_exceeded", details: [{ type: "google.rpc.ErrorInfo" }] });
    const error = await app.client.runs.joinRun({ threadId, runId }, { timeoutMs: 300 }).catch((error) => error);
    expect(["DEADLINE_EXCEEDED", undefined]).toContain(errorReason(error));
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  });

  it("is not over at once when it is far away", async () => {
    kit = await createRunKit(app);
    const { runId, threadId } = await kit.start();
    const days30 = 30 * 24 * 3600;
    const joins = [
      rawJoin({ threadId, runId }, { "connect-timeout-ms": String(days30 * 1000) }),
      rawJoin({ threadId, runId, timeout: `${days30}s` }, {}),
      app.client.runs.joinRun({ threadId, runId }, { headers: { "grpc-timeout": `${days30}S` } }),
    ];
    const early = Promise.race(joins);
    // A call that came later is answered while these still wait.
    const between = app.client.runs.joinRun({ threadId, runId, timeout: { nanos: 500_000_000 } });
    expect(await Promise.race([early.then(() => "early"), between.then(() => "in time")])).toBe("in time");
    kit.gates.open();
    for (const answer of await Promise.all(joins)) expect(answer).toMatchObject({ run: { runId } });
    kit.gates.remove();
  });
});

describe("law 8: times in the request answer with the run as it is", () => {
  it("JoinRun timeout", async () => {
    kit = await createRunKit(app);
    const { runId, threadId } = await kit.start();
    for (const timeout of [{}, { nanos: 300_000_000 }]) {
      const answer = await app.client.runs.joinRun({ threadId, runId, timeout, onDisconnect });
      expect(answer.run).toMatchObject({ runId, status: RunStatus.RUNNING });
      expect(answer.values).toBeUndefined();
    }
    kit.gates.open();
    const answer = await app.client.runs.joinRun({ threadId, runId, timeout: { seconds: 3600n } });
    expect(answer.run).toMatchObject({ status: RunStatus.SUCCESS });
    expect(answer.run!.cancellation).toBeUndefined();
    expect(answer.values).toBeDefined();
    kit.gates.remove();
  });

  it("CancelRun and CancelRuns wait_timeout", async () => {
    kit = await createRunKit(app);
    const { runId, threadId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const waitTimeout = { nanos: 300_000_000 };
    const one = await app.client.runs.cancelRun({ threadId, runId, wait: true, waitTimeout });
    expect(one).toMatchObject({ outcome: CancelOutcome.REQUESTED, run: { status: RunStatus.RUNNING } });
    const target = { case: "runs" as const, value: { threadId, runIds: [runId] } };
    const many = await app.client.runs.cancelRuns({ target, wait: true, waitTimeout });
    expect(many.results).toMatchObject([{ outcome: CancelOutcome.REQUESTED, status: RunStatus.RUNNING }]);
    kit.gates.open();
    expect((await kit.join(runId)).cancellation?.outcome).toBe(CancelOutcome.STOPPED);
    kit.gates.remove();
  });
});

/** JoinRun with headers of one's own, over HTTP/1.1. */
function rawJoin(body: object, headers: Record<string, string>): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const request = http.request(`${app.app.url}/reins.v1.RunService/JoinRun`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    agent: new http.Agent(),
  });
  request.on("response", (response) => resolve(json(response)));
  request.on("error", reject);
  request.end(JSON.stringify(body));
  return promise;
}
