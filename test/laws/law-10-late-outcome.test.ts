import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("law 10: an outcome that comes too late", () => {
  let app: TestApp;
  let settling: Barrier | undefined;
  const dropped: string[] = [];
  beforeAll(async () => {
    const write = (line: string) => {
      if (line.includes("a late outcome was dropped")) dropped.push(line);
    };
    app = await startTestApp({
      log: pino({ level: "warn" }, { write }),
      decorate: (parts) => {
        const runs = around(parts.stores.runs, "finish", { before: () => settling?.pass() });
        return { ...parts, stores: { ...parts.stores, runs } };
      },
    });
  });
  afterAll(() => app.close());

  it("is dropped: the run is another worker's by then, and its outcome is what counts", async () => {
    const runs = app.db.collection<{ _id: string; status: string; lease: { token: string; until: Date } | null }>(
      "runs",
    );
    const kit = await createRunKit(app);
    const run = await kit.start();
    settling = createBarrier();
    kit.gates.open();
    await settling.reached;

    // Another worker has taken the run over, as it does when the lease is over.
    const taken = { token: "another", server: "another", until: new Date(Date.now() + 600_000), unfenced: [] };
    await runs.updateOne({ _id: run.runId }, { $set: { lease: taken } });
    const slots = await app.db.collection("checkpoints").countDocuments({ run_id: run.runId });
    const barrier = settling;
    settling = undefined;
    barrier.open();
    await until(() => dropped.length > 0);
    expect(await runs.findOne({ _id: run.runId })).toMatchObject({ status: "running", lease: { token: "another" } });
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);

    // That worker dies as well.
    await runs.updateOne({ _id: run.runId }, { $set: { "lease.until": new Date(0) } });
    expect(await kit.join(run.runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(await app.db.collection("checkpoints").countDocuments({ run_id: run.runId })).toBe(slots);
    kit.gates.remove();
  });
});
