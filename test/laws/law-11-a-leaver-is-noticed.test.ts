import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { leavers, watchingCalls } from "../support/leavers.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { everywhere, expectLeaverIsNoticed, finish, watched, watches } from "../support/watched-runs.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

describe("law 11: a caller that leaves cancels its run, whatever it calls with and however it goes", () => {
  it.each(Object.entries(leavers))("%s", (_, arrive) => expectLeaverIsNoticed(app, arrive));
});

describe("law 11: who has not left, or may leave, cancels nothing", () => {
  it("CONTINUE changes nothing, and is the default", async () => {
    const arrive = leavers["connect-node gRPC, aborted"]!;
    for (const onDisconnect of ["ON_DISCONNECT_CONTINUE", "ON_DISCONNECT_UNSPECIFIED"]) {
      await everywhere(async (call, state) => {
        const { kit, runId, leaver } = await watched(app, arrive, call, state, onDisconnect);
        // On the same server a caller with CANCEL leaves later, and its run is cancelled.
        const other = await watched(app, arrive, call, state, "ON_DISCONNECT_CANCEL");
        await until(async () => (await watches(app, other.runId)) === 1);
        expect(await watches(app, runId)).toBe(0);
        await leaver.leave();
        await other.leaver.leave();
        expect((await other.kit.join(other.runId)).status).toBe(RunStatus.INTERRUPTED);
        kit.gates.open();
        const { status, cancellation } = await kit.join(runId);
        expect([call, state, status, cancellation]).toEqual([call, state, RunStatus.SUCCESS, undefined]);
        await Promise.all([finish(kit), finish(other.kit)]);
      });
    }
  });

  it("normal completion is not a disconnect", async () => {
    await everywhere(async (call, state) => {
      const arrive = leavers["grpc-js, cancelled"]!;
      const { kit, runId, leaver } = await watched(app, arrive, call, state, "ON_DISCONNECT_CANCEL");
      await until(async () => (await watches(app, runId)) === 1);
      kit.gates.open();
      expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS });
      await until(async () => (await watches(app, runId)) === 0);
      await leaver.leave();
      expect((await kit.get(runId)).cancellation).toBeUndefined();
      await finish(kit);
    });
  });
});

describe("law 11: several callers", () => {
  it.each(watchingCalls)("one of them leaves %s with CANCEL; the others get their normal end", async (call) => {
    const { kit, runId, leaver } = await watched(
      app,
      leavers["connect-node Connect over HTTP/1.1, aborted"]!,
      ...([call, "running", "ON_DISCONNECT_CANCEL"] as const),
    );
    const { threadId } = kit;
    const { runs } = app.client;
    const readers = [OnDisconnect.CANCEL, OnDisconnect.CONTINUE].map((onDisconnect) =>
      readEvents((signal) => runs.joinRunStream({ threadId, runId, onDisconnect }, { signal })),
    );
    const joins = [OnDisconnect.CANCEL, OnDisconnect.CONTINUE].map((onDisconnect) =>
      runs.joinRun({ threadId, runId, onDisconnect }),
    );
    // One that may leave, and does.
    await readEvents((signal) => runs.joinRunStream({ threadId, runId }, { signal })).leave();
    await until(async () => (await watches(app, runId)) === 3);
    expect((await kit.get(runId)).cancellation).toBeUndefined();

    await leaver.leave();
    const end = { status: RunStatus.INTERRUPTED, cancellation: { requestedBy: "disconnect" } };
    for (const { run } of await Promise.all(joins)) expect(run).toMatchObject(end);
    for (const reader of readers) {
      expect(await reader.ended).toBeUndefined();
      expect(endOf(reader.events)).toMatchObject(end);
    }
    await until(async () => (await watches(app)) === 0);
    await finish(kit);
  });

  it("a leaver does not weaken a rollback that is under way, and a finished run is left alone", async () => {
    const arrive = leavers["grpc-js, cancelled"]!;
    const { kit, runId, leaver } = await watched(app, arrive, "joinRun", "running", "ON_DISCONNECT_CANCEL");
    await until(async () => (await watches(app, runId)) === 1);
    const name = { threadId: kit.threadId, runId };
    const joined = app.client.runs.joinRun(name);
    await app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK });
    await leaver.leave();
    expect((await joined).run!.cancellation).toMatchObject({ action: CancelAction.ROLLBACK, requestedBy: "client" });
    await until(async () => (await watches(app, runId)) === 0);
    kit.gates.remove();
  });
});
