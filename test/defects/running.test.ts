import { Code } from "@connectrpc/connect";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, type Run, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, toPayload } from "../../src/client/index.ts";
import { readConfig } from "../../src/config.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Defects of other servers in what executes, and what goes on behind an answer; see docs/defects.md. */
const points = createHoldPoints();
let app: TestApp;
beforeAll(async () => {
  // Two slots, which are quickly taken.
  app = await startTestApp({ config: { graceMs: 500, slotsPerChild: 2 }, decorate: points.decorate });
});
afterAll(() => app.close());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );

describe("deletion", () => {
  it.each(["run", "thread"])("S12, J7: of a %s whose node executes stops the node first", async (what) => {
    const kit = await createRunKit(app);
    const { threadId } = kit;
    const { runId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    if (what === "run") await app.client.runs.deleteRun({ threadId, runId });
    else await app.client.threads.deleteThread({ threadId });
    const signs = kit.gates.beats();
    const other = await createRunKit(app);
    other.gates.open();
    await other.join((await other.start()).runId);
    expect(kit.gates.beats()).toBe(signs);
    expect(kit.gates.isDone("a")).toBe(false);
    const ofIt = { thread_id: threadId, events: { $ne: [] } };
    expect(await app.db.collection("run_events").countDocuments(ofIt)).toBe(0);
    if (what === "run") expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    for (const each of [kit, other]) each.gates.remove();
  });
});

describe("slots", () => {
  it("S18: runs that wait behind a busy thread keep no other from starting", async () => {
    const [busy, other] = [await createRunKit(app), await createRunKit(app)];
    const first = await busy.start();
    await busy.gates.started("a");
    const waiting = await Promise.all(Array.from({ length: 12 }, () => busy.start()));
    other.gates.open();
    expect((await other.join((await other.start()).runId)).status).toBe(RunStatus.SUCCESS);
    expect((await busy.get(first.runId)).status).toBe(RunStatus.RUNNING);
    const runIds = [first, ...waiting].map(({ runId }) => runId);
    await app.client.runs.cancelRuns({
      target: { case: "runs", value: { threadId: busy.threadId, runIds } },
      wait: true,
    });
    expect(busy.gates.steps()).toEqual(["a"]);
    for (const each of [busy, other]) each.gates.remove();
  });

  it("S22: by default there is a process a core, with room for many runs", () => {
    const { children, slotsPerChild } = readConfig([], {}, process.cwd());
    expect(children).toBeGreaterThanOrEqual(1);
    expect(slotsPerChild).toBe(16);
  });

  it.each([
    ["INTERRUPT", CancelAction.INTERRUPT],
    ["ROLLBACK", CancelAction.ROLLBACK],
  ])("B3: a cancel with %s reaches its run while every slot is taken, running or waiting", async (_, action) => {
    const kits = await Promise.all([1, 2, 3].map(() => createRunKit(app)));
    const runs: Run[] = [];
    for (const kit of kits) runs.push(await kit.start());
    await Promise.all(kits.slice(0, 2).map((kit) => kit.gates.started("a")));
    expect((await kits[2]!.get(runs[2]!.runId)).status).toBe(RunStatus.PENDING);
    const cancel = (i: number) =>
      app.client.runs.cancelRun({ threadId: kits[i]!.threadId, runId: runs[i]!.runId, action, wait: true });
    expect((await cancel(2)).outcome).toBe(CancelOutcome.NEVER_STARTED);
    expect((await cancel(0)).outcome).toBe(CancelOutcome.STOPPED);
    expect((await cancel(1)).outcome).toBe(CancelOutcome.STOPPED);
    for (const { gates } of kits) gates.remove();
  });

  it("J6: a node that computes without a pause does not hold up the API", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start({ manners: { a: "busy" } });
    await kit.gates.started("a");
    const other = await createRunKit(app);
    expect((await other.thread()).status).toBe(ThreadStatus.IDLE);
    const name = { threadId: kit.threadId, runId };
    expect((await app.client.runs.cancelRun({ ...name, wait: true })).outcome).toBe(CancelOutcome.KILLED);
    for (const each of [kit, other]) each.gates.remove();
  });
});

describe("cancels", () => {
  it("J1: a cancelled run is no error, nor its thread; a finished run's cancel is refused", async () => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    await kit.gates.started("a");
    await app.client.runs.cancelRun({ threadId: kit.threadId, runId, wait: true });
    const [run, thread] = [await kit.get(runId), await kit.thread()];
    expect([run.status, run.error]).toEqual([RunStatus.INTERRUPTED, undefined]);
    expect([thread.status, thread.error]).toEqual([ThreadStatus.INTERRUPTED, undefined]);
    kit.gates.open();
    const next = await kit.start(null);
    await kit.join(next.runId);
    const refused = app.client.runs.cancelRun({ threadId: kit.threadId, runId: next.runId });
    expect(await failure(refused)).toEqual(["FailedPrecondition", "RUN_NOT_CANCELLABLE"]);
    kit.gates.remove();
  });

  it.each(["claim", "claimed"] as const)(
    "B1: a cancel is not lost between the claim and the first step (%s)",
    async (at) => {
      const kit = await createRunKit(app);
      const first = await kit.start({ steps: ["x"] });
      const runId = crypto.randomUUID();
      const held = points.hold(at, runId);
      await kit.start({ steps: ["y"] }, {}, runId);
      kit.gates.open("x");
      await kit.join(first.runId);
      await held.reached;
      const answer = await app.client.runs.cancelRun({ threadId: kit.threadId, runId });
      held.open();
      expect(await kit.join(runId)).toMatchObject({ status: RunStatus.INTERRUPTED });
      expect(answer.outcome).toBe(at === "claim" ? CancelOutcome.NEVER_STARTED : CancelOutcome.REQUESTED);
      expect(kit.gates.hasStarted("y")).toBe(false);
      kit.gates.remove();
    },
  );

  it("B4: stopping a run and the one behind it at once never starts the second", async () => {
    for (let i = 0; i < 10; i += 1) {
      const kit = await createRunKit(app);
      const [first, second] = [await kit.start({ steps: ["x"] }), await kit.start({ steps: ["y"] })];
      await kit.gates.started("x");
      const runIds = [first.runId, second.runId];
      const target = { case: "runs", value: { threadId: kit.threadId, runIds } } as const;
      const { results } = await app.client.runs.cancelRuns({ target, wait: true });
      expect(results.map(({ outcome }) => outcome)).toEqual([CancelOutcome.STOPPED, CancelOutcome.NEVER_STARTED]);
      expect(kit.gates.steps()).toEqual(["x"]);
      kit.gates.remove();
    }
  });
});

it("S21: history answers 10 states by default, and limits outside of the range are refused", async () => {
  const kit = await createRunKit(app);
  kit.gates.open();
  await kit.join((await kit.start({ steps: ["a", "b", "c", "d", "e", "f", "g", "h", "i"] })).runId);
  const { threadId } = kit;
  expect((await app.client.threads.listThreadHistory({ threadId })).states).toHaveLength(10);
  for (const limit of [-1, 1001]) {
    expect((await failure(app.client.threads.listThreadHistory({ threadId, limit })))[0]).toBe("InvalidArgument");
  }
  kit.gates.remove();
});

it("B7: an abort while a model call is pending leaves no unhandled rejection", async () => {
  const lines: { level: number; msg: string }[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const examples = await startTestApp({ log, config: { configFile: undefined } });
  try {
    const { threadId } = (await examples.client.threads.createThread({})).thread!;
    const input = toPayload({ messages: [{ role: "user", content: "Is it so?" }], delay_ms: 40 });
    for (let i = 0; i < 5; i += 1) {
      const spec = { assistantId: "agent", input, streamModes: [StreamMode.MESSAGES_TUPLE] };
      const { runId } = (await examples.client.runs.createRun({ threadId, spec })).run!;
      const reader = readEvents((signal) => examples.client.runs.joinRunStream({ threadId, runId }, { signal }));
      // Words of the model have come, more are to come.
      await until(() => reader.events.filter(({ event }) => event.case === "output").length >= 2);
      const answer = await examples.client.runs.cancelRun({ threadId, runId, wait: true });
      expect(answer.outcome).toBe(CancelOutcome.STOPPED);
      expect(await reader.ended).toBeUndefined();
    }
    // Where the tests run as root, a start says what follows from that.
    expect(lines.filter(({ msg }) => !msg.startsWith("Graphs run as root"))).toEqual([]);
  } finally {
    await examples.close();
  }
});
