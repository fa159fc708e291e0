import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { type Arrive, leavers, type WatchingCall, watchingCalls } from "../support/leavers.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const watches = (runId?: string) =>
  app.db.collection("watches").countDocuments(runId === undefined ? {} : { run_id: runId });

/** A run in this state, with the caller in the middle of its call. */
async function watched(arrive: Arrive, call: WatchingCall, state: "running" | "pending", onDisconnect: string) {
  const kit = await createRunKit(app);
  if (state === "pending") {
    await kit.start({ steps: ["busy"] });
    await kit.gates.started("busy");
  }
  const { threadId } = kit;
  const spec = { assistantId: "gated", input: { value: { dir: kit.gates.dir } } };
  const isJoin = call === "joinRun" || call === "joinRunStream";
  const runId = isJoin ? (await kit.start()).runId : randomUUID();
  const request: JsonObject = isJoin
    ? { threadId, runId, onDisconnect }
    : { create: { threadId, runId, spec }, onDisconnect };
  const leaver = arrive(app.app.url, call, request);
  await until(() => exists(kit, runId));
  if (state === "running") await kit.gates.started("a");
  return { kit, runId, leaver };
}

const exists = (kit: RunKit, runId: string) =>
  kit.get(runId).then(
    () => true,
    () => false,
  );

const finish = async (kit: RunKit) => {
  kit.gates.open();
  await until(async () => (await kit.thread()).status !== 2);
  kit.gates.remove();
};

/** All calls in all states, side by side. */
const everywhere = (check: (call: WatchingCall, state: "running" | "pending") => Promise<void>) =>
  Promise.all(watchingCalls.flatMap((call) => (["running", "pending"] as const).map((state) => check(call, state))));

describe("law 11: a caller that leaves cancels its run, whatever it calls with and however it goes", () => {
  it.each(Object.entries(leavers))("%s", async (_, arrive) => {
    await everywhere(async (call, state) => {
      const { kit, runId, leaver } = await watched(arrive, call, state, "ON_DISCONNECT_CANCEL");
      await until(async () => (await watches(runId)) === 1);
      await leaver.leave();
      const { status, cancellation, startedAt } = await kit.join(runId);
      expect([call, state, status, cancellation]).toMatchObject([
        ...[call, state, RunStatus.INTERRUPTED],
        {
          action: CancelAction.INTERRUPT,
          requestedBy: "disconnect",
          reason: "client disconnected",
          outcome: state === "pending" ? CancelOutcome.NEVER_STARTED : CancelOutcome.STOPPED,
        },
      ]);
      expect(startedAt === undefined).toBe(state === "pending");
      await until(async () => (await watches(runId)) === 0);
      await finish(kit);
    });
  });
});

describe("law 11: who has not left, or may leave, cancels nothing", () => {
  it("CONTINUE changes nothing, and is the default", async () => {
    const arrive = leavers["connect-node gRPC, aborted"]!;
    for (const onDisconnect of ["ON_DISCONNECT_CONTINUE", "ON_DISCONNECT_UNSPECIFIED"]) {
      await everywhere(async (call, state) => {
        const { kit, runId, leaver } = await watched(arrive, call, state, onDisconnect);
        // On the same server a caller with CANCEL leaves later, and its run is cancelled.
        const other = await watched(arrive, call, state, "ON_DISCONNECT_CANCEL");
        await until(async () => (await watches(other.runId)) === 1);
        expect(await watches(runId)).toBe(0);
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
      const { kit, runId, leaver } = await watched(arrive, call, state, "ON_DISCONNECT_CANCEL");
      await until(async () => (await watches(runId)) === 1);
      kit.gates.open();
      expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS });
      await until(async () => (await watches(runId)) === 0);
      await leaver.leave();
      expect((await kit.get(runId)).cancellation).toBeUndefined();
      await finish(kit);
    });
  });
});

describe("law 11: several callers", () => {
  it.each(watchingCalls)("one of them leaves %s with CANCEL; the others get their normal end", async (call) => {
    const { kit, runId, leaver } = await watched(
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
    await until(async () => (await watches(runId)) === 3);
    expect((await kit.get(runId)).cancellation).toBeUndefined();

    await leaver.leave();
    const end = { status: RunStatus.INTERRUPTED, cancellation: { requestedBy: "disconnect" } };
    for (const { run } of await Promise.all(joins)) expect(run).toMatchObject(end);
    for (const reader of readers) {
      expect(await reader.ended).toBeUndefined();
      expect(endOf(reader.events)).toMatchObject(end);
    }
    await until(async () => (await watches()) === 0);
    await finish(kit);
  });

  it("a leaver does not weaken a rollback that is under way, and a finished run is left alone", async () => {
    const arrive = leavers["grpc-js, cancelled"]!;
    const { kit, runId, leaver } = await watched(arrive, "joinRun", "running", "ON_DISCONNECT_CANCEL");
    await until(async () => (await watches(runId)) === 1);
    const name = { threadId: kit.threadId, runId };
    const joined = app.client.runs.joinRun(name);
    await app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK });
    await leaver.leave();
    expect((await joined).run!.cancellation).toMatchObject({ action: CancelAction.ROLLBACK, requestedBy: "client" });
    await until(async () => (await watches(runId)) === 0);
    kit.gates.remove();
  });
});
