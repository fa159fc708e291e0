import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Db } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { entryInLane } from "../support/decisions.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

/** Two servers of their own processes on one database: the first is killed or paused, the second takes its runs over. */
describe("two servers on one database", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let db: Db;
  let first: ServerProcess;
  let second: ServerProcess;

  beforeAll(async () => {
    database = await testDatabase();
    db = database.db;
    second = await startServer(12_000);
  });
  afterEach(async () => {
    // Also one that is paused.
    await first.end("SIGKILL");
  });
  afterAll(async () => {
    await second.end("SIGTERM");
    await database.close();
  });

  const leaseMs = 4_000;
  const startServer = (ms = leaseMs) =>
    startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
      REINS_SLOTS: "4",
      REINS_LEASE_MS: String(ms),
      REINS_GRACE_MS: "60000",
    });

  type Name = { readonly threadId: string; readonly runId: string };
  const leaseOf = async (run: Name) => (await entryInLane(db, run))?.lease;
  /** Ended entries stay until something else is decided about their thread, or a lease has passed. */
  const lostOf = async (run: Name) => (await entryInLane(db, run))!.lost ?? 0;

  /** All that was ever stored with a lease token. */
  async function writtenWith(token: string) {
    const slots = await db.collection("checkpoints").find({ token }).project({ slot: 1 }).toArray();
    const chunks = await db.collection("run_events").find({ token, gate: false }).project({ chunk: 1 }).toArray();
    return { slots: slots.map((one) => one._id), chunks: chunks.map((one) => one._id) };
  }

  it("a killed server's runs are taken over at once, and only its own", async () => {
    // Far longer than the test: only the look at its process can tell that it is dead.
    first = await startServer(600_000);
    const [left, kept] = [await createRunKit(first), await createRunKit(second)];
    const [leftRun, keptRun] = [await left.start(), await kept.start()];
    left.gates.open("a");
    await Promise.all([left.gates.started("b"), kept.gates.started("a")]);
    await first.end("SIGKILL");
    await until(() => left.gates.steps().length === 3);
    for (const { gates } of [left, kept]) gates.open();
    const { run } = await second.client.runs.joinRun({ threadId: left.threadId, runId: leftRun.runId });
    expect(run).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(await lostOf(leftRun)).toBe(1);
    expect(left.gates.steps()).toEqual(["a", "b", "b", "c"]);
    expect(await kept.join(keptRun.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
    for (const { gates } of [left, kept]) gates.remove();
  });

  it("where its process cannot be looked up, its lease is waited for, and a stored cancel ends as fenced", async () => {
    first = await startServer();
    const [resumed, cancelled] = [await createRunKit(first), await createRunKit(first)];
    const [run, toCancel] = [await resumed.start(), await cancelled.start({ manners: { a: "deaf" } })];
    const pids = await Promise.all([resumed, cancelled].map((kit) => kit.gates.started("a")));
    await first.client.runs.cancelRun({ threadId: cancelled.threadId, runId: toCancel.runId });
    const { server } = (await leaseOf(run))!;

    // It does not beat any more, which would put its record right, and is alive still.
    process.kill(first.pid, "SIGSTOP");
    const servers = db.collection<{ _id: string; machine: string; seen_at: Date; dead_at?: Date }>("servers");
    const record = (await servers.findOneAndUpdate({ _id: server }, { $set: { machine: "elsewhere" } }))!;
    // The other one may have read the record before: the next look is over when it has found this one dead.
    await servers.insertOne({ ...record, _id: "looked", children: [], pid: 2 ** 22 + 1 } as never);
    await until(async () => (await servers.findOne({ _id: "looked" }))?.dead_at !== undefined);
    await first.end("SIGKILL");
    const tokens = await Promise.all([run, toCancel].map(async (one) => (await leaseOf(one))!.token));
    const { seen_at: heardOf } = (await servers.findOne({ _id: server }))!;
    await until(() => pids.every((pid) => !isAlive(pid)));

    const { run: over } = await second.client.runs.joinRun({ threadId: cancelled.threadId, runId: toCancel.runId });
    expect(over!.status).toBe(RunStatus.INTERRUPTED);
    expect(over!.cancellation!.outcome).toBe(CancelOutcome.FENCED);
    await until(() => resumed.gates.steps().length === 2);
    // Neither was taken over before the lease was over.
    const leaseIsOver = heardOf.getTime() + leaseMs;
    expect(timestampDate(over!.endedAt!).getTime()).toBeGreaterThanOrEqual(leaseIsOver);
    expect(Date.now()).toBeGreaterThanOrEqual(leaseIsOver);
    const gates = await db
      .collection("run_events")
      .find({ gate: true, token: { $in: tokens } })
      .toArray();
    expect(gates.map(({ token }) => token).toSorted()).toEqual(tokens.toSorted());
    resumed.gates.open();
    const { run: resumedRun } = await second.client.runs.joinRun({ threadId: resumed.threadId, runId: run.runId });
    expect(resumedRun).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    for (const { gates } of [resumed, cancelled]) gates.remove();
  });

  it("a paused server whose run was taken over writes nothing when it goes on", async () => {
    first = await startServer();
    const kit = await createRunKit(first);
    const run = await kit.start();
    const pid = await kit.gates.started("a");
    const { token, server } = (await leaseOf(run))!;
    process.kill(first.pid, "SIGSTOP");
    // Its child finishes the step meanwhile, so that a checkpoint and events wait for the server to go on.
    kit.gates.open("a");
    await until(() => kit.gates.isDone("a"));
    kit.gates.close("a");
    await until(async () => (await leaseOf(run))?.server !== server);
    await until(() => kit.gates.steps().length === 2);
    expect(isAlive(pid)).toBe(false);

    const before = await writtenWith(token);
    process.kill(first.pid, "SIGCONT");
    await until(() => first.log().includes("a late outcome was dropped"));
    expect(await writtenWith(token)).toEqual(before);
    kit.gates.open();
    const over = await kit.join(run.runId);
    expect(over).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(await lostOf(run)).toBe(1);
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    expect(await writtenWith(token)).toEqual(before);
    kit.gates.remove();
  });
});
