import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FoundThread } from "../../../src/domain/ports.ts";
import type { AttemptResult } from "../../../src/worker/settle.ts";
import { createTakeOver, type TakeOver, type TakeOverParts } from "../../../src/worker/take-over.ts";
import { decideAs } from "../../support/decide-as.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";

describe("a lease that nobody here works under", () => {
  const name = { owner: "", threadId: "thread" };
  const origin = { ...name, journal: "journal", createdAt: Date.now() };
  let lanes: ReturnType<typeof createMemoryLanes>;
  let decide: ReturnType<typeof decideAs>;
  let takeOver: TakeOver;
  let fenced: string[];
  let presumed: string[];
  let settled: AttemptResult[];
  let hasRecord: boolean;
  let nowMs: number;

  beforeEach(async () => {
    lanes = createMemoryLanes();
    decide = decideAs("me", lanes);
    fenced = [];
    presumed = [];
    settled = [];
    hasRecord = true;
    takeOver = createTakeOver({
      lanes,
      servers: {
        others: async () => [{ id: "known" }],
        presumeDead: async (server: string) => void presumed.push(server),
      },
      runs: { find: async () => (hasRecord ? {} : undefined) },
      now: () => new Date(nowMs),
      leaseMs: 1_000,
      forgottenEveryMs: 1_000,
      self: () => ({ id: "me", ended: new AbortController().signal }),
      everyMs: 3_600_000,
      fence: async (_run: unknown, _thread: unknown, token: string) => fenced.push(token),
      newestCheckpoint: async () => undefined,
      settle: async (_run: unknown, _token: unknown, result: AttemptResult) => void settled.push(result),
      wasUnsettled: () => false,
      onError: () => undefined,
    } as unknown as TakeOverParts);
    await decide(
      name,
      { kind: "enter", run: "first", strategy: "enqueue", next: "token" },
      { origin, kept: { metadata: {} } },
    );
    // The decision was made by the machine's clock: no later than this.
    nowMs = Date.now();
  });
  afterEach(() => takeOver.stop());

  const found = async (): Promise<FoundThread> => (await lanes.headedBy("me", { limit: 1 }))[0]!;

  it("is fenced before its run goes on", async () => {
    await takeOver.adoptUnknownLease(await found());
    expect(fenced).toEqual(["token"]);
    expect(settled).toMatchObject([{ kind: "displaced" }]);
  });

  it("of a run that was being created is left until its record cannot come any more; then nothing of it has started", async () => {
    hasRecord = false;
    await takeOver.adoptUnknownLease(await found());
    expect({ fenced, settled }).toEqual({ fenced: [], settled: [] });
    nowMs += 1_001;
    await takeOver.adoptUnknownLease(await found());
    expect(fenced).toEqual(["token"]);
    expect(settled).toMatchObject([{ kind: "refused", error: { name: "RunNotStoredError" } }]);
  });

  it("of a server that nobody knows is left to the rounds that follow, once that server counts as dead", async () => {
    await decideAs("forgotten", lanes)(
      { owner: "", threadId: "other" },
      { kind: "enter", run: "second", strategy: "enqueue", next: "late" },
      { origin: { ...origin, threadId: "other" }, kept: { metadata: {} } },
    );
    await decideAs("known", lanes)(
      { owner: "", threadId: "third" },
      { kind: "enter", run: "third", strategy: "enqueue", next: "held" },
      { origin: { ...origin, threadId: "third" }, kept: { metadata: {} } },
    );
    await takeOver.findForgotten();
    expect(presumed).toEqual(["forgotten"]);
  });

  it("is left alone when it has ended since the thread was found, and so is the next one", async () => {
    const before = await found();
    await decide(name, { kind: "enter", run: "next", strategy: "enqueue" });
    await decide(name, {
      kind: "settle",
      run: "first",
      token: "token",
      sequence: 1,
      result: "success",
      next: "another",
    });
    expect((await found()).lane.entries.at(-1)!.lease!.token).toBe("another");
    await takeOver.adoptUnknownLease(before);
    expect(fenced).toEqual([]);
  });
});

it("a deletion that somebody has left half-way goes on with the run as it was, whatever record is in its place by now", async () => {
  const name = { owner: "", threadId: "thread" };
  const lanes = createMemoryLanes();
  const decide = decideAs("me", lanes);
  const born = { origin: { ...name, journal: "journal", createdAt: 1 }, kept: { metadata: {} } };
  await decide(name, { kind: "hold", what: "delete", id: "hold", target: "run" }, born);
  const over = { ...name, runId: "run", phase: "over", changes: 3 };
  const removed: unknown[] = [];
  const records: unknown[] = [undefined, { ...over, phase: "waiting", changes: 0 }, over];
  for (const record of records) {
    const takeOver = createTakeOver({
      lanes,
      runs: { find: async () => record, tombstone: async () => over },
      now: () => new Date(),
      self: () => ({ id: "me", ended: new AbortController().signal }),
      everyMs: 3_600_000,
      fenceHold: async () => undefined,
      removeRun: async (_: unknown, run: unknown) => void removed.push(run),
      readState: async () => null,
      act: { act: async () => undefined },
    } as unknown as TakeOverParts);
    await takeOver.adoptUnknownLease((await lanes.headedBy("me", { limit: 1 }))[0]!);
    await takeOver.stop();
  }
  expect(removed).toEqual([over, over, over]);
});

it("a watched run that cannot be cancelled keeps no other from being cancelled, and no run from being taken over", async () => {
  const dead = { id: "dead", isDead: true, readAt: new Date(3_600_000), seenAt: new Date(0) };
  const done: string[] = [];
  const failed: string[] = [];
  const takeOver = createTakeOver({
    lanes: {
      headedBy: async () => [{ owner: "", threadId: "thread", at: 0, lane: {} }],
      owingBy: async () => [],
    },
    servers: {
      others: async () => [dead],
      declareDead: async () => true,
      watchesOf: async () => ["first", "second"].map((runId) => ({ id: runId, owner: "", threadId: "watched", runId })),
      watchesOfRun: async () => [],
      unwatch: async (id: string) => void done.push(`unwatch ${id}`),
      forget: async () => void done.push("forget"),
    },
    act: { decide: async ({ threadId }: { threadId: string }) => void done.push(`take ${threadId}`) },
    cancels: {
      async cancel({ runId }: { runId: string }) {
        if (runId === "first") throw new Error("this one cannot be cancelled");
        done.push(`cancel ${runId}`);
      },
    },
    self: () => ({ id: "me", ended: new AbortController().signal }),
    presenceOf: () => "dead",
    killChildren: async () => undefined,
    othersSeen: () => undefined,
    everyMs: 3_600_000,
    leaseMs: 1,
    rememberMs: 1,
    onError: (_error: unknown, what: string) => void failed.push(what),
  } as unknown as TakeOverParts);
  await takeOver.round();
  await takeOver.stop();
  expect(done).toEqual(["cancel second", "unwatch second", "take thread"]);
  expect(failed).toEqual(["cancelling first"]);
});
