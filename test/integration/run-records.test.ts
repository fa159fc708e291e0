import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "../../src/domain/run.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import { openStores } from "../../src/storage/stores.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { describeRunRecords } from "../support/run-contract.ts";
import { syntheticRecord } from "../support/synthetic-load.ts";
import { type Given, situations, threadAfter } from "../unit/domain/lane-situations.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

describeRunRecords("in the database", async (retention) => (await openStores(database.db, retention)).runs);

describe("live runs", () => {
  const newRecord = (change: Partial<Run> = {}): Run =>
    syntheticRecord(0, { runId: randomUUID(), threadId: randomUUID(), made: randomUUID(), ...change });

  it("are counted, and those that nodes have created are found by their parents", async () => {
    const { runs } = await openStores(database.db);
    const stored = async (change: Partial<Run>) => {
      const run = newRecord(change);
      await runs.insert(run);
      return run;
    };
    const entryAfter = (commands: readonly Given[]) => entryOf(threadAfter(...commands), "a")!;
    const [running, over] = [entryAfter(situations.running), entryAfter(situations.success)];
    const parent = newRecord();
    const childOf = (owner: string, independent: boolean) =>
      stored({ owner, parent: { threadId: parent.threadId, runId: parent.runId, independent } });
    const before = await runs.countLive(10_000);
    const [waiting, executing] = [await childOf("", false), await childOf("", false)];
    await runs.project(executing, projectionOf(running, "journal"));
    const others = [await childOf("", true), await childOf("owner", false)];
    const done = await childOf("", false);
    await runs.project(done, projectionOf(over, "journal"));
    expect((await runs.liveChildren([parent], 10)).map(({ runId }) => runId).sort()).toEqual(
      [waiting.runId, executing.runId].sort(),
    );
    expect(await runs.liveChildren([parent], 1)).toHaveLength(1);
    expect(await runs.liveChildren([newRecord()], 10)).toEqual([]);
    expect(await runs.liveChildren([], 10)).toEqual([]);
    expect(await runs.countLive(10_000)).toBe(before + 4);
    expect(await runs.countLive(1)).toBeGreaterThanOrEqual(1);
    for (const run of [waiting, executing, ...others]) await runs.remove(run);
    expect(await runs.countLive(10_000)).toBe(before);
  });
});
