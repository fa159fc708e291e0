import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import {
  CancelAction,
  CancelOutcome,
  MultitaskStrategy,
  OnDisconnect,
  type Run,
  RunStatus,
} from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, runEvents } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const soon: SpecInit = { after: { nanos: 300_000_000 } };
const inAnHour: SpecInit = { after: { seconds: 3600n } };
const failure = (call: Promise<unknown>) => call.catch((error: unknown) => error as ConnectError);

describe("delayed runs", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { leaseMs: 3_000 } });
  });
  afterAll(() => app.close());

  interface StoredRun {
    readonly _id: string;
    readonly due_at: Date | null;
    readonly n: number;
  }
  const runsInDb = () => app.db.collection<StoredRun>("runs");
  const stored = async (run: Run) => (await runsInDb().findOne({ _id: run.runId }))!;
  /** With the encoding that GetRun answers in, which is not the request's. */
  const asRead = (kit: RunKit, run: Run) => kit.get(run.runId);
  const hasJoined = (run: Run) => until(async () => (await stored(run)).due_at === null);

  it("start when their delay has ended, not before", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const run = await kit.start({ steps: ["x"] }, soon);
    expect([run.status, run.attempt, run.startedAt]).toEqual([RunStatus.PENDING, 0, undefined]);
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    const over = await kit.join(run.runId);
    expect(over.status).toBe(RunStatus.SUCCESS);
    expect(over.dueAt).toBeUndefined();
    // By one clock: the database and the server of a test run on the same machine.
    expect(timestampDate(over.startedAt!).getTime()).toBeGreaterThanOrEqual(timestampDate(run.dueAt!).getTime());
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("block nothing but keep their thread busy until then", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const delayed = await asRead(kit, await kit.start({ steps: ["late"] }, inAnHour));
    for (const step of ["x", "y"]) {
      expect((await kit.join((await kit.start({ steps: [step] })).runId)).status).toBe(RunStatus.SUCCESS);
      expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
    }
    expect(await kit.get(delayed.runId)).toEqual(delayed);
    expect(kit.gates.steps()).toEqual(["x", "y"]);
    await kit.client.threads.deleteThread({ threadId: kit.threadId });
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual({});
    kit.gates.remove();
  });

  it("join the order when their delay ends", async () => {
    const kit = await createRunKit(app);
    const runs = [await kit.start({ steps: ["a"] })];
    await kit.gates.started("a");
    const delayed = await kit.start({ steps: ["delayed"] }, soon);
    runs.push(await kit.start({ steps: ["before"] }), delayed);
    await hasJoined(delayed);
    runs.push(await kit.start({ steps: ["after"] }));
    kit.gates.open();
    for (const { runId } of runs) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "before", "delayed", "after"] });
    kit.gates.remove();
  });

  it("take the turn at once when the thread has become free", async () => {
    const kit = await createRunKit(app);
    const delayed = await Promise.all(["p", "q", "r"].map((step) => kit.start({ steps: [step] }, soon)));
    kit.gates.open();
    for (const { runId } of delayed) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    const { log } = (await kit.state()).values as { log: string[] };
    expect(log.toSorted()).toEqual(["p", "q", "r"]);
    expect(kit.gates.spans()).toEqual(log.flatMap((step) => [`begin ${step}`, `end ${step}`]));
    kit.gates.remove();
  });

  it("count as live for REJECT, which is itself decided at the creation", async () => {
    const kit = await createRunKit(app);
    const delayed = await kit.start({}, inAnHour);
    const before = await dump(app.db, { threadId: kit.threadId });
    const reject = { multitaskStrategy: MultitaskStrategy.REJECT };
    for (const spec of [reject, { ...reject, ...inAnHour }]) {
      const error = (await failure(kit.start({}, spec))) as ConnectError;
      expect([Code[error.code], errorReason(error)]).toEqual(["Aborted", "THREAD_BUSY"]);
      expect(error.rawMessage).toContain(delayed.runId);
      const detail = { runId: delayed.runId, threadId: kit.threadId, status: RunStatus.PENDING };
      expect(error.findDetails(RunErrorDetailSchema)).toMatchObject([detail]);
    }
    expect(await dump(app.db, { threadId: kit.threadId })).toEqual(before);
    await kit.client.runs.cancelRun({ threadId: kit.threadId, runId: delayed.runId });
    kit.gates.open();
    const accepted = await kit.start({ steps: ["x"] }, { ...reject, ...soon });
    expect((await kit.join(accepted.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  it("show their created event at once, and their end when they are cancelled", async () => {
    const kit = await createRunKit(app);
    const create = { threadId: kit.threadId, spec: kit.spec({}, inAnHour) };
    const kinds: (string | undefined)[] = [];
    for await (const event of runEvents((signal) => kit.client.runs.streamRun({ create }, { signal }))) {
      kinds.push(event.event.case);
      if (event.event.case !== "created") continue;
      const { runId } = event.event.value;
      await kit.client.runs.cancelRun({ threadId: kit.threadId, runId });
    }
    expect(kinds).toEqual(["created", "ended"]);
    kit.gates.remove();
  });

  const resting: [string, (kit: RunKit) => Promise<unknown>, ThreadStatus][] = [
    ["nothing", async () => {}, ThreadStatus.IDLE],
    ["a finished run", async (kit) => kit.join((await kit.start()).runId), ThreadStatus.IDLE],
    [
      "a run that has paused",
      async (kit) => kit.join((await kit.start({}, { interruptBefore: ["step"] })).runId),
      ThreadStatus.INTERRUPTED,
    ],
    [
      "a failed run",
      async (kit) => kit.join((await kit.start({}, { config: { recursionLimit: 2 } })).runId),
      ThreadStatus.ERROR,
    ],
  ];
  describe.each(resting)("cancelled on a thread with %s", (_, prepare, status) => {
    it.each([
      ["INTERRUPT", CancelAction.INTERRUPT],
      ["ROLLBACK", CancelAction.ROLLBACK],
    ])("with %s they change nothing, and their waiters learn it", async (_name, action) => {
      const kit = await createRunKit(app);
      kit.gates.open();
      await prepare(kit);
      const before = await dump(app.db, { threadId: kit.threadId });
      expect((await kit.thread()).status).toBe(status);
      const run = await kit.start({}, inAnHour);
      expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);
      const waiting = kit.join(run.runId);
      const name = { threadId: kit.threadId, runId: run.runId };
      const cancelled = await kit.client.runs.cancelRun({ ...name, action, wait: true });
      expect(cancelled.outcome).toBe(CancelOutcome.NEVER_STARTED);
      const over = await waiting;
      expect([over.status, over.dueAt, over.startedAt]).toEqual([RunStatus.INTERRUPTED, undefined, undefined]);
      const after = await dump(app.db, { threadId: kit.threadId });
      expect({ ...after, runs: (after.runs ?? []).filter((one) => one._id !== run.runId) }).toEqual({
        ...before,
        runs: before.runs ?? [],
      });
      expect((await kit.thread()).status).toBe(status);
      kit.gates.remove();
    });
  });

  it("are cancelled when their watcher leaves", async () => {
    const kit = await createRunKit(app);
    const leaving = new AbortController();
    const create = { threadId: kit.threadId, runId: crypto.randomUUID(), spec: kit.spec({}, inAnHour) };
    const request = { create, onDisconnect: OnDisconnect.CANCEL };
    const waiting = kit.client.runs.waitRun(request, { signal: leaving.signal }).catch(() => "left");
    await until(async () => (await kit.thread()).status === ThreadStatus.BUSY);
    await until(async () => (await runsInDb().findOne({ _id: create.runId })) !== null);
    leaving.abort();
    expect(await waiting).toBe("left");
    expect((await kit.join(create.runId)).cancellation).toMatchObject({ requestedBy: "disconnect" });
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
  });

  it("outlive their server", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const run = await kit.start({ steps: ["x"] }, { after: { seconds: 1n } });
    const late = await asRead(kit, await kit.start({}, inAnHour));
    app = await app.restart();
    const { runs } = app.client;
    const over = (await runs.joinRun({ threadId: kit.threadId, runId: run.runId })).run!;
    expect(over.status).toBe(RunStatus.SUCCESS);
    expect(timestampDate(over.startedAt!).getTime()).toBeGreaterThanOrEqual(timestampDate(run.dueAt!).getTime());
    expect((await runs.getRun({ threadId: kit.threadId, runId: late.runId })).run).toEqual(late);
    kit.gates.remove();
  });
});
