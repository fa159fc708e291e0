import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { createReinsClient } from "../../src/client/index.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import type { RunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";
import { cancelledByLeaving, running } from "../support/watched-runs.ts";

const { CANCEL, CANCEL_IF_LAST } = OnDisconnect;

describe("law 11: CANCEL_IF_LAST with several servers", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let first: ServerProcess;
  let second: ServerProcess;
  beforeAll(async () => {
    database = await testDatabase();
    [first, second] = await Promise.all([startServer(), startServer()]);
  });
  afterAll(async () => {
    await Promise.all([first.end("SIGKILL"), second.end("SIGTERM")]);
    await database.close();
  });

  const startServer = () =>
    startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
      REINS_LEASE_MS: "6000",
    });
  const watches = (runId: string, more: object = {}) =>
    database.db.collection("watches").countDocuments({ run_id: runId, ...more });
  const readOn = (server: ServerProcess, name: object, onDisconnect: OnDisconnect) => {
    const { runs } = createReinsClient({ baseUrl: server.url });
    return readEvents((signal) => runs.joinRunStream({ ...name, onDisconnect }, { signal }));
  };

  /** Looked at, not waited for: a wait would be one more watcher. */
  async function expectCancelled(kit: RunKit, runId: string) {
    await until(async () => (await kit.get(runId)).status === RunStatus.INTERRUPTED);
    expect((await kit.get(runId)).cancellation).toMatchObject(cancelledByLeaving);
  }

  it("a stored watch on another server counts, and its departure is the last", async () => {
    const { kit, runId, name } = await running(second);
    const [here, there] = [readOn(first, name, CANCEL_IF_LAST), readOn(second, name, CANCEL_IF_LAST)];
    for (const reader of [here, there]) await reader.received(1);
    await here.leave();
    await until(async () => (await watches(runId, { left: true })) === 1);
    const witness = await running(second);
    const leaver = readOn(first, witness.name, CANCEL);
    await leaver.received(1);
    await leaver.leave();
    await expectCancelled(witness.kit, witness.runId);
    expect((await kit.get(runId)).cancellation).toBeUndefined();
    await there.leave();
    await expectCancelled(kit, runId);
    await until(async () => (await watches(runId)) === 0);
    for (const one of [kit, witness.kit]) one.gates.remove();
  });

  it("a dead server's watches cancel, unless a living one has a watch of the run", async () => {
    const [alone, shared] = [await running(second), await running(second)];
    const readers = [readOn(first, alone.name, CANCEL_IF_LAST), readOn(first, shared.name, CANCEL_IF_LAST)];
    const kept = readOn(second, shared.name, CANCEL_IF_LAST);
    for (const reader of [...readers, kept]) await reader.received(1);
    await first.end("SIGKILL");
    await expectCancelled(alone.kit, alone.runId);
    await until(async () => (await watches(shared.runId, { left: true })) === 1);
    expect((await shared.kit.get(shared.runId)).cancellation).toBeUndefined();
    await kept.leave();
    await expectCancelled(shared.kit, shared.runId);
    for (const { kit, runId } of [alone, shared]) {
      await until(async () => (await watches(runId)) === 0);
      kit.gates.remove();
    }
  });
});
