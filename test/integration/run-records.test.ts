import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Run } from "../../src/domain/run/run.ts";
import type { Act, Acted } from "../../src/domain/thread/act.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import { collections } from "../../src/storage/collections.ts";
import type { Retention } from "../../src/storage/run-expiry.ts";
import { createRunSpecs } from "../../src/storage/run-specs.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { createSweep } from "../../src/worker/sweep.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { describeRunRecords } from "../support/run-contract.ts";
import { newRecord } from "../support/run-records.ts";
import { describeRunSpecs } from "../support/spec-contract.ts";
import { openStores } from "../support/stores.ts";
import { situations, threadAfter } from "../unit/domain/lane-situations.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const open = async (retention?: Retention) => (await openStores(database.db, retention)).runs;
describeRunRecords("in the database", open);
describeRunRecords("behind a router", async (retention) => {
  return (await openStores(database.db, { ...retention, isSharded: true })).runs;
});
describeRunSpecs("in the database", open);

describe("what was left of a run's creation that a crash has ended", () => {
  const input = JSON.stringify("x".repeat(20_000));
  const newLarge = (): Run => {
    const record = newRecord();
    return { ...record, spec: { ...record.spec, input } };
  };
  const all = () => collections(database.db);
  const later = new Date(Date.now() + 60_000);
  const left = async ({ runId }: Run) =>
    (await database.db.collection<{ _id: string }>("run_specs").find({}).toArray()).filter(({ _id }) =>
      _id.startsWith(runId),
    ).length;

  it("goes where there is no record, or the record names another storing, and stays as long as that may change", async () => {
    const { runs } = await openStores(database.db);
    const [withdrawn, replaced] = [newLarge(), newLarge()];
    const specs = createRunSpecs(all());
    for (const run of [withdrawn, replaced]) await runs.insert(run);
    await all().runs.deleteOne({ _id: withdrawn.runId });
    // The put again has stored it, and was not heard of since.
    await specs.store({ ...replaced, made: "again" });
    expect([await left(withdrawn), await left(replaced)]).toEqual([2, 4]);
    await runs.sweepSpecs(new Date(withdrawn.createdAt.getTime() - 1));
    expect(await left(withdrawn)).toBe(2);
    await runs.sweepSpecs(later);
    expect([await left(withdrawn), await left(replaced)]).toEqual([0, 4]);
    await runs.project(replaced, projectionOf(entryOf(threadAfter(...situations.running), "a")!, "journal"));
    await runs.sweepSpecs(later);
    // With its record it goes as well, and has no note any more.
    expect(await left(replaced)).toBe(1);
    expect(await runs.withGiven([(await runs.find(replaced))!])).toMatchObject([{ spec: { input } }]);
    await runs.remove(replaced);
    expect(await left(replaced)).toBe(0);
  });

  it("goes however many there are", async () => {
    const { runs } = await openStores(database.db);
    const specs = createRunSpecs(all());
    const many = Array.from({ length: 230 }, newLarge);
    await Promise.all(many.map((run, n) => specs.store({ ...run, createdAt: new Date(1_000 + (n % 3)) })));
    await runs.sweepSpecs(later);
    expect(await Promise.all(many.slice(0, 5).map(left))).toEqual([0, 0, 0, 0, 0]);
    expect(await all().runSpecNotes.countDocuments({ at: { $lt: new Date(2_000) } })).toBe(0);
  });
});

/** Its lease is a second, and a decision may come ten seconds late. */
const sweepAt = ({ lanes, runs, decide, nowMs = 10_000 }: Pick<Stores, "lanes" | "runs"> & SweptAt) =>
  createSweep({
    lanes,
    runs,
    act: { decide, payDebts: async () => undefined },
    now: () => new Date(nowMs),
    leaseMs: 1_000,
    lateMs: 10_000,
    isMyRound: () => true,
    removeThread: async () => undefined,
    onError: (error) => {
      throw error;
    },
  });
interface SweptAt {
  readonly decide: Act["decide"];
  readonly nowMs?: number;
}

describe("a record that no entry came for", () => {
  const barred = { answer: { did: "done" } } as unknown as Acted;
  it.each([
    ["whose thread is there, after two leases", barred, 7_999, false],
    ["whose thread is not there, and may be born late", undefined, 11_000, true],
    ["whose thread is not there, once it can be born no more", undefined, 21_000, false],
  ])("%s", async (_, decided, nowMs, stays) => {
    const { runs, lanes } = await openStores(database.db);
    const run = newRecord({ createdAt: new Date(5_000) });
    await runs.insert(run);
    const sweep = sweepAt({ lanes, runs, decide: async () => decided, nowMs });
    await sweep.sweep();
    await sweep.stop();
    expect((await runs.find(run)) !== undefined).toBe(stays);
    if (stays) await runs.remove(run);
  });
});

describe("records that say of their runs that they live", () => {
  const running = entryOf(threadAfter(...situations.running), "a")!;

  it("go where no lane knows the run, page by page, and stay where one does", async () => {
    const { runs, lanes } = await openStores(database.db);
    const old = { createdAt: new Date(2_000) };
    const lost = Array.from({ length: 130 }, () => newRecord(old));
    const live = newRecord({ ...old, runId: running.run });
    for (const run of [...lost, live]) {
      await runs.insert(run);
      await runs.project(run, projectionOf(running, "journal"));
    }
    const { owner, threadId } = live;
    const control = { ...threadAfter(...situations.running), threadId, rev: newRecord().made };
    await lanes.insert({ origin: { owner, threadId, journal: "journal", createdAt: 1 }, control });

    const decide = vi.fn(async () => undefined);
    const sweep = sweepAt({ lanes, runs, decide });
    const left = async () => (await runs.findMany([...lost, live])).map(({ runId }) => runId);
    await until(async () => {
      await sweep.sweep();
      return (await left()).length <= 1;
    });
    await sweep.stop();
    expect(await left()).toEqual([live.runId]);
    // What might still bring an entry misses from then on.
    expect(decide).toHaveBeenCalledTimes(lost.length);
    expect(decide).toHaveBeenCalledWith(expect.objectContaining({ runId: lost[0]!.runId }), {
      kind: "forget",
      run: lost[0]!.runId,
      lacks: "entry",
    });
  });
});
