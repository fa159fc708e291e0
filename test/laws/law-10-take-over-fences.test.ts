import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { startApp } from "../../src/app.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { silentLog } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createRunKit } from "../support/run-kit.ts";
import { borrowChildren } from "../support/shared-children.ts";
import { openStores } from "../support/stores.ts";
import { startTestApp, type TestApp, testConfig } from "../support/test-app.ts";

describe("law 10: a worker whose run was taken over", () => {
  const points = createHoldPoints();
  const dropped: string[] = [];
  let app: TestApp;
  beforeAll(async () => {
    const write = (line: string) => {
      if (line.includes("a late outcome was dropped")) dropped.push(line);
    };
    app = await startTestApp({
      log: pino({ level: "warn" }, { write }),
      // It notices nothing by itself within the test's time, as if it slept.
      config: { leaseMs: 600_000 },
      decorate: points.decorate,
    });
  });
  afterAll(() => app.close());

  it("stores no checkpoint that was under way, although the place for it is free", async () => {
    const { lanes } = await openStores(app.db);
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    await kit.gates.started("a");
    const { control } = (await lanes.read({ owner: "", threadId: kit.threadId }))!;
    const { token, server } = entryOf(control, runId)!.lease!;
    const written = () => app.db.collection("checkpoints").countDocuments({ run_id: runId, token });
    const store = points.hold("store", runId);
    kit.gates.open("a");
    await store.reached;
    kit.gates.close("a");
    const before = await written();

    const unheard = { $set: { seen_at: new Date(0) } };
    await app.db.collection<{ _id: string }>("servers").updateOne({ _id: server }, unheard);
    const { mongodbUri, databaseName } = app.config;
    const config = testConfig({ uri: mongodbUri!, name: databaseName });
    const elsewhere = createHoldPoints();
    const claim = elsewhere.hold("claim", runId);
    const next = await startApp(config, {
      log: silentLog,
      progress: () => {},
      decorate: elsewhere.decorate,
      createHost: borrowChildren,
    });
    onTestFinished(() => next.stop());
    // It has taken the run over, and has stored nothing of its own yet.
    await claim.reached;
    store.open();
    await until(async () => dropped.length > 0 || (await written()) > before);
    expect(await written()).toBe(before);

    claim.open();
    kit.gates.open();
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    expect(await written()).toBe(before);
    kit.gates.remove();
  });
});
