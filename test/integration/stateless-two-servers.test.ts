import type { Db } from "mongodb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import { entryInLane } from "../support/decisions.ts";
import { dump } from "../support/dump.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { createStatelessKit, type StatelessKit, type StatelessName } from "../support/stateless-kit.ts";
import { gatedGraph } from "../support/test-app.ts";

/** A stateless run is created and awaited at one server and executed by another. */
describe("a stateless run on two servers", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let db: Db;
  let first: ServerProcess;
  let second: ServerProcess;
  /** At the first server, whose only slot is taken by a run of `blocker`. */
  let kit: StatelessKit;
  let blocker: StatelessKit;

  const startServer = () =>
    startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
      REINS_SLOTS: "1",
      REINS_LEASE_MS: "3000",
      REINS_POLL_MS: "100",
    });

  beforeAll(async () => {
    database = await testDatabase();
    db = database.db;
    second = await startServer();
  });
  beforeEach(async () => {
    // Alone there, so that the run that blocks it is its own.
    first = await startServer();
    [kit, blocker] = [createStatelessKit(first), createStatelessKit(first)];
    await blocker.create({ steps: ["block"] });
    await blocker.gates.started("block");
  });
  afterEach(async () => {
    await first.end("SIGKILL");
    for (const { gates } of [kit, blocker]) gates.remove();
  });
  afterAll(async () => {
    await second.end("SIGTERM");
    await database.close();
  });

  const threadOf = ({ threadId }: StatelessName) => db.collection("threads").findOne({ thread_id: threadId });
  const serverOf = async (name: StatelessName) => (await entryInLane(db, name))?.lease?.server;
  const isGone = async (name: StatelessName) => (await threadOf(name)) === null;

  it("its callers get the outcome, the values and every event at the one, though the other has executed it", async () => {
    for (const how of ["wait", "stream"] as const) {
      const { threadId, runId, told } = await kit[how]({ steps: [how] });
      await kit.gates.started(how);
      expect((await threadOf({ threadId, runId }))!.watched_by).not.toContain(await serverOf({ threadId, runId }));
      const late = createStatelessKit(second).join({ threadId, runId });
      await until(async () => (await threadOf({ threadId, runId }))!.watched_by.length === 2);
      // Only this step: the next run is to wait as well.
      kit.gates.open(how);
      for (const one of await Promise.all([told, late])) {
        expect(one).toMatchObject({ status: RunStatus.SUCCESS, log: [how] });
      }
      await until(() => isGone({ threadId, runId }));
      for (const { client } of [first, second]) {
        expect(await client.runs.getRun({ threadId, runId }).catch(errorReason)).toBe("RUN_NOT_FOUND");
      }
    }
  });

  it("is gone when the server at which somebody waited has died", async () => {
    const { threadId, runId, told } = await kit.wait({ steps: ["a"] });
    told.catch(() => {});
    await kit.gates.started("a");
    await first.end("SIGKILL");
    blocker.gates.open();
    kit.gates.open();
    await until(() => isGone({ threadId, runId }), 60_000);
    await until(async () => (await db.collection("threads").countDocuments({ rev: { $exists: true } })) === 0, 60_000);
    expect(Object.keys(await dump(db))).toEqual(["meta"]);
  });
});
