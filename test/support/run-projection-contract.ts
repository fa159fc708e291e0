import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunStore } from "../../src/domain/ports.ts";
import type { Run } from "../../src/domain/run/run.ts";
import { type Entry, entryOf } from "../../src/domain/thread/entry.ts";
import { asInLane, projectionOf } from "../../src/domain/thread/project.ts";
import { controlsOf, lifeOf, steps } from "../unit/domain/lane-sequences.ts";
import { decided, type Given, situations, success, threadAfter } from "../unit/domain/lane-situations.ts";
import { newRecord, projected } from "./run-records.ts";
import { seededRandom } from "./seeded-random.ts";

/** What every store of runs must do when it brings a record up to its run's entry. */
export function describeProjections(which: string, open: () => Promise<RunStore>): void {
  let runs: RunStore;
  beforeAll(async () => {
    runs = await open();
  });

  async function stored(): Promise<Run> {
    const run = newRecord();
    expect(await runs.insert(run)).toBe(true);
    return run;
  }

  const entryAfter = (commands: readonly Given[]): Entry => entryOf(threadAfter(...commands), "a")!;
  const running = entryAfter(situations.running);
  const over = entryAfter(situations.success);

  describe(`a projection ${which}`, () => {
    it.each(Object.entries(situations).filter(([what]) => what !== "none"))(
      "makes the record say what the entry says: %s",
      async (_, commands) => {
        const run = await stored();
        const entry = entryAfter(commands);
        const record = await projected(runs, run, projectionOf(entry, "journal"));
        expect(record).toEqual({ ...asInLane(run, entry), journal: "journal", webhook: undefined });
      },
    );

    it("never goes back, however late and often it comes, and leaves nothing of the one before", async () => {
      const random = seededRandom(3);
      const controls = fc.sample(steps, { numRuns: 30, seed: 11 }).map((sequence) => controlsOf(sequence));
      const lives = controls.flatMap((some) => ["a", "b", "c", "d"].map((run) => lifeOf(run, some)));
      const long = lives.filter((entries) => entries.length > 3).slice(0, 8);
      expect(long).toHaveLength(8);
      for (const entries of long) {
        const run = await stored();
        let newest: Entry | undefined;
        for (let tries = 0; tries < 2 * entries.length; tries++) {
          const entry = entries[Math.floor(random() * entries.length)]!;
          const isNewer = newest === undefined || entry.changes > newest.changes;
          if (isNewer) newest = entry;
          expect((await projected(runs, run, projectionOf(entry, "journal"))) !== undefined).toBe(isNewer);
          expect(await runs.find(run)).toEqual({ ...asInLane(run, newest!), journal: "journal" });
        }
      }
    });

    it("says nothing of another thread with the same id: alone, and together with others", async () => {
      const [alone, ...others] = await Promise.all(Array.from({ length: 5 }, () => stored()));
      const all = [alone!, ...others];
      for (const run of all) expect(await runs.project(run, projectionOf(running, "this journal"))).toBe(true);
      const late = { ...projectionOf(over, "another journal"), changes: 99 };
      expect(await runs.project(alone!, late)).toBe(false);
      await Promise.all(others.map((run) => runs.project(run, late)));
      for (const run of all) expect(await runs.find(run)).toMatchObject({ phase: "running", journal: "this journal" });
      const end = projectionOf(over, "this journal");
      expect(await Promise.all(all.map((run) => runs.project(run, end)))).toEqual(all.map(() => true));
    });

    it("comes together with others, each to its own record, and says of none what it may not have done", async () => {
      const first = projectionOf(running, "journal");
      const later = projectionOf(over, "journal");
      const all = await Promise.all(Array.from({ length: 12 }, () => stored()));
      await Promise.all(all.slice(0, 4).map((run) => runs.project(run, later)));
      const elsewhere = { ...all[11]!, threadId: randomUUID() };
      const projections = all.map((run, n) => runs.project(n === 11 ? elsewhere : run, n % 2 === 0 ? first : later));
      const are = await Promise.all(projections);
      for (const [n, run] of all.entries()) {
        const isLater = n < 4 || n % 2 === 1;
        const expected = n === 11 ? 0 : isLater ? later.changes : first.changes;
        expect((await runs.find(run))!.changes, String(n)).toBe(expected);
        if (are[n]) expect(n >= 4 && n !== 11).toBe(true);
      }
      const more = { ...later, changes: later.changes + 1 };
      expect(await Promise.all(all.map((run) => runs.project(run, more)))).toEqual(all.map(() => true));
    });

    it.each<[string, readonly Given[], Given, keyof Run]>([
      ["its delay", situations.delayed, { kind: "due" }, "dueAt"],
      ["where it had left off", situations.back, { kind: "claim", run: "a", token: "t1" }, "lastSequence"],
      ["its start", situations.running, { ...success, neverStarted: true }, "startedAt"],
    ])("takes away what the entry does not have any more: %s", async (_, before, then, field) => {
      const run = await stored();
      const control = threadAfter(...before);
      expect((await projected(runs, run, projectionOf(entryOf(control, "a")!, "journal")))![field]).toBeDefined();
      const next = entryOf(decided(control, then, 20).control, "a")!;
      expect((await projected(runs, run, projectionOf(next, "journal")))![field]).toBeUndefined();
      expect((await runs.find(run))![field]).toBeUndefined();
    });

    it("never brings a record that is gone, or was never there", async () => {
      const run = newRecord();
      expect(await projected(runs, run, projectionOf(running, "journal"))).toBeUndefined();
      expect(await runs.find(run)).toBeUndefined();
      await runs.insert(run);
      await runs.remove(run);
      expect(await projected(runs, run, projectionOf(over, "journal"))).toBeUndefined();
      await runs.keepError(run, "t0", { name: "Error", message: "late" });
      expect(await runs.find(run)).toBeUndefined();
    });
  });
}
