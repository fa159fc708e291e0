import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { createReinsClient } from "../../src/client/index.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { readEvents } from "../support/event-reader.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { testGraphs } from "../support/test-app.ts";

describe("law 11: the death of the server that held the connection counts as a disconnect", {
  timeout: 120_000,
}, () => {
  let database: TestDatabase;
  let holder: ServerProcess;
  let next: ServerProcess | undefined;
  beforeAll(async () => {
    database = await testDatabase();
    holder = await startServer();
  });
  afterAll(async () => {
    await holder.end("SIGKILL");
    await next?.end("SIGTERM");
    await database.close();
  });

  const startServer = () =>
    startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: testGraphs,
      REINS_CHILDREN: "1",
    });
  const watches = () => database.db.collection("watches").countDocuments();

  it("runs with a CANCEL watcher are cancelled by the next server, even if they could end at once; others go on", async () => {
    const kits = await Promise.all([1, 2, 3].map(() => createRunKit(holder)));
    const [left, quick, kept] = kits as [(typeof kits)[0], (typeof kits)[0], (typeof kits)[0]];
    const running = await Promise.all(kits.map((kit) => kit.start()));
    const children = await Promise.all(kits.map((kit) => kit.gates.started("a")));
    const pending = await left.start();
    const watchersOf = [
      [left, running[0]!, OnDisconnect.CANCEL],
      [left, pending, OnDisconnect.CANCEL],
      [quick, running[1]!, OnDisconnect.CANCEL],
      [kept, running[2]!, OnDisconnect.CONTINUE],
    ] as const;
    const ended = watchersOf.map(([{ threadId }, { runId }, onDisconnect]) => {
      const request = { threadId, runId, onDisconnect };
      return readEvents((signal) => holder.client.runs.joinRunStream(request, { signal })).ended;
    });
    await until(async () => (await watches()) === 3);

    await holder.end("SIGKILL");
    for (const error of await Promise.all(ended)) expect(error).toBeInstanceOf(Error);
    await until(() => !children.some(isAlive));
    // Nothing would stop this one from running to its end as soon as it is taken up again.
    quick.gates.open();
    next = await startServer();
    const { runs } = createReinsClient({ baseUrl: next.url });
    const outcomeOf = async ({ threadId, runId }: { threadId: string; runId: string }) =>
      (await runs.joinRun({ threadId, runId, omitValues: true })).run!;
    for (const run of [running[0]!, pending, running[1]!]) {
      const now = async () => (await runs.getRun({ threadId: run.threadId, runId: run.runId })).run!;
      await until(async () => (await now()).cancellation !== undefined || (await now()).status === RunStatus.SUCCESS);
      expect(await outcomeOf(run)).toMatchObject({
        status: RunStatus.INTERRUPTED,
        cancellation: { requestedBy: "disconnect", reason: "client disconnected" },
      });
    }
    expect(quick.gates.isDone("b")).toBe(false);
    kept.gates.open();
    const outcome = await outcomeOf(running[2]!);
    expect([outcome.status, outcome.cancellation, outcome.attempt]).toEqual([RunStatus.SUCCESS, undefined, 2]);
    await until(async () => (await watches()) === 0);
    for (const kit of kits) kit.gates.remove();
  });
});
