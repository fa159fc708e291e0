import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunStore } from "../../src/domain/ports.ts";
import { givenOf, withGiven, withoutGiven } from "../../src/domain/run/given.ts";
import type { Run } from "../../src/domain/run/run.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import type { Retention } from "../../src/storage/run-expiry.ts";
import { situations, threadAfter } from "../unit/domain/lane-situations.ts";
import { newRecord, projected, threadOfRun } from "./run-records.ts";

/** What every store of runs must do with what is too large for a run's record; `open` as for the records. */
export function describeRunSpecs(which: string, open: (retention?: Retention) => Promise<RunStore>): void {
  let runs: RunStore;
  let mortal: RunStore;
  beforeAll(async () => {
    runs = await open();
    mortal = await open({ eventsTtlMs: 50, runTtlMs: 80 });
  });

  async function stored(change: Partial<Run> = {}): Promise<Run> {
    const run = newRecord(change);
    expect(await runs.insert(run)).toBe(true);
    return run;
  }

  const running = entryOf(threadAfter(...situations.running), "a")!;
  const over = entryOf(threadAfter(...situations.success), "a")!;
  const by = (ms: number) => new Date(over.end!.at + ms);

  describe(`what a run was given that is too large for its record ${which}`, () => {
    const text = (letter: string) => JSON.stringify(letter.repeat(20_000));
    const large = (letter: string, change: Partial<Run> = {}): Run => {
      const record = newRecord(change);
      return {
        ...record,
        spec: { ...record.spec, input: text(letter), config: { tags: ["tag"], configurable: '{"a":1}' } },
        assistant: { ...record.assistant, context: '{"b":1}' },
      };
    };
    const storedLarge = async (letter: string, change?: Partial<Run>) => {
      const run = large(letter, change);
      expect(await runs.insert(run)).toBe(true);
      return run;
    };
    /** As it is found, and as long as its record is what it was. */
    const bare = (run: Run): Run => ({ ...withoutGiven(run), givenApart: expect.any(Number) });
    /** What can be had for a run that was found when it was there. */
    const givenTo = async (run: Run) => (await runs.withGiven([{ ...bare(run), givenApart: 1 }]))[0]!.spec.input;

    it("lies apart, and is had by those that ask for it", async () => {
      const [first, small, second] = [await storedLarge("a"), await stored(), await storedLarge("b")];
      const found = await Promise.all([first, small, second].map((run) => runs.find(run) as Promise<Run>));
      expect(found).toEqual([bare(first), small, bare(second)]);
      expect(found[0]!.givenApart).toBeGreaterThan(20_000);
      expect(await runs.withGiven(found)).toEqual([first, small, second]);
      expect(await runs.withGiven([])).toEqual([]);
      expect((await runs.findMany([first, small])).toSorted((a) => (a.runId === small.runId ? 1 : -1))).toEqual([
        bare(first),
        small,
      ]);
      expect(await projected(runs, first, projectionOf(running, "journal"))).toBeDefined();
      const live = (await runs.find(first))!;
      expect(live).toMatchObject({ phase: "running", givenApart: expect.any(Number) });
      expect((await runs.withGiven([live]))[0]).toEqual({ ...withGiven(live, givenOf(first)), givenApart: undefined });
    });

    it("is that of whoever has the id", async () => {
      const run = await storedLarge("a");
      expect(await runs.insert({ ...large("b"), runId: run.runId })).toBe(false);
      expect(await givenTo(run)).toBe(text("a"));
      const again = { ...large("c"), runId: run.runId, threadId: run.threadId };
      expect(await runs.putAgain(again, "another")).toBe(false);
      expect(await givenTo(run)).toBe(text("a"));
      expect(await givenTo(again)).toBe(text("a"));
      expect(await runs.putAgain(again, run.made)).toBe(true);
      // Also for those who found the run before.
      expect(await givenTo(run)).toBe(text("c"));
      expect(await runs.deleteUnentered(run)).toBe(false);
      const small = { ...newRecord(), runId: run.runId, threadId: run.threadId };
      expect(await runs.putAgain(small, again.made)).toBe(true);
      expect(await runs.withGiven([(await runs.find(run))!])).toEqual([small]);
      expect(await givenTo(run)).toBeUndefined();
    });

    it("goes with the record, and leaves nothing in its tombstone", async () => {
      const { threadId } = newRecord();
      const [withdrawn, removed, ofThread] = [
        await storedLarge("a"),
        await storedLarge("b"),
        await storedLarge("c", { threadId }),
      ];
      expect(await runs.deleteUnentered(withdrawn)).toBe(true);
      const done = (await projected(runs, removed, projectionOf(over, "journal")))!;
      await runs.insertTombstone(done);
      const tombstone = (await runs.tombstone(removed))!;
      expect([tombstone.givenApart, tombstone.spec.input, tombstone.assistant.context]).toEqual(
        Array(3).fill(undefined),
      );
      await runs.remove({ ...done, threadId: randomUUID() });
      expect(await givenTo(removed)).toBe(text("b"));
      for (const _ of [1, 2]) await runs.remove(done);
      const unentered = await storedLarge("d", { threadId });
      await projected(runs, ofThread, projectionOf(over, "journal"));
      await runs.removeAll({ ...threadOfRun(ofThread), journal: "another" });
      expect(await givenTo(ofThread)).toBe(text("c"));
      await runs.removeAll(threadOfRun(ofThread));
      for (const run of [withdrawn, removed, ofThread]) {
        expect(await runs.find(run)).toBeUndefined();
        expect(await givenTo(run)).toBeUndefined();
      }
      expect(await givenTo(unentered)).toBe(text("d"));
    });

    it("is left alone by a sweep as long as its record is there", async () => {
      const [fresh, live] = [await storedLarge("a"), await storedLarge("b")];
      await projected(runs, live, projectionOf(running, "journal"));
      for (const _ of [1, 2]) await runs.sweepSpecs(new Date(Date.now() + 60_000));
      expect(await givenTo(fresh)).toBe(text("a"));
      expect(await givenTo(live)).toBe(text("b"));
    });

    it("goes with a record that has been kept long enough", async () => {
      const record = newRecord();
      const run = await stored({ spec: { ...record.spec, input: JSON.stringify("x".repeat(20_000)) } });
      const done = (await projected(mortal, run, projectionOf(over, "journal")))!;
      const given = async () => (await mortal.withGiven([done]))[0]!.spec.input;
      expect(await mortal.removeRecord(done, by(80))).toBe(false);
      await mortal.eventsGone(run);
      expect(await mortal.removeRecord(done, by(79))).toBe(false);
      expect(await given()).toBe(run.spec.input);
      expect(await mortal.removeRecord(done, by(80))).toBe(true);
      expect(await given()).toBeUndefined();
    });
  });
}
