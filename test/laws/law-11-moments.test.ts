import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { Run as DomainRun, RunName } from "../../src/domain/run/run.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { aroundDecisions } from "../support/decisions.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { type Arrive, leavers } from "../support/leavers.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** The writes of a create that a caller can leave during: its watch, the run's record, the decision that lets it enter its lane. */
const moments = ["servers.watch", "runs.insert", "enter"] as const;
type Moment = (typeof moments)[number];

let app: TestApp;
/** Where the create of a run stops, by the run's id. */
const stops = new Map<string, { moment: Moment; barrier: Barrier }>();

beforeAll(async () => {
  const stopAt = (moment: Moment, runId: string) => {
    const stop = stops.get(runId);
    return stop?.moment === moment ? stop.barrier.pass() : undefined;
  };
  app = await startTestApp({
    decorate: (parts) => {
      const { servers, lanes, runs } = parts.stores;
      const stores = {
        ...parts.stores,
        servers: around(servers, "watch", {
          before: (_id, _server, run) => stopAt("servers.watch", (run as RunName).runId),
        }),
        lanes: aroundDecisions(lanes, {
          before: ({ step, runId }) => (step === "enter" ? stopAt("enter", runId) : undefined),
        }),
        runs: around(runs, "insert", { before: (run) => stopAt("runs.insert", (run as DomainRun).runId) }),
      };
      return { ...parts, stores };
    },
  });
});
afterAll(() => app.close());

const watches = () => app.db.collection("watches").countDocuments();
const onDisconnect = "ON_DISCONNECT_CANCEL";
const newRun = (kit: RunKit, runId: string) => ({
  create: { threadId: kit.threadId, runId, spec: { assistantId: "gated", input: { value: { dir: kit.gates.dir } } } },
  onDisconnect,
});

/** A caller that comes later and leaves has been noticed; so have those that left before. */
async function othersLeavingIsNoticed(arrive: Arrive) {
  const kit = await createRunKit(app);
  const { runId, threadId } = await kit.start();
  const leaver = arrive(app.app.url, "joinRun", { threadId, runId, onDisconnect });
  await until(async () => (await app.db.collection("watches").countDocuments({ run_id: runId })) === 1);
  await leaver.leave();
  expect((await kit.join(runId)).status).toBe(RunStatus.INTERRUPTED);
  kit.gates.remove();
}

describe("law 11: a caller that leaves while its create is being stored leaves too", () => {
  const ways = ["grpc-js, cancelled", "connect-node Connect over HTTP/1.1, aborted", "HTTP/2, TCP reset"];
  it.each(ways.flatMap((way) => moments.map((moment) => [way, moment] as const)))(
    "%s, during %s",
    async (way, moment) => {
      await Promise.all(
        (["waitRun", "streamRun"] as const).map(async (call) => {
          const kit = await createRunKit(app);
          const runId = randomUUID();
          const barrier = createBarrier();
          stops.set(runId, { moment, barrier });
          const leaver = leavers[way]!(app.app.url, call, newRun(kit, runId));
          await barrier.reached;
          await leaver.leave();
          await othersLeavingIsNoticed(leavers[way]!);
          await expect(kit.get(runId)).rejects.toMatchObject({ code: Code.NotFound });
          barrier.open();
          await until(() =>
            kit.get(runId).then(
              () => true,
              () => false,
            ),
          );
          await until(async () => (await kit.get(runId)).cancellation !== undefined);
          const { status, cancellation } = await kit.join(runId);
          expect([call, status]).toEqual([call, RunStatus.INTERRUPTED]);
          expect(cancellation).toMatchObject({ requestedBy: "disconnect", reason: "client disconnected" });
          kit.gates.remove();
        }),
      );
      await until(async () => (await watches()) === 0);
    },
  );

  it("a create that is refused leaves no watch", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const barrier = createBarrier();
    stops.set(runId, { moment: "servers.watch", barrier });
    const request = newRun(kit, runId);
    request.create.spec.assistantId = "nothing";
    const leaver = leavers["grpc-js, cancelled"]!(app.app.url, "waitRun", request);
    await barrier.reached;
    await leaver.leave();
    barrier.open();
    await until(async () => (await watches()) === 0);
    kit.gates.remove();
  });

  it("nothing is sent or created before the watch is stored", async () => {
    const kit = await createRunKit(app);
    const runId = randomUUID();
    const barrier = createBarrier();
    stops.set(runId, { moment: "servers.watch", barrier });
    const create = { threadId: kit.threadId, runId, spec: kit.spec({}) };
    let headers = false;
    const reader = readEvents((signal) =>
      app.client.runs.streamRun(
        { create, onDisconnect: OnDisconnect.CANCEL },
        { signal, onHeader: () => (headers = true) },
      ),
    );
    await barrier.reached;
    await expect(kit.get(runId)).rejects.toMatchObject({ code: Code.NotFound });
    expect([headers, reader.events]).toEqual([false, []]);
    barrier.open();
    await reader.received(1);
    expect(await watches()).toBe(1);
    await reader.leave();
    await kit.join(runId);
    kit.gates.remove();
  });
});

describe("law 11: the server's own drain is not a disconnect", () => {
  it("callers with CANCEL are told UNAVAILABLE, and their runs go on at the next server", async () => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const running = await kit.start();
    await kit.gates.started("a");
    const pending = await kit.start();
    const calls = [running, pending].flatMap(({ runId }) => {
      const request = { threadId, runId, onDisconnect: OnDisconnect.CANCEL };
      const reader = readEvents((signal) => app.client.runs.joinRunStream(request, { signal }));
      return [reader.ended, app.client.runs.joinRun(request).catch((error: unknown) => error)];
    });
    await until(async () => (await watches()) === 4);
    app = await app.restart();
    for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: Code.Unavailable });
    expect(await watches()).toBe(0);
    kit.gates.open();
    for (const { runId } of [running, pending]) {
      const { run } = await app.client.runs.joinRun({ threadId, runId });
      expect([run!.status, run!.error, run!.cancellation]).toEqual([RunStatus.SUCCESS, undefined, undefined]);
    }
    kit.gates.remove();
  });
});
