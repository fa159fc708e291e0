import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { type Barrier, createBarrier } from "../support/barrier.ts";
import { decideAs } from "../support/decide-as.ts";
import { aroundDecisions } from "../support/decisions.ts";
import { until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { openStores } from "../support/stores.ts";
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
        const lanes = aroundDecisions(parts.stores.lanes, {
          before: ({ step }) => (step === "end" ? settling?.pass() : undefined),
        });
        return { ...parts, stores: { ...parts.stores, lanes } };
      },
    });
  });
  afterAll(() => app.close());

  it("is dropped: the run is another worker's by then, and its outcome is what counts", async () => {
    const { lanes, runs, servers } = await openStores(app.db);
    const kit = await createRunKit(app);
    const { runId } = await kit.start();
    const name = { owner: "", threadId: kit.threadId, runId };
    const entry = async () => entryOf((await lanes.read(name))!.control, runId)!;
    settling = createBarrier();
    kit.gates.open();
    await settling.reached;

    // Another worker has taken the run over, as it does when the lease is over.
    const another = { id: "another", machine: "elsewhere", pid: 1, started: "", children: [], freeSlots: 0 };
    await servers.join(another);
    const dead = (await entry()).lease!.server;
    await decideAs("another", lanes)(name, { kind: "takeOver", dead, token: "another", reachable: false });
    const slots = await app.db.collection("checkpoints").countDocuments({ run_id: runId });
    const barrier = settling;
    settling = undefined;
    barrier.open();
    await until(() => dropped.length > 0);
    expect(await entry()).toMatchObject({ phase: "running", lease: { token: "another" } });
    expect(await runs.find(name)).toMatchObject({ status: "running" });
    expect((await kit.thread()).status).toBe(ThreadStatus.BUSY);

    // That worker dies as well.
    await app.db
      .collection<{ _id: string }>("servers")
      .updateOne({ _id: "another" }, { $set: { seen_at: new Date(0) } });
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 2 });
    expect(await app.db.collection("checkpoints").countDocuments({ run_id: runId })).toBe(slots);
    kit.gates.remove();
  });
});
