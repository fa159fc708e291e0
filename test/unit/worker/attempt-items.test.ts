import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { FencedError } from "../../../src/checkpoints/journal-port.ts";
import type { NewItem, WriteLimit } from "../../../src/domain/item.ts";
import type { Items } from "../../../src/domain/items.ts";
import { openAttemptItems, writeLimits } from "../../../src/worker/attempt-items.ts";
import type { ItemOperation } from "../../../src/worker/protocol.ts";
import { readOnlyItems } from "../../../src/worker/read-items.ts";

const away = new Error("the database is away");
const limitMs = 40;
const put = (key: string, n: number): ItemOperation => ({
  kind: "put",
  namespace: ["a"],
  key,
  value: `{"n":${n}}`,
});
const get = (key: string): ItemOperation => ({ kind: "get", namespace: ["a"], key });

function open({ writeBy, ...own }: Partial<Items> & { writeBy?: () => Date } = {}) {
  const calls: string[] = [];
  const items: Items = {
    async put({ key, value }) {
      calls.push(`put ${key} ${value}`);
      return true;
    },
    async remove({ key }) {
      calls.push(`remove ${key}`);
      return true;
    },
    async get({ key }) {
      calls.push(`get ${key}`);
      return undefined;
    },
    search: async () => [],
    namespaces: async () => [],
    ...own,
  };
  const pause = vi.fn(async () => turn());
  const attempt = openAttemptItems({
    items,
    owner: "o",
    limitMs,
    now: () => new Date(),
    isTransient: (error) => error === away,
    pause,
    writeBy: writeBy ?? (() => new Date(Date.now() + limitMs)),
  });
  return { attempt, calls, pause };
}

describe("an attempt's long-term memory", () => {
  it("reads before it writes, and of several writes of an item makes the last one", async () => {
    const { attempt, calls } = open();
    const remove = { kind: "delete", namespace: ["a"], key: "y" } as const;
    const answers = await attempt.batch([put("x", 1), get("x"), put("y", 1), put("x", 2), remove]);
    expect(answers).toEqual([null, null, null, null, null]);
    expect(calls).toEqual(["get x", 'put x {"n":2}', "remove y"]);
  });

  it("writes an item in the order in which that was asked for, whatever became of the writes before", async () => {
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    const { attempt } = open({
      async put({ key, value }) {
        begun.push(`${key} ${value}`);
        if (value === '{"n":1}') await gate.promise;
        return true;
      },
    });
    const first = attempt.batch([put("x", 1)]);
    const second = attempt.batch([put("x", 2)]);
    await attempt.batch([put("y", 3)]);
    expect(begun).toEqual(['x {"n":1}', 'y {"n":3}']);
    gate.reject(new Error("no"));
    await expect(first).rejects.toThrow("no");
    await second;
    expect(begun).toEqual(['x {"n":1}', 'y {"n":3}', 'x {"n":2}']);
  });

  it("tries again what came too late, and what met a database that is away", async () => {
    const tries = [false, away, true];
    const limits: (WriteLimit | undefined)[] = [];
    const reads = [away, undefined];
    const { attempt, pause } = open({
      async put(_: NewItem, limit?: WriteLimit) {
        limits.push(limit);
        const next = tries.shift();
        if (next === away) throw away;
        return next === true;
      },
      async get() {
        const next = reads.shift();
        if (next === away) throw away;
        return undefined;
      },
    });
    await attempt.batch([put("x", 1)]);
    expect(limits).toHaveLength(3);
    for (const limit of limits) expect(limit).toMatchObject({ limitMs, by: expect.any(Date) });
    expect(await attempt.batch([get("x")])).toEqual([null]);
    expect(pause).toHaveBeenCalledTimes(3);
  });

  it("sends nothing while its lease is all but over", async () => {
    let by = new Date(0);
    const { attempt, calls, pause } = open({ writeBy: () => by });
    const writing = attempt.batch([put("x", 1)]);
    await vi.waitUntil(() => pause.mock.calls.length > 3);
    expect(calls).toEqual([]);
    by = new Date(Date.now() + 60_000);
    await writing;
    expect(calls).toHaveLength(1);
  });

  it("refuses everything once it is closed, and waits for what is under way", async () => {
    const gate = Promise.withResolvers<boolean>();
    const later = () => new Date(Date.now() + 60_000);
    const { attempt } = open({ put: () => gate.promise, writeBy: later });
    const refused = expect(attempt.batch([put("x", 1)])).rejects.toBeInstanceOf(FencedError);
    const queued = expect(attempt.batch([put("x", 2)])).rejects.toBeInstanceOf(FencedError);
    await turn();
    let closed = false;
    const closing = attempt.close().then(() => {
      closed = true;
    });
    await Promise.all([refused, queued]);
    await expect(attempt.batch([get("x")])).rejects.toBeInstanceOf(FencedError);
    await turn();
    expect(closed).toBe(false);
    gate.resolve(true);
    await closing;
    await attempt.close();
  });

  it("is closed when no write can land any more, if no answer comes", async () => {
    let limit: WriteLimit | undefined;
    const { attempt } = open({
      put: (_: NewItem, given?: WriteLimit) => {
        limit = given;
        return new Promise(() => {});
      },
    });
    void attempt.batch([put("x", 1)]).catch(() => {});
    await vi.waitUntil(() => limit !== undefined);
    await attempt.close();
    expect(Date.now()).toBeGreaterThan(limit!.by.getTime() + limitMs);
  });

  it("is closed when no write can land any more, if the database went away in the middle of it", async () => {
    let limit: WriteLimit | undefined;
    const { attempt, pause } = open({
      put: async (_: NewItem, given?: WriteLimit) => {
        limit = given;
        throw away;
      },
    });
    void attempt.batch([put("x", 1)]).catch(() => {});
    await vi.waitUntil(() => pause.mock.calls.length > 0);
    await attempt.close();
    expect(Date.now()).toBeGreaterThan(limit!.by.getTime() + limitMs);
  });
});

describe("the time of a write", () => {
  it("ends within the lease, as it was last renewed", () => {
    const keeper = { now: () => new Date(100_000), heldUntil: () => new Date(107_000) };
    const by = (config: { leaseMs: number }, held = keeper) => {
      const limits = writeLimits(held, config);
      return [limits.writeBy().getTime(), limits.limitMs];
    };
    expect(by({ leaseMs: 10_000 })).toEqual([102_000, 2_000]);
    expect(by({ leaseMs: 3_600_000 })).toEqual([102_000, 2_000]);
    expect(by({ leaseMs: 500 })).toEqual([100_100, 100]);
    expect(by({ leaseMs: 10_000 }, { ...keeper, heldUntil: () => new Date(103_000) })).toEqual([101_000, 2_000]);
  });
});

describe("a long-term memory to read", () => {
  it("answers reads and prolongs nothing", async () => {
    const seen: unknown[] = [];
    const items = {
      get: async (...args: unknown[]) => void seen.push(args),
    } as unknown as Items;
    expect(await readOnlyItems(items, "o").batch([get("x")])).toEqual([null]);
    expect(seen).toEqual([[{ owner: "o", namespace: ["a"], key: "x" }, { refreshTtl: false }]]);
  });

  it("refuses to be changed", async () => {
    await expect(readOnlyItems({} as Items, "o").batch([put("x", 1)])).rejects.toThrow("changed by runs only");
  });
});
