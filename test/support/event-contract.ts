import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RunEventStore } from "../../src/domain/ports.ts";
import type { RunName } from "../../src/domain/run/run.ts";
import type { EventChunk, NewChunk, StoredEvent } from "../../src/domain/run/run-events.ts";
import { threadOfRun } from "./run-records.ts";

/** What every store of run events must do. */
export function describeRunEvents(which: string, open: () => Promise<RunEventStore>): void {
  let events: RunEventStore;
  beforeAll(async () => {
    events = await open();
  });

  const newRun = (change: Partial<RunName> = {}): RunName => ({
    owner: "",
    threadId: randomUUID(),
    runId: randomUUID(),
    ...change,
  });
  const output = (json: string, after?: string[]): StoredEvent => ({
    kind: "output",
    mode: "values",
    name: "values",
    namespace: ["a.b"],
    json,
    ...(after && { after }),
  });
  const data = (run: RunName, chunk: number, first: number, some: StoredEvent[]): NewChunk => ({
    run,
    journal: "journal",
    chunk,
    token: "token",
    isFence: false,
    first,
    last: first + some.length - 1,
    events: some,
  });
  const fence = (run: RunName, chunk: number, token = "fenced"): NewChunk => ({
    run,
    journal: "journal",
    chunk,
    token,
    isFence: true,
    first: null,
    last: null,
    events: [],
  });
  const read = ({ first, last, events: some }: NewChunk) => ({ first, last, events: some }) as EventChunk;

  /** At once; answers the positions of those whose number was taken. */
  async function insert(chunks: readonly NewChunk[]): Promise<Set<number>> {
    const landed = await Promise.all(chunks.map((chunk) => events.insert(chunk)));
    return new Set([...chunks.keys()].filter((place) => !landed[place]));
  }

  /** Three events in two chunks. */
  async function written(change?: Partial<RunName>, journal = "journal"): Promise<[RunName, NewChunk, NewChunk]> {
    const run = newRun(change);
    const attempt: StoredEvent = { kind: "attempt", attempt: 1, checkpointId: "before" };
    const chunks = [data(run, 0, 2, [attempt, output("1")]), data(run, 1, 4, [output("2", ["c1", "c2"])])] as const;
    expect(await insert(chunks.map((chunk) => ({ ...chunk, journal })))).toEqual(new Set());
    return [run, ...chunks];
  }
  /** Nothing is there, and nobody knows that anything was. */
  async function expectFree(run: RunName): Promise<void> {
    expect(await events.head(run)).toEqual({ chunk: 0, last: 1 });
    expect(await events.from(run, 0)).toEqual([]);
    expect(await events.chunk(run, 0)).toBeUndefined();
  }
  /** The chunk numbers stay taken, and nothing is in them. */
  async function expectEmptied(run: RunName, chunks: number): Promise<void> {
    expect(await events.from(run, 0)).toEqual([]);
    expect(await events.firstAfter(run, "c1")).toBeUndefined();
    expect(await events.head(run)).toEqual({ chunk: chunks, last: 1 });
    const late = Array.from({ length: chunks }, (_, n) => data(run, n, 2 + n, [output("late")]));
    expect(await insert(late)).toEqual(new Set(late.keys()));
    expect(await events.chunk(run, 0)).toEqual({ token: "token", isFence: true, first: null });
    expect(await events.from(run, 0)).toEqual([]);
  }

  describe(`chunks of events ${which}`, () => {
    it("are inserted where their numbers are free, each by itself", async () => {
      const [run, first, second] = await written();
      const other = newRun();
      const late = [data(run, 1, 4, [output("late")]), data(other, 0, 2, [output("3")])] as const;
      const next = data(run, 2, 5, [output("4")]);
      expect(await insert([...late, next, data(run, 0, 2, [output("late")])])).toEqual(new Set([0, 3]));
      expect(await insert([late[0]])).toEqual(new Set([0]));
      expect(await events.from(run, 0)).toEqual([first, second, next].map(read));
      expect(await events.from(other, 0)).toEqual([read(late[1])]);
    });

    it("are taken by one of those who write the same at once", async () => {
      const run = newRun();
      const all = Array.from({ length: 6 }, (_, n) => data(run, 0, 2, [output(String(n))]));
      const taken = await Promise.all(all.map((chunk) => insert([chunk])));
      expect(taken.filter(({ size }) => size === 0)).toHaveLength(1);
      expect(await events.from(run, 0)).toEqual([read(all[taken.findIndex(({ size }) => size === 0)]!)]);
    });

    it("say who has written them, and for whom they are fence records", async () => {
      const [run, first] = await written();
      await insert([fence(run, 2)]);
      expect(await events.chunk(run, 0)).toEqual({ token: "token", isFence: false, first: first.first });
      expect(await events.chunk(run, 2)).toEqual({ token: "fenced", isFence: true, first: null });
      expect(await events.chunk(run, 3)).toBeUndefined();
      expect(await events.chunk({ ...run, owner: "owner" }, 0)).toBeUndefined();
      expect(await events.chunk({ ...run, threadId: randomUUID() }, 0)).toBeUndefined();
      expect(await events.isFenced(run, "fenced")).toBe(true);
      expect(await events.isFenced(run, "token")).toBe(false);
      expect(await events.isFenced(newRun({ threadId: run.threadId }), "fenced")).toBe(false);
    });

    it("go where no other one is, and are numbered on after the last event", async () => {
      const run = newRun();
      await expectFree(run);
      await insert([fence(run, 0)]);
      expect(await events.head(run)).toEqual({ chunk: 1, last: 1 });
      await insert([data(run, 1, 2, [output("1"), output("2")])]);
      expect(await events.head(run)).toEqual({ chunk: 2, last: 3 });
      await insert([fence(run, 2), fence(run, 3)]);
      expect(await events.head(run)).toEqual({ chunk: 4, last: 3 });
    });

    it("are asked for by their numbers, of many runs together", async () => {
      const [[run], [other]] = [await written(), await written({ owner: "owner" })];
      const asked = [
        { run, chunk: 1 },
        { run: other, chunk: 0 },
        { run, chunk: 2 },
        { run: newRun(), chunk: 0 },
      ];
      const found = await events.withChunk(asked);
      expect(found).toHaveLength(2);
      expect(found).toEqual(expect.arrayContaining([run, other]));
      expect(await events.withChunk([])).toEqual([]);
    });
  });

  describe(`the events of a run ${which}`, () => {
    it("are read from a number on, and it may be amid a chunk; fence records are none", async () => {
      const [run, first, second] = await written();
      const next = data(run, 3, 5, [output("4")]);
      await insert([fence(run, 2), next]);
      await written({ threadId: run.threadId });
      for (const from of [0, 2, 3]) expect(await events.from(run, from)).toEqual([first, second, next].map(read));
      expect(await events.from(run, 4)).toEqual([second, next].map(read));
      expect(await events.from(run, 5)).toEqual([read(next)]);
      expect(await events.from(run, 6)).toEqual([]);
    });

    it("come in parts, none of which is left out, when they are many", async () => {
      const run = newRun();
      const chunks = Array.from({ length: 150 }, (_, n) => data(run, n, 2 + n, [output(String(n))]));
      await insert(chunks.toReversed());
      const found: EventChunk<StoredEvent>[] = [];
      for (let part = await events.from(run, 0); part.length > 0; part = await events.from(run, found.at(-1)!.last + 1))
        found.push(...part);
      expect(found).toEqual(chunks.map(read));
    });

    it("come in parts of about a megabyte, when they are large", async () => {
      const run = newRun();
      const text = JSON.stringify("x".repeat(400_000));
      const chunks = Array.from({ length: 6 }, (_, n) => data(run, n, 2 + n, [output(text)]));
      await insert(chunks);
      expect(await events.from(run, 0)).toEqual(chunks.slice(0, 3).map(read));
      expect(await events.from(run, 4)).toEqual(chunks.slice(2, 5).map(read));
      expect(await events.from(run, 7)).toEqual(chunks.slice(5).map(read));
      const huge = data(run, 6, 8, [output(JSON.stringify("x".repeat(2_000_000)))]);
      await insert([huge]);
      expect(await events.from(run, 8)).toEqual([read(huge)]);
    });

    it("are found by the checkpoint after which they came: the first one", async () => {
      const run = newRun();
      const attempt: StoredEvent = { kind: "attempt", attempt: 2, checkpointId: "c2" };
      await insert([
        data(run, 2, 5, [attempt, output("3", ["c3"])]),
        fence(run, 1),
        data(run, 0, 2, [{ kind: "attempt", attempt: 1 }, output("1"), output("2", ["c1", "c2"])]),
      ]);
      expect(await events.firstAfter(run, "c1")).toBe(4);
      expect(await events.firstAfter(run, "c2")).toBe(4);
      expect(await events.firstAfter(run, "c3")).toBe(6);
      expect(await events.firstAfter(run, "c4")).toBeUndefined();
      const [other] = await written();
      expect(await events.firstAfter(other, "before")).toBe(2);
      expect(await events.firstAfter(other, "c3")).toBeUndefined();
    });
  });

  describe(`events that are removed ${which}`, () => {
    it("leave nothing where nobody was fenced, and another run's stay", async () => {
      const [run] = await written();
      const [other, ...chunks] = await written({ threadId: run.threadId });
      for (const _ of [1, 2]) await events.remove(run);
      await expectFree(run);
      expect(await events.from(other, 0)).toEqual(chunks.map(read));
    });

    it("leave no free number to a writer that was fenced", async () => {
      const [run] = await written();
      await insert([fence(run, 2), fence(run, 3)]);
      for (const _ of [1, 2]) await events.remove(run);
      await expectEmptied(run, 4);
      expect(await events.isFenced(run, "fenced")).toBe(true);
    });

    it("leave no free number at all once the record is gone", async () => {
      const [run] = await written();
      const [other, ...chunks] = await written({ threadId: run.threadId });
      for (const _ of [1, 2]) await events.discard(run);
      await expectEmptied(run, 2);
      expect(await events.from(other, 0)).toEqual(chunks.map(read));
    });

    it("are those of a whole thread, but not of another one that has, or had, its id", async () => {
      const [plain] = await written();
      const { threadId } = plain;
      const [fenced] = await written({ threadId });
      await insert([fence(fenced, 2)]);
      const [former, ...chunks] = await written({ threadId }, "another");
      const [ofOwner] = await written({ threadId, owner: "owner" });
      for (const _ of [1, 2]) await events.removeAll(threadOfRun(plain));
      await expectFree(plain);
      await expectEmptied(fenced, 3);
      for (const run of [former, ofOwner])
        expect(await events.from(run, 0)).toEqual(chunks.map((chunk) => read({ ...chunk, run })));
    });
  });
}
