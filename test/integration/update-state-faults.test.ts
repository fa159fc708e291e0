import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import type { Holder } from "../../src/domain/thread/entry.ts";
import { collections } from "../../src/storage/collections.ts";
import { createLanes } from "../../src/storage/lanes.ts";
import { dump } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createHoldPoints } from "../support/hold-points.ts";
import { createStateKit, logOf, stateGraphs } from "../support/state-kit.ts";
import { wallClock } from "../support/stores.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("an edit whose process is lost", () => {
  it.each([
    ["before it has written", "store", 0],
    ["after it has written", "stored", 1],
  ] as const)("%s is done once", async (_, point, written) => {
    const own = createHoldPoints();
    let pids: () => readonly number[] = () => [];
    const fragile = await startTestApp({
      config: { configFile: stateGraphs },
      decorate(parts) {
        pids = () => parts.host.pids;
        return own.decorate(parts);
      },
    });
    const kit = await createStateKit(fragile);
    kit.gates.open();
    await kit.run({ steps: ["a"] });
    const before = (await kit.history()).length;
    const barrier = own.hold(point, "undefined");
    const edit = kit.update({ log: ["edited"] }, { asNode: "step" });
    await barrier.reached;
    const { id: token } = (await holderOf(fragile, kit.threadId))!;
    // No run is live: the edit is made in one of these.
    for (const pid of pids()) process.kill(pid, "SIGKILL");
    expect((await fragile.db.collection("checkpoints").find({ token }).toArray()).length).toBe(written);
    barrier.open();
    const made = await edit;
    expect(await kit.history()).toHaveLength(before + 1);
    expect(await kit.stateAt()).toMatchObject({ checkpoint: made });
    expect(logOf(await kit.stateAt())).toEqual(["a", "edited"]);
    await kit.run({ steps: ["b"] });
    kit.gates.remove();
    await fragile.close();
  });
});

describe("an edit whose server stops answering", () => {
  it("writes nothing once a run may start, and leaves the thread as it was", async () => {
    const own = createHoldPoints();
    const slow = await startTestApp({
      config: { configFile: stateGraphs, leaseMs: 3_000 },
      decorate: own.decorate,
    });
    const kit = await createStateKit(slow);
    const { threadId } = kit;
    kit.gates.open();
    await kit.run({ steps: ["a"] });
    const before = await dump(slow.db, { threadId });
    const barrier = own.hold("store", "undefined");
    const edit = kit.update({ log: ["late"] }, { asNode: "step" }).catch((thrown: unknown) => thrown);
    await barrier.reached;
    // Others take it for dead, and over what it holds.
    await slow.db.collection("servers").updateMany({}, { $set: { dead_at: new Date() } });
    await until(async () => (await holderOf(slow, threadId)) === undefined);
    expect(await dump(slow.db, { threadId })).toEqual(before);
    // Its place in the journal is still free, as it is for a run that has just started.
    barrier.open();
    expect(await edit).toMatchObject({
      code: Code.Unavailable,
      rawMessage: expect.stringMatching(/longer than the thread could be held/),
    });
    expect(await dump(slow.db, { threadId })).toEqual(before);
    await kit.run({ steps: ["b"] });
    expect(logOf(await kit.stateAt())).toEqual(["a", "b"]);
    expect((await kit.thread()).status).toBe(ThreadStatus.IDLE);
    kit.gates.remove();
    await slow.close();
  });
});

describe("an edit whose graph's code hangs", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: stateGraphs, leaseMs: 6_000 } });
  });
  afterAll(() => app.close());

  const failure = (call: Promise<unknown>) =>
    call.then(
      () => "no error",
      (error) => [Code[error.code], errorReason(error)],
    );

  it("ends, writes nothing and leaves the thread free", async () => {
    const kit = await createStateKit(app, "touchy");
    const { threadId } = kit;
    await kit.run({ value: "fine" });
    const before = await dump(app.db, { threadId });
    const begun = Date.now();
    const edit = failure(kit.update({ value: "hang" }, { asNode: "first" }));
    let hold: string | undefined;
    await until(async () => {
      const holder = await holderOf(app, threadId);
      hold = holder?.kind === "edit" ? holder.id : undefined;
      return hold !== undefined;
    });
    expect(await edit).toEqual(["Unavailable", "GRAPH_TIMEOUT"]);
    // It was longer at work than a lease lasts, and nobody has taken the thread from it.
    expect(Date.now() - begun).toBeGreaterThan(app.config.leaseMs);
    expect(await app.db.collection("checkpoints").countDocuments({ thread_id: threadId, fences: hold })).toBe(0);
    expect(await dump(app.db, { threadId })).toEqual(before);
    await kit.update({ value: "fine again" }, { asNode: "second" });
    expect((await kit.state()).values).toMatchObject({ value: "fine again" });
    kit.gates.remove();
  }, 40_000);
});

async function holderOf({ db }: Pick<TestApp, "db">, threadId: string): Promise<Holder | undefined> {
  const stored = await createLanes(collections(db), wallClock).read({ owner: "", threadId });
  return stored?.control.lane.holder;
}
