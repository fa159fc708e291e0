import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { until } from "./gates.ts";
import { type Arrive, type WatchingCall, watchingCalls } from "./leavers.ts";
import { createRunKit, type RunKit } from "./run-kit.ts";
import type { TestApp } from "./test-app.ts";

/** What is stored of a cancel that a caller's departure has asked for. */
export const cancelledByLeaving = { requestedBy: "disconnect", reason: "client disconnected" };

/** A run at its first gate. */
export async function running(app: Pick<TestApp, "client">) {
  const kit = await createRunKit(app);
  const { runId } = await kit.start();
  await kit.gates.started("a");
  return { kit, runId, name: { threadId: kit.threadId, runId } };
}

export const watches = (app: TestApp, runId?: string) =>
  app.db.collection("watches").countDocuments(runId === undefined ? {} : { run_id: runId });

/** A run in this state, with the caller in the middle of its call. */
export async function watched(
  app: TestApp,
  arrive: Arrive,
  call: WatchingCall,
  state: "running" | "pending",
  onDisconnect: string,
) {
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

export const finish = async (kit: RunKit) => {
  kit.gates.open();
  await until(async () => (await kit.thread()).status !== 2);
  kit.gates.remove();
};

/** All calls in all states, side by side. */
export const everywhere = (check: (call: WatchingCall, state: "running" | "pending") => Promise<void>) =>
  Promise.all(watchingCalls.flatMap((call) => (["running", "pending"] as const).map((state) => check(call, state))));

/** A run that is watched with CANCEL is cancelled when its watcher goes, whatever it called and whatever the run does. */
export async function expectLeaverIsNoticed(app: TestApp, arrive: Arrive): Promise<void> {
  await everywhere(async (call, state) => {
    const { kit, runId, leaver } = await watched(app, arrive, call, state, "ON_DISCONNECT_CANCEL");
    await until(async () => (await watches(app, runId)) === 1);
    await leaver.leave();
    const { status, cancellation, startedAt } = await kit.join(runId);
    expect([call, state, status, cancellation]).toMatchObject([
      ...[call, state, RunStatus.INTERRUPTED],
      {
        action: CancelAction.INTERRUPT,
        ...cancelledByLeaving,
        outcome: state === "pending" ? CancelOutcome.NEVER_STARTED : CancelOutcome.STOPPED,
      },
    ]);
    expect(startedAt === undefined).toBe(state === "pending");
    await until(async () => (await watches(app, runId)) === 0);
    await finish(kit);
  });
}
