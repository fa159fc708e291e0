import type { Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import {
  cancelUntilCreated,
  createReinsClient,
  errorReason,
  newRunId,
  type ReinsClient,
  runEvents,
  startRun,
} from "../../src/client/index.ts";
import { createReinsWebClient } from "../../src/client/web.ts";
import type { Run as DomainRun } from "../../src/domain/run/run.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
/** Where the insert of a run stops, by the run's id. */
const stops = new Map<string, Barrier>();
/** When each CancelRun of a client was sent, by the run's id. */
const asked = new Map<string, number[]>();

beforeAll(async () => {
  app = await startTestApp({
    decorate: ({ stores, ...parts }) => {
      const runs = around(stores.runs, "insert", { before: (run) => stops.get((run as DomainRun).runId)?.pass() });
      return { ...parts, stores: { ...stores, runs } };
    },
  });
});
afterAll(() => app.close());

const note: Interceptor = (next) => (call) => {
  const { runId } = call.message as { runId?: string };
  if (call.method.name === "CancelRun") asked.set(runId!, [...(asked.get(runId!) ?? []), performance.now()]);
  return next(call);
};
const clients: Record<string, () => ReinsClient> = {
  "gRPC on Node": () => createReinsClient({ baseUrl: app.app.url, interceptors: [note] }),
  "Connect on the web": () => createReinsWebClient({ baseUrl: app.app.url, interceptors: [note] }),
  "gRPC-Web on the web": () =>
    createReinsWebClient({ baseUrl: app.app.url, protocol: "grpc-web", interceptors: [note] }),
};

/** The run's insert is held until the barrier is opened. */
function held(runId: string = newRunId()) {
  const barrier = createBarrier();
  stops.set(runId, barrier);
  return { runId, barrier };
}

const askedOften = (runId: string, count: number) => until(() => (asked.get(runId)?.length ?? 0) >= count);

async function expectStopped(kit: RunKit, runId: string) {
  const run = await kit.join(runId);
  expect(run).toMatchObject({
    status: RunStatus.INTERRUPTED,
    cancellation: { reason: "enough", requestedBy: "client" },
  });
  kit.gates.remove();
}

describe.each(Object.keys(clients))("a stop that is pressed before the create has answered: %s", (name) => {
  it("startRun: the run is stopped, and the server is not asked without pause", async () => {
    const [kit, client] = [await createRunKit(app), clients[name]!()];
    const { runId, barrier } = held();
    const run = startRun(client, { threadId: kit.threadId, runId, spec: kit.spec({}) });
    expect([run.threadId, run.runId]).toEqual([kit.threadId, runId]);
    await barrier.reached;
    const cancelled = run.cancel({ reason: "enough", wait: true });
    await askedOften(runId, 4);
    barrier.open();
    expect((await run.created).runId).toBe(runId);
    expect((await cancelled)!.run!.status).toBe(RunStatus.INTERRUPTED);
    const pauses = asked.get(runId)!.map((at, i, all) => at - (all[i - 1] ?? at));
    // Timers may come a moment early.
    for (const [i, least] of [49, 99, 199].entries()) expect(pauses[i + 1]).toBeGreaterThanOrEqual(least);
    await expectStopped(kit, runId);
  });

  it("WaitRun and StreamRun with cancelUntilCreated", async () => {
    const client = clients[name]!();
    for (const call of ["wait", "stream"]) {
      const kit = await createRunKit(app);
      const { threadId } = kit;
      const { runId, barrier } = held();
      const request = { create: { threadId, runId, spec: kit.spec({}) } };
      const read = async () => {
        for await (const { event } of runEvents((signal) => client.runs.streamRun(request, { signal }))) {
          if (event.case === "ended") return event.value.status;
        }
      };
      const ended = call === "stream" ? read() : client.runs.waitRun(request).then(({ run }) => run!.status);
      await barrier.reached;
      const cancelled = cancelUntilCreated(client, { threadId, runId, reason: "enough" }, ended);
      await askedOften(runId, 2);
      barrier.open();
      expect(await ended).toBe(RunStatus.INTERRUPTED);
      expect((await cancelled)!.run!.cancellation!.reason).toBe("enough");
      await expectStopped(kit, runId);
    }
  });
});

describe("startRun", () => {
  it("chooses an id, and hands the answers on", async () => {
    const kit = await createRunKit(app);
    const run = startRun(app.client, { threadId: kit.threadId, spec: kit.spec({}) });
    const { runId, status } = await run.created;
    expect([runId, status]).toEqual([run.runId, RunStatus.RUNNING]);
    expect(runId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await run.cancel({ action: CancelAction.ROLLBACK, wait: true });
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    kit.gates.remove();
  });

  it("a create that fails while the stop waits leaves nothing to stop", async () => {
    const [kit, client] = [await createRunKit(app), clients["gRPC on Node"]!()];
    const { runId, barrier } = held();
    const run = startRun(client, { threadId: kit.threadId, runId, spec: kit.spec({}) });
    await barrier.reached;
    const cancelled = run.cancel();
    await askedOften(runId, 2);
    const deleted = client.threads.deleteThread({ threadId: kit.threadId });
    await deleted;
    barrier.open();
    expect(errorReason(await run.created.catch((error) => error))).toBe("THREAD_NOT_FOUND");
    expect(await cancelled).toBeUndefined();
    kit.gates.remove();
  });

  it("a create that is refused since its id is taken stops nobody else's run", async () => {
    const kit = await createRunKit(app);
    const { runId, threadId } = await kit.start();
    const run = startRun(app.client, { threadId, runId, spec: kit.spec({}) });
    expect(errorReason(await run.created.catch((error) => error))).toBe("RUN_EXISTS");
    expect(await run.cancel()).toBeUndefined();
    expect((await kit.get(runId)).cancellation).toBeUndefined();
    kit.gates.open();
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("a create that was cut off after it was stored can still be stopped", async () => {
    const kit = await createRunKit(app);
    const { runId, barrier } = held();
    const abort = new AbortController();
    const request = { threadId: kit.threadId, runId, spec: kit.spec({}) };
    const run = startRun(app.client, request, { signal: abort.signal });
    await barrier.reached;
    barrier.open();
    await until(() => kit.get(runId).then(Boolean, () => false));
    abort.abort();
    await run.created.catch(() => undefined);
    expect((await run.cancel({ reason: "enough", wait: true }))!.run!.status).toBe(RunStatus.INTERRUPTED);
    await expectStopped(kit, runId);
  });

  it("the errors of a cancel are its own", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const run = startRun(app.client, { threadId: kit.threadId, spec: kit.spec({}) });
    await kit.join((await run.created).runId);
    expect(errorReason(await run.cancel().catch((error) => error))).toBe("RUN_NOT_CANCELLABLE");
    kit.gates.remove();
  });
});
