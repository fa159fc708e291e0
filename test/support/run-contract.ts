import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunStore } from "../../src/domain/ports.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import { type Entry, entryOf } from "../../src/domain/thread/entry.ts";
import { asInLane, projectionOf } from "../../src/domain/thread/project.ts";
import type { Retention } from "../../src/storage/run-expiry.ts";
import { type Given, rollback, situations, threadAfter } from "../unit/domain/lane-situations.ts";
import { describeProjections } from "./run-projection-contract.ts";
import { newRecord, projected, threadOfRun } from "./run-records.ts";

/** What every store of runs must do with a run's record, besides answering lists. `open` is given how long what has ended is kept, and answers a store of the same runs. */
export function describeRunRecords(which: string, open: (retention?: Retention) => Promise<RunStore>): void {
  let runs: RunStore;
  beforeAll(async () => {
    runs = await open();
  });

  async function stored(change: Partial<Run> = {}): Promise<Run> {
    const run = newRecord(change);
    expect(await runs.insert(run)).toBe(true);
    return run;
  }

  /** The entry of a run that has come to where these commands bring it. */
  const entryAfter = (commands: readonly Given[]): Entry => entryOf(threadAfter(...commands), "a")!;
  const running = entryAfter(situations.running);
  const over = entryAfter(situations.success);

  /** A run that is over, with its record. */
  async function ended(change: Partial<Run> = {}, entry = over, journal = "journal"): Promise<Run> {
    return (await projected(runs, await stored(change), projectionOf(entry, journal)))!;
  }

  describe(`a run's record ${which}`, () => {
    const full: Partial<Run> = {
      request: "request",
      dueAt: new Date(1_000),
      graph: "graph",
      parent: { threadId: randomUUID(), runId: randomUUID(), independent: true },
      stateless: { temporary: true, batch: "batch" },
      assistant: { assistantId: "assistant", version: 3, config: { tags: ["a"] }, context: "{}" },
      spec: {
        ...newRecord().spec,
        command: { resume: "1", goto: [] },
        context: "[]",
        webhook: "http://localhost",
        afterMs: 5,
      },
    };

    it("is inserted once, and found as it was given", async () => {
      const run = await stored(full);
      expect(await runs.insert({ ...run, graph: "another", made: "another" })).toBe(false);
      expect(await runs.find(run)).toEqual({ ...run, webhook: { state: "pending", tries: 0 } });
    });

    it("belongs to its owner and its thread", async () => {
      const run = await stored();
      const ofAnother = { ...run, owner: "owner", graph: "of the owner" };
      const elsewhere = { ...run, threadId: randomUUID() };
      expect(await runs.find(ofAnother)).toBeUndefined();
      expect(await runs.find(elsewhere)).toBeUndefined();
      expect(await runs.insert(ofAnother)).toBe(true);
      expect(await runs.find(run)).toEqual(run);
      expect(await runs.find(ofAnother)).toEqual(ofAnother);
      expect(await projected(runs, elsewhere, projectionOf(running, "journal"))).toBeUndefined();
      await runs.remove(elsewhere);
      await runs.remove(ofAnother);
      expect(await runs.find(ofAnother)).toBeUndefined();
      expect(await runs.find(run)).toEqual(run);
    });

    it("is withdrawn by whoever made it, as long as nobody knows of an entry", async () => {
      const run = await stored();
      expect(await runs.deleteUnentered({ ...run, made: "another" })).toBe(false);
      expect(await runs.find(run)).toEqual(run);
      expect(await runs.deleteUnentered(run)).toBe(true);
      expect(await runs.find(run)).toBeUndefined();
      expect(await runs.deleteUnentered(run)).toBe(false);
      const entered = await stored();
      await projected(runs, entered, projectionOf(running, "journal"));
      expect(await runs.deleteUnentered(entered)).toBe(false);
      expect(await runs.find(entered)).toMatchObject({ phase: "running" });
      // Who has read what it says by now may remove it.
      expect(await runs.deleteUnentered((await runs.find(entered))!)).toBe(true);
    });

    it("is removed by whoever made it where its run has come and gone, whatever it says", async () => {
      const run = await stored();
      await projected(runs, run, projectionOf(running, "journal"));
      expect(await runs.deleteMade({ ...run, made: "another" })).toBe(false);
      expect(await runs.deleteMade(run)).toBe(true);
      expect(await runs.find(run)).toBeUndefined();
    });

    it("is put again in the place of the one that is meant, and is another one then", async () => {
      const run = await stored();
      const again = { ...run, made: "again", graph: "again" };
      expect(await runs.putAgain(again, "another")).toBe(false);
      expect(await runs.find(run)).toEqual(run);
      expect(await runs.putAgain(again, run.made)).toBe(true);
      expect(await runs.find(run)).toEqual(again);
      expect(await runs.deleteUnentered(run)).toBe(false);
      // Who has read the former one removes nothing.
      expect(await runs.remove(run)).toBe(false);
      expect(await runs.find(run)).toEqual(again);
      expect(await runs.remove(again)).toBe(true);
      expect(await runs.putAgain(run, "again")).toBe(false);
      expect(await runs.find(run)).toBeUndefined();
    });

    it("is not put again over what says more, or over another thread's", async () => {
      const run = await stored();
      const live = await projected(runs, run, projectionOf(running, "journal"));
      expect(await runs.putAgain({ ...run, made: "again" }, run.made)).toBe(false);
      expect(await runs.find(run)).toEqual(live);
      const other = await stored();
      expect(await runs.putAgain({ ...other, threadId: randomUUID() }, other.made)).toBe(false);
      expect(await runs.find(other)).toEqual(other);
    });
  });

  describe(`an error that is too long for an entry ${which}`, () => {
    const short = { name: "Error", message: "it began…" };
    const long = { name: "Error", message: "it began, and so on" };
    const failed = (token: string): Entry => ({
      ...over,
      end: { status: "error", error: short, sequence: 1, at: 5, token },
    });

    it("counts for the end under its token", async () => {
      const run = await stored();
      await projected(runs, run, projectionOf(running, "journal"));
      await runs.keepError(run, "t0", long);
      expect((await runs.find(run))!.error).toBeUndefined();
      expect(await projected(runs, run, projectionOf(failed("t0"), "journal"))).toMatchObject({ error: long });
      expect(await runs.find(run)).toMatchObject({ error: long });
    });

    it("counts for no other end", async () => {
      const run = await stored();
      await runs.keepError(run, "t0", long);
      expect(await projected(runs, run, projectionOf(failed("t1"), "journal"))).toMatchObject({ error: short });
      const good = await stored();
      await runs.keepError(good, "t0", long);
      expect((await projected(runs, good, projectionOf(over, "journal")))!.error).toBeUndefined();
    });

    it("is the last one that was kept, and none that comes after the end", async () => {
      const run = await stored();
      await runs.keepError(run, "t0", { name: "Error", message: "of an attempt that was lost" });
      await runs.keepError(run, "t1", long);
      await projected(runs, run, projectionOf(failed("t1"), "journal"));
      await runs.keepError(run, "t1", { name: "Error", message: "late" });
      expect(await runs.find(run)).toMatchObject({ error: long });
    });

    it("has an end, too", async () => {
      const run = await stored();
      await runs.keepError(run, "t0", { name: "E".repeat(10_000), message: "no".repeat(1_000_000) });
      const { error } = (await projected(runs, run, projectionOf(failed("t0"), "journal")))!;
      expect(error!.message.length).toBe(64 * 1024);
      expect(error!.message).toMatch(/^nono.*… \(2000000 characters in all\)$/);
      expect(error!.name.length).toBe(256);
    });
  });

  describe(`records without a known entry ${which}`, () => {
    it("are found by their age, page by page, whosever they are", async () => {
      // Older than all others here, and many of them at the same time.
      const made = await Promise.all(
        Array.from({ length: 9 }, (_, n) =>
          stored({ owner: n % 4 === 0 ? "owner" : "", createdAt: new Date(1_000 + Math.floor(n / 4)) }),
        ),
      );
      await projected(runs, made[2]!, projectionOf(running, "journal"));
      await runs.remove(made[5]!);
      const before = new Date(1_002);
      const keyOf = ({ owner, runId }: RunName) => (owner === "" ? runId : `${owner}/${runId}`);
      const expected = made
        .filter((run, n) => n !== 2 && n !== 5 && run.createdAt < before)
        .toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (keyOf(a) < keyOf(b) ? -1 : 1));
      expect(expected).toHaveLength(6);
      expect(await runs.unentered(before, 100)).toEqual(expected);
      await foundInPages((limit, after) => runs.unentered(before, limit, after), expected);
      // Those say that they wait, and of one is known that it does not.
      expect(await runs.saidToLive("pending", before, 100)).toEqual(expected);
      expect(await runs.saidToLive("running", before, 100)).toMatchObject([
        { runId: made[2]!.runId, phase: "running" },
      ]);
      await foundInPages((limit, after) => runs.saidToLive("pending", before, limit, after), expected);
      await Promise.all(made.map((run) => runs.remove(run)));
    });
  });

  async function foundInPages(find: (limit: number, after?: Run) => Promise<Run[]>, expected: readonly Run[]) {
    for (const limit of [1, 2, 4]) {
      const found: Run[] = [];
      for (let page = await find(limit); page.length > 0; ) {
        found.push(...page);
        page = await find(limit, found.at(-1)!);
      }
      expect(found).toEqual(expected);
    }
  }

  describe(`a tombstone ${which}`, () => {
    const undone = entryAfter(situations.undone);

    it("is the run as it ended, also where its record lags behind, without what it was given", async () => {
      const run = await stored({ assistant: { assistantId: "assistant", version: 3, context: "{}" } });
      const record = (await projected(runs, run, projectionOf(running, "journal")))!;
      const last = asInLane(record, undone);
      await runs.insertTombstone(last);
      await runs.remove(run);
      expect(await runs.find(run)).toBeUndefined();
      const tombstone = (await runs.tombstone(run))!;
      const { input: _, ...spec } = run.spec;
      expect(tombstone).toEqual({
        ...last,
        spec: { ...spec, metadata: {} },
        assistant: { assistantId: "assistant", version: 3 },
      });
      expect(tombstone).toMatchObject({ status: "interrupted", phase: "over", cancellation: { action: "rollback" } });
      expect(await runs.tombstones([run, newRecord()])).toEqual([tombstone]);
      expect(await runs.tombstone({ ...run, threadId: randomUUID() })).toBeUndefined();
    });

    it("stays the first one, and there is none of a record that is gone", async () => {
      const run = await ended();
      await runs.insertTombstone(run);
      await runs.insertTombstone({ ...run, status: "error" });
      expect(await runs.tombstone(run)).toMatchObject({ status: "success" });
      const gone = newRecord();
      await runs.insertTombstone(gone);
      expect(await runs.tombstone(gone)).toBeUndefined();
    });

    it("says the error that the record has, whole", async () => {
      const run = await stored();
      const long = { name: "Error", message: "long" };
      await runs.keepError(run, "t0", long);
      const end = { status: "error", error: { name: "Error", message: "…" }, sequence: 1, at: 5, token: "t0" } as const;
      await runs.insertTombstone((await projected(runs, run, projectionOf({ ...over, end }, "journal")))!);
      expect(await runs.tombstone(run)).toMatchObject({ error: long });
    });

    it("keeps what a webhook is still to be told", async () => {
      const owed = await ended({ spec: { ...newRecord().spec, metadata: { a: 1 }, webhook: "http://localhost" } });
      await runs.insertTombstone(owed, '{"b":2}');
      const kept = { metadata: { a: 1 }, values: '{"b":2}' };
      expect(await runs.tombstone(owed)).toMatchObject({ webhook: { state: "pending", kept }, spec: { metadata: {} } });
      const nobody = await ended();
      await runs.insertTombstone(nobody, '{"b":2}');
      expect((await runs.tombstone(nobody))!.webhook).toBeUndefined();
    });
  });

  describe(`the runs of a thread ${which}`, () => {
    const webhook = { spec: { ...newRecord().spec, webhook: "http://localhost" } };

    it("go with it, and their tombstones, but for what must outlive it", async () => {
      const { threadId } = newRecord();
      const [plain, owed] = [await ended({ threadId }), await ended({ threadId, ...webhook })];
      const other = await ended();
      for (const run of [plain, owed, other]) await runs.insertTombstone(run);
      const thread = threadOfRun(plain);
      expect((await runs.outliving(thread)).map(({ runId }) => runId)).toEqual([owed.runId]);
      await runs.removeAll(thread);
      expect(await runs.findMany([plain, owed, other])).toEqual([other]);
      expect((await runs.tombstones([plain, owed, other])).map(({ runId }) => runId).sort()).toEqual(
        [owed.runId, other.runId].sort(),
      );
    });

    it("stay when it was another thread with the same id, as do records without a known entry", async () => {
      const { threadId } = newRecord();
      const [unentered, run] = [await stored({ threadId }), await ended({ threadId, ...webhook }, over, "another")];
      await runs.insertTombstone(run);
      const thread = threadOfRun(run);
      expect(await runs.outliving(thread)).toEqual([]);
      await runs.removeAll(thread);
      expect(await runs.findMany([unentered, run])).toHaveLength(2);
      expect(await runs.tombstone(run)).toBeDefined();
      await runs.removeAll({ ...thread, journal: "another" });
      expect(await runs.findMany([unentered, run])).toEqual([unentered]);
    });

    it("of a temporary one leave their tombstones for those who wait for them", async () => {
      const { threadId } = newRecord();
      const run = await ended({ threadId });
      const thread = threadOfRun(run, true);
      expect((await runs.outliving(thread)).map(({ runId }) => runId)).toEqual([run.runId]);
      await runs.insertTombstone(run);
      await runs.removeAll(thread);
      expect(await runs.find(run)).toBeUndefined();
      expect(await runs.tombstone(run)).toMatchObject({ runId: run.runId });
    });

    it("are asked for the last one that started", async () => {
      const { threadId } = newRecord();
      const numbered = (n: number, entry: Entry) => ended({ threadId }, { ...entry, n });
      const never: Entry = {
        ...entryAfter([...situations.waiting, { kind: "requestCancel", runs: ["a"], wish: rollback }]),
      };
      expect(await runs.lastStarted(threadOfRun({ owner: "", threadId, runId: "" }))).toBeUndefined();
      const [first, second] = [await numbered(1, over), await numbered(2, over)];
      // More than one look goes through.
      for (let n = 3; n < 24; n++)
        await numbered(n, { ...never, phase: "over", end: { ...over.end!, status: "interrupted" } });
      expect(await runs.lastStarted(threadOfRun(first))).toEqual(second);
      expect(await runs.lastStarted(threadOfRun(first), second.runId)).toEqual(first);
      const third = await numbered(24, running);
      expect(await runs.lastStarted(threadOfRun(first))).toEqual(third);
    });
  });

  describe(`what is kept for a time ${which}`, () => {
    const end = over.end!.at;
    const by = (ms: number) => new Date(end + ms);
    const page = { limit: 10 };
    let mortal: RunStore;
    beforeAll(async () => {
      mortal = await open({ eventsTtlMs: 50, runTtlMs: 80 });
    });

    it("is counted from the end: first the events go, then the record", async () => {
      const run = await stored();
      await projected(mortal, run, projectionOf(running, "journal"));
      expect(await mortal.eventsDue(by(100), page)).toEqual([]);
      const done = await projected(mortal, run, projectionOf(over, "journal"));
      expect(await mortal.eventsDue(by(49), page)).toEqual([]);
      expect(await mortal.eventsDue(by(50), page)).toEqual([{ run: done, at: by(50) }]);
      expect(await mortal.recordsDue(by(80), page)).toEqual([]);
      expect(await mortal.removeRecord(run, by(80))).toBe(false);
      await mortal.eventsGone(run);
      expect(await mortal.eventsDue(by(50), page)).toEqual([]);
      expect(await mortal.recordsDue(by(79), page)).toEqual([]);
      expect(await mortal.recordsDue(by(80), page)).toEqual([{ run: done, at: by(80) }]);
      expect(await mortal.removeRecord(run, by(79))).toBe(false);
      expect(await mortal.removeRecord(run, by(80))).toBe(true);
      expect(await mortal.find(run)).toBeUndefined();
    });

    it("is everything where nothing else is said", async () => {
      const run = await ended();
      expect(await runs.eventsDue(by(1e9), page)).toEqual([]);
      expect(await runs.recordsDue(by(1e9), page)).toEqual([]);
      expect(await runs.removeRecord(run, by(1e9))).toBe(false);
    });
  });

  describeProjections(which, open);
}
