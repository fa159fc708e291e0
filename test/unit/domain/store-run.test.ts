import { describe, expect, it } from "vitest";
import { DomainError } from "../../../src/domain/errors.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { createStoreRun } from "../../../src/domain/run/store-run.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";

const run = { owner: "", threadId: "thread", runId: "run", spec: { multitaskStrategy: "enqueue" } } as Run;

const origin = { owner: "", threadId: "thread", journal: "journal", createdAt: 1 };
const control = newControl({ threadId: "thread", rev: "rev", metadata: {} }, 1);
/** What creations on that thread share, at a server without a free slot. */
const onThread = {
  maxThreadRuns: 10,
  leaseMs: 1_000,
  monotonicMs: () => 0,
  reserve: () => undefined,
  lanes: { read: async () => ({ origin, control }) },
  kept: { get: () => undefined },
};

describe("a run whose creation takes long", () => {
  it("leaves no record when its thread was deleted meanwhile", async () => {
    const stored = { origin, control };
    const records = new Set<string>();
    let nowMs = 0;
    const storeRun = createStoreRun({
      maxThreadRuns: 10,
      leaseMs: 1_000,
      monotonicMs: () => nowMs,
      lanes: { read: async () => stored },
      kept: { get: () => undefined },
      reserve: () => undefined,
      runs: {
        insert: async ({ runId }: Run) => !!records.add(runId),
        putAgain: async ({ runId }: Run) => records.has(runId),
        deleteMade: () => Promise.reject(new Error("no run has come and gone")),
        deleteUnentered: async ({ runId }: Run) => void records.delete(runId),
        find: async () => undefined,
        tombstone: async () => undefined,
      },
      act: {
        async decide(_: unknown, { kind }: { kind: string }) {
          if (kind === "confirm") return undefined;
          // The run has come to its end, and was deleted with its thread, before this answer comes.
          records.clear();
          nowMs += 1_000;
          return { ...stored, effects: [], answer: { did: "entered", entry: {} } };
        },
        follow: async () => undefined,
      },
    } as unknown as Parameters<typeof createStoreRun>[0]);
    await expect(storeRun(run)).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    expect([...records]).toEqual([]);
  });
});

describe("a run that a free slot claims as it enters", () => {
  /** What is done, in order. */
  async function created(options: { request?: string; fails?: boolean; claims?: boolean; isRefused?: boolean } = {}) {
    const done: string[] = [];
    const entered = Promise.withResolvers<void>();
    const storeRun = createStoreRun({
      ...onThread,
      reserve: () => ({ token: "token", start: () => done.push("start"), release: () => done.push("release") }),
      runs: {
        async insert() {
          if (options.request === undefined) await entered.promise;
          if (options.isRefused) await new Promise(setImmediate);
          done.push("record");
          if (options.fails) throw new Error("the database is away");
          return true;
        },
        tombstones: async () => [],
        putAgain: async () => !!done.push("record anew"),
        deleteUnentered: async () => void done.push("no record"),
      },
      act: {
        async decide(_: unknown, { kind }: { kind: string }) {
          done.push(kind);
          entered.resolve();
          if (options.isRefused) throw new DomainError("THREAD_BUSY", "the thread is busy");
          const entry = { run: "run", changes: 1 };
          return {
            origin,
            control,
            effects: [],
            answer: { did: "done", entry, claimed: (options.claims ?? true) ? entry : undefined },
          };
        },
        follow: async () => undefined,
      },
    } as unknown as Parameters<typeof createStoreRun>[0]);
    await storeRun({ ...run, request: options.request }).catch(() => done.push("fails"));
    return done;
  }

  it("is stored while that is decided, and begins when both have landed", async () => {
    expect(await created()).toEqual(["enter", "record", "start"]);
  });

  it("does not begin when it cannot be stored", async () => {
    expect(await created({ fails: true })).toEqual(["enter", "record", "release", "fails"]);
  });

  it("leaves no record when it is refused before it is stored", async () => {
    expect(await created({ isRefused: true })).toEqual(["enter", "release", "record", "no record", "fails"]);
  });

  it("is looked after when it has to wait all the same: it may have been cancelled before it was stored", async () => {
    expect(await created({ claims: false })).toEqual(["enter", "record", "release", "record anew", "confirm"]);
  });

  it("is stored first when its request may be repeated", async () => {
    expect(await created({ request: "r" })).toEqual(["record", "enter", "start"]);
  });
});

describe("a run that is refused", () => {
  /** The record, and what is decided about its thread, when the run is refused at last; `twin`: what has become of another try's entry. */
  async function refused(options: { request?: string; twin?: "missed" }) {
    const records = new Set<string>();
    const kinds: string[] = [];
    const busy = new DomainError("THREAD_BUSY", "the thread is busy");
    const storeRun = createStoreRun({
      ...onThread,
      runs: {
        insert: async ({ runId }: Run) => !!records.add(runId),
        tombstones: async () => [],
        deleteUnentered: async ({ runId }: Run) => void records.delete(runId),
      },
      act: {
        async decide(_: unknown, { kind }: { kind: string }) {
          kinds.push(kind);
          if (kind === "enter") throw busy;
          return { answer: { did: options.twin ?? "done" } };
        },
      },
    } as unknown as Parameters<typeof createStoreRun>[0]);
    await expect(storeRun({ ...run, request: options.request })).rejects.toBe(busy);
    return { left: records.size, kinds };
  }

  it("leaves no record", async () => {
    expect(await refused({})).toEqual({ left: 0, kinds: ["enter"] });
  });

  it("keeps another try of the same request from entering by its record before that goes", async () => {
    expect(await refused({ request: "r" })).toEqual({ left: 0, kinds: ["enter", "forget"] });
  });

  it("leaves its record to another try of the same request that has entered", async () => {
    expect(await refused({ request: "r", twin: "missed" })).toEqual({ left: 1, kinds: ["enter", "forget"] });
  });
});

describe("a request that is repeated after its run has come and gone", () => {
  it.each([
    ["whose record a late write has brought back", "bare"],
    ["that takes long, and whose record was made anew", "slow"],
  ])("%s: no run is made anew", async (_, how) => {
    const request = "r";
    const twin = { ...run, request, made: "late", changes: 0, createdAt: new Date(0) };
    const deleted: string[] = [];
    const kinds: string[] = [];
    let tombstones = how === "bare";
    const storeRun = createStoreRun({
      ...onThread,
      findRun: async () => undefined,
      runs: {
        insert: async () => how === "slow",
        find: async () => twin,
        tombstone: async () => undefined,
        tombstones: async () => (tombstones ? [twin] : []),
        putAgain: async () => true,
        deleteMade: async ({ made }: Run) => deleted.push(made),
        deleteUnentered: async () => true,
      },
      act: {
        async decide(_: unknown, { kind }: { kind: string }, given?: { ifStillWanted?: () => Promise<void> }) {
          kinds.push(kind);
          // It is the turn of this request only after its run has come and gone.
          tombstones = true;
          await given?.ifStillWanted?.();
          return { answer: { did: "done", entry: {} } };
        },
      },
    } as unknown as Parameters<typeof createStoreRun>[0]);
    const asked = { ...twin, made: "mine", createdAt: new Date(1) };
    await expect(storeRun(asked, { isChosenId: true })).rejects.toMatchObject({ reason: "RUN_EXISTS" });
    expect(deleted).toHaveLength(1);
    expect(deleted).not.toContain("late");
    expect(kinds.filter((kind) => kind === "enter")).toHaveLength(how === "slow" ? 1 : 0);
  });
});

it("a run whose entry was brought by a try of this very decision, of which nobody was told, is created", async () => {
  const storeRun = (options?: object) =>
    createStoreRun({
      ...onThread,
      runs: { insert: async () => true, tombstones: async () => [] },
      act: {
        decide: async () => ({ origin, control, effects: [], answer: { did: "again", entry: { run: "run", n: 1 } } }),
        follow: async () => undefined,
      },
    } as unknown as Parameters<typeof createStoreRun>[0])(run, options);
  expect(await storeRun()).toMatchObject({ runId: "run" });
  // Somebody else may have brought it.
  await expect(storeRun({ isChosenId: true })).rejects.toMatchObject({ reason: "RUN_EXISTS" });
});

describe("a run that may not be on its thread", () => {
  /** What is stored when the thread is looked at first, and when the decision is about to be made on another one. */
  async function refused(first: string | undefined, then: string) {
    const done: string[] = [];
    const looks = [first, then];
    const storeRun = createStoreRun({
      ...onThread,
      lanes: {
        read: async () => {
          const owner = looks.shift();
          return owner && { origin, control: { ...control, metadata: { owner } } };
        },
      },
      runs: {
        insert: async () => !!done.push("record"),
        tombstones: async () => [],
        deleteUnentered: async () => void done.push("no record"),
      },
      act: {
        async decide(_: unknown, { kind }: { kind: string }, given?: { ifStillWanted(): Promise<void> }) {
          await given?.ifStillWanted();
          done.push(kind);
        },
      },
    } as unknown as Parameters<typeof createStoreRun>[0]);
    const options = { createThread: true, mayEnter: ({ owner }: { owner?: unknown }) => owner === "alice" };
    await expect(storeRun({ ...run, createdAt: new Date() }, options)).rejects.toMatchObject({
      reason: "THREAD_NOT_FOUND",
    });
    return done;
  }

  it("is not stored", async () => {
    expect(await refused("bob", "bob")).toEqual([]);
  });

  it("does not enter one that somebody else has made meanwhile, or in the place of its own", async () => {
    expect(await refused(undefined, "bob")).toEqual(["record", "no record"]);
    expect(await refused("alice", "bob")).toEqual(["record", "no record"]);
  });
});
