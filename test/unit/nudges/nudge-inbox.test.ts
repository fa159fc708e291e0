import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Nudge } from "../../../src/domain/nudge.ts";
import type { NudgeStore } from "../../../src/domain/ports.ts";
import { createNudgeInbox, type NudgeInbox } from "../../../src/nudges/nudge-inbox.ts";
import { keptBatches } from "../../../src/storage/nudge-store.ts";
import { createMemoryNudges } from "../../support/memory-nudges.ts";

const ended = (runId: string): Nudge => ({ kind: "ended", run: { owner: "", threadId: "thread", runId } });
const [fastMs, slowMs, rewatchMs] = [100, 1_000, 60_000];

describe("what other servers tell", () => {
  let store: NudgeStore;
  let reads: number;
  let heard: Nudge[];
  let missed: number;
  let isBusy: boolean;
  let self: string;
  let failures: unknown[];
  let inbox: NudgeInbox;

  function openInbox(decorate: (store: NudgeStore) => NudgeStore = (same) => same): void {
    const memory = createMemoryNudges();
    store = {
      ...memory,
      read(server) {
        reads += 1;
        return memory.read(server);
      },
    };
    const fail = (error: unknown) => {
      failures.push(error);
    };
    inbox = createNudgeInbox({
      store: decorate(store),
      self: () => self,
      fastMs,
      slowMs,
      rewatchMs,
      cannotWatch: fail,
      onError: fail,
      received: (nudges) => heard.push(...nudges),
      missed: () => void missed++,
      isBusy: () => isBusy,
    });
    inbox.open();
  }

  beforeEach(() => {
    vi.useFakeTimers();
    [reads, heard, missed, isBusy, failures, self] = [0, [], 0, false, [], "self"];
  });
  afterEach(async () => {
    await inbox.stop();
    vi.useRealTimers();
  });

  const soon = () => vi.advanceTimersByTimeAsync(0);
  const unwatched = (same: NudgeStore): NudgeStore => ({ ...same, watch: () => Promise.reject(new Error("cannot")) });

  it("is heard at once and once, and nothing is read meanwhile", async () => {
    openInbox();
    await soon();
    await store.add("self", [ended("a"), ended("b")]);
    await soon();
    await store.add("self", [ended("c")]);
    await soon();
    expect(heard).toEqual([ended("a"), ended("b"), ended("c")]);
    const before = reads;
    await vi.advanceTimersByTimeAsync(10 * slowMs);
    expect(reads).toBe(before);
  });

  it("is taken as the change tells it, without a look, once what came before is known", async () => {
    let tell: Parameters<NudgeStore["watch"]>[1] = () => undefined;
    openInbox((same) => ({
      ...same,
      watch(server, told, signal) {
        tell = told;
        return same.watch(server, told, signal);
      },
    }));
    await soon();
    const before = reads;
    tell({ count: 2, batches: [[ended("a")], [ended("b")]] });
    tell({ count: 1, batches: [[ended("a")]] });
    tell({ count: 3, batches: [[ended("b")], [ended("c")]] });
    expect([reads, heard]).toEqual([before, [ended("a"), ended("b"), ended("c")]]);
    tell({ count: 4 + keptBatches, batches: Array(keptBatches).fill([]) });
    expect(missed).toBe(2);
    self = "another";
    tell({ count: 99, batches: [[ended("d")]] });
    await soon();
    expect(heard).toHaveLength(3);
    self = "self";
  });

  it.each([
    ["nobody could tell it anything", undefined],
    ["it was told something", { count: 3, batches: [[ended("earlier")]] }],
  ])("may have been missed before the first look, when %s", async (_, stored) => {
    openInbox((same) => ({ ...same, read: async () => stored }));
    await soon();
    expect([missed > 0, heard]).toEqual([true, []]);
  });

  it("is known to be missed in part when more was told than is kept", async () => {
    openInbox(unwatched);
    await soon();
    for (let n = 0; n < keptBatches + 1; n++) await store.add("self", [ended(String(n))]);
    await vi.advanceTimersByTimeAsync(slowMs);
    expect(missed).toBe(2);
    expect(heard).toHaveLength(keptBatches);
  });

  it("can be told again after the server was taken for dead", async () => {
    let isGone = false;
    openInbox((same) => ({ ...same, read: (server) => (isGone ? Promise.resolve(undefined) : same.read(server)) }));
    await soon();
    isGone = true;
    await store.add("self", [ended("a")]);
    await soon();
    isGone = false;
    expect(missed).toBe(2);
    await store.add("self", [ended("b")]);
    await soon();
    expect(heard).toContainEqual(ended("b"));
  });

  it("is asked for where it cannot be watched, more often while there is reason to", async () => {
    openInbox(unwatched);
    await soon();
    reads = 0;
    await vi.advanceTimersByTimeAsync(5 * slowMs);
    expect(reads).toBeGreaterThanOrEqual(4);
    expect(reads).toBeLessThanOrEqual(6);
    isBusy = true;
    for (const id of ["a", "b", "c"]) {
      await store.add("self", [ended(id)]);
      await vi.advanceTimersByTimeAsync(fastMs);
      expect(heard.at(-1)).toEqual(ended(id));
    }
  });

  it("is watched again later when that has failed", async () => {
    let isBroken = true;
    openInbox((same) => ({
      ...same,
      watch: (...how) => (isBroken ? Promise.reject(new Error("away")) : same.watch(...how)),
    }));
    await soon();
    isBroken = false;
    await vi.advanceTimersByTimeAsync(rewatchMs);
    expect(failures).toHaveLength(1);
    await store.add("self", [ended("a")]);
    await soon();
    expect(heard).toEqual([ended("a")]);
  });

  it("is heard under another name once the server has one", async () => {
    openInbox();
    await soon();
    self = "other";
    inbox.renew();
    await soon();
    expect(missed).toBe(2);
    await store.add("self", [ended("a")]);
    await store.add("other", [ended("b")]);
    await soon();
    expect(heard).toEqual([ended("b")]);
  });

  it("is not read any more when there is no other server", async () => {
    openInbox();
    await soon();
    inbox.close();
    await store.add("self", [ended("a")]);
    await vi.advanceTimersByTimeAsync(2 * rewatchMs);
    expect(heard).toEqual([]);
    inbox.open();
    await soon();
    expect(heard).toEqual([ended("a")]);
  });
});
