import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lanes, StoredThread } from "../../src/domain/ports.ts";
import { collections } from "../../src/storage/collections.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { createLanes, laneIndexes } from "../../src/storage/lanes.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { describeLanes } from "../support/lane-contract.ts";
import { type CrowdOptions, crowdOfDeciders, faultsOf } from "../support/lane-deciders.ts";
import { createMemoryLanes } from "../support/memory-lanes.ts";
import { wallClock } from "../support/stores.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await createIndexes(database.db, laneIndexes);
});
afterAll(() => database.close());

describeLanes("in the database", {
  async open() {
    const all = collections(database.db);
    await all.threads.deleteMany({});
    return createLanes(all, wallClock);
  },
  delay: (units) => sleep(units),
  seeds: [1, 2],
  decisions: 12,
});

describeLanes("behind a router", {
  async open() {
    const all = collections(database.db);
    await all.threads.deleteMany({});
    return createLanes(all, wallClock, true);
  },
  delay: (units) => sleep(units),
  seeds: [3],
  decisions: 12,
});

/** Rounds of the event loop's innermost queue, so that a seed plays the same again. */
async function delay(rounds: number): Promise<void> {
  for (let n = 0; n < rounds; n++) await undefined;
}

describeLanes("in memory", {
  open: async () => createMemoryLanes(),
  delay,
  seeds: Array.from({ length: 100 }, (_, n) => n),
  decisions: 15,
});

describe("a crowd of deciders", () => {
  const crowd = { servers: 3, threads: 2, decisions: 15, delay, seed: 1 };

  it("plays the same again", async () => {
    const played = await crowdOfDeciders(createMemoryLanes(), crowd);
    expect(await crowdOfDeciders(createMemoryLanes(), crowd)).toEqual(played);
    expect((await crowdOfDeciders(createMemoryLanes(), { ...crowd, seed: 2 })).applied).not.toEqual(played.applied);
  });

  const unmarked = (stored: StoredThread | undefined) =>
    stored && { ...stored, control: { ...stored.control, marks: [] } };
  const faults: [what: string, connected: CrowdOptions["connected"], sign: RegExp][] = [
    [
      "an answer that is lost counts as a miss",
      (lanes: Lanes): Lanes => ({ ...lanes, read: async (name) => unmarked(await lanes.read(name)) }),
      /was applied, and nobody was told so/,
    ],
    [
      "a miss counts as done",
      (lanes: Lanes): Lanes => ({ ...lanes, write: async (...given) => (await lanes.write(...given)) || true }),
      /was answered, and never applied/,
    ],
  ];
  it.each(faults)("shows what goes wrong when %s", async (_, connected, sign) => {
    const played = await crowdOfDeciders(createMemoryLanes(), { ...crowd, connected });
    expect(faultsOf(played).join("\n")).toMatch(sign);
  });
});
