import { afterEach, describe, expect, it, vi } from "vitest";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import {
  emptyJournal,
  fakePool,
  gone,
  graph,
  isAlive,
  type LogLine,
  patience,
  run,
} from "../support/fake-child-pool.ts";

let pool: AttemptHost;

async function start(options: Parameters<typeof fakePool>[0] = {}) {
  const made = fakePool(options);
  pool = made.pool;
  const reports = await pool.start();
  return { ...made, reports };
}

afterEach(async () => {
  const { pids } = pool;
  await pool.stop();
  await gone(pids);
});

describe("placing", { timeout: 30_000 }, () => {
  it("fills the least loaded process first, and no further than its slots", async () => {
    await start({ children: 2, slotsPerChild: 2 });
    expect(pool.freeSlots).toBe(4);
    const freed = vi.fn();
    pool.onFree(freed);
    const attempts = [];
    for (let index = 0; index < 4; index += 1) attempts.push(await run(pool, { act: "polite" }));
    const pids = attempts.map(({ placed }) => placed.pid);
    expect(pids[0]).not.toBe(pids[1]);
    expect(pids[2]).not.toBe(pids[3]);
    expect(pool.freeSlots).toBe(0);
    expect(pool.place(attempts[0]!.spec, {} as never, { exclusive: false })).toBeUndefined();
    freed.mockClear();
    attempts[0]!.placed.stop("interrupt", "enough");
    await attempts[0]!.over;
    await vi.waitUntil(() => freed.mock.calls.length > 0, patience);
    expect(pool.freeSlots).toBe(1);
    const next = await run(pool, { act: "polite" });
    expect(next.placed.pid).toBe(pids[0]);
  });

  it("gives an exclusive attempt a process of its own, which ends with it and with what it started", async () => {
    await start();
    const shared = await run(pool, { act: "polite" });
    const own = await run(pool, { act: "polite", grandchild: true }, { exclusive: true });
    await own.started();
    expect(own.placed.pid).not.toBe(shared.placed.pid);
    // An attempt in its own process takes up a slot like any other.
    expect(pool.freeSlots).toBe(2);
    own.placed.stop("interrupt", "enough");
    expect(await own.over).toEqual({ how: "ended", end: { kind: "stopped" } });
    expect(await isAlive(own.placed.pid)).toBe(false);
    expect(await isAlive(own.data[0] as number)).toBe(false);
    expect(shared.overs).toEqual([]);
  });

  it("starts exclusive processes on demand up to their limit", async () => {
    await start({ exclusiveChildren: 2 });
    const own = [
      await run(pool, { act: "polite" }, { exclusive: true }),
      await run(pool, { act: "polite" }, { exclusive: true }),
    ];
    expect(pool.place(own[0]!.spec, {} as never, { exclusive: true })).toBeUndefined();
    await Promise.all(own.map((each) => each.started()));
    expect(new Set(own.map(({ placed }) => placed.pid)).size).toBe(2);
  });

  it("stops an exclusive attempt before its process has started", async () => {
    await start({ exclusiveChildren: 2 });
    const first = await run(pool, { act: "deaf" }, { exclusive: true });
    const second = await run(pool, { act: "deaf" }, { exclusive: true });
    second.placed.stop("interrupt", "enough");
    expect(await second.over).toEqual({ how: "ended", end: { kind: "stopped" } });
    expect(second.calls).toEqual(["delivered", "over"]);
    expect(first.overs).toEqual([]);
  });

  it("hides a new process's start behind the warm spare", async () => {
    const { lines } = await start();
    await vi.waitUntil(() => lines.filter(({ msg }) => msg.endsWith("is ready")).length === 2, patience);
    const attempt = await run(pool, { act: "polite" });
    attempt.placed.kill();
    expect(pool.freeSlots).toBe(4);
    await attempt.over;
  });

  it("recycles a process after its number of attempts, when the last one has ended", async () => {
    await start({ recycleAfter: 2 });
    const kept = await run(pool, { act: "polite" });
    const second = await run(pool, { act: "finish" });
    expect(second.placed.pid).toBe(kept.placed.pid);
    await second.over;
    const third = await run(pool, { act: "finish" });
    expect(third.placed.pid).not.toBe(kept.placed.pid);
    expect(await isAlive(kept.placed.pid)).toBe(true);
    kept.placed.stop("interrupt", "enough");
    expect(await kept.over).toEqual({ how: "ended", end: { kind: "stopped" } });
    await gone([kept.placed.pid]);
  });
});

describe("loading graphs", { timeout: 30_000 }, () => {
  it("reports the broken ones and goes on with the others", async () => {
    const { reports } = await start({ graphs: [graph("agent"), graph("broken")] });
    expect(reports).toEqual([
      { name: "agent", nodes: ["node"] },
      { name: "broken", problem: "It is broken" },
    ]);
    expect(pool.freeSlots).toBe(4);
  });

  it("finds the ones that hang or end the process", async () => {
    const { reports } = await start({
      graphs: [graph("agent"), graph("hangs"), graph("dies")],
      loadTimeoutMs: 2_000,
    });
    expect(reports).toEqual([
      { name: "agent", nodes: ["node"] },
      {
        name: "hangs",
        problem: 'The graph "hangs" of /graphs/hangs.ts cannot be loaded: it was not loaded within 2 s',
      },
      {
        name: "dies",
        problem: 'The graph "dies" of /graphs/dies.ts cannot be loaded: the process ended (exit code 9)',
      },
    ]);
    const attempt = await run(pool, { act: "finish" });
    expect(await attempt.over).toMatchObject({ how: "ended" });
  });

  it("ends with the pool, also while each graph is tried alone", async () => {
    const made = fakePool({ graphs: [graph("dies"), graph("hangs"), graph("agent")] });
    pool = made.pool;
    const started = expect(pool.start()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    await vi.waitUntil(() => made.lines.some(({ msg }) => msg.includes("each is tried alone")), patience);
    const { pids } = pool;
    await pool.stop();
    await started;
    expect(pool.pids).toEqual([]);
    await gone(pids);
  });
});

describe("growing and shrinking", { timeout: 30_000 }, () => {
  const shrinks = { children: 2, slotsPerChild: 2, shrinkAfterMs: 600_000 };
  const count = (wanted: number) => vi.waitUntil(() => pool.pids.length === wanted, patience);
  const ready = (lines: readonly LogLine[]) => lines.filter(({ msg }) => msg.endsWith("is ready")).length;

  it.each([1, 2])(
    "has one process, and a spare from the first run until some time without any (of %i)",
    async (children) => {
      await start({ ...shrinks, children, shrinkAfterMs: 1_000 });
      const [only, ...others] = pool.pids;
      expect(others).toEqual([]);
      const attempt = await run(pool, { act: "polite" });
      expect(attempt.placed.pid).toBe(only);
      await count(children + 1);
      // It is the last run's end that counts.
      const since = performance.now();
      await vi.waitUntil(() => performance.now() - since > 1_500, patience);
      expect(pool.pids).toHaveLength(children + 1);
      attempt.placed.stop("interrupt", "enough");
      await attempt.over;
      expect(pool.pids).toHaveLength(children + 1);
      await count(1);
      const again = await run(pool, { act: "finish" });
      expect(await again.over).toMatchObject({ how: "ended" });
      await count(children + 1);
    },
  );

  it("starts a second process when the first is busy, and no more than it may", async () => {
    const { lines } = await start(shrinks);
    expect(pool.freeSlots).toBe(2);
    const first = await run(pool, { act: "polite" });
    // With the spare.
    await vi.waitUntil(() => ready(lines) === 3, patience);
    const second = await run(pool, { act: "polite" });
    expect(second.placed.pid).not.toBe(first.placed.pid);
    for (let index = 0; index < 2; index += 1) await run(pool, { act: "polite" });
    expect(pool.freeSlots).toBe(0);
    expect(pool.pids).toHaveLength(3);
  });

  it("has one process for what is asked of graphs", async () => {
    await start(shrinks);
    const { pids } = pool;
    const inspection = { kind: "state", graph: "agent", omitValues: false } as const;
    const many = Array.from({ length: 20 }, () => pool.inspect(emptyJournal, inspection));
    await Promise.all(many);
    expect(pool.pids).toEqual(pids);
  });
});
