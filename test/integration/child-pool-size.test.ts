import { afterEach, describe, expect, it, vi } from "vitest";
import { DomainError } from "../../src/domain/errors.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import type { Inspection } from "../../src/worker/protocol.ts";
import { emptyJournal, fakePool, gone, graph, isAlive, patience, run } from "../support/fake-child-pool.ts";

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

describe("inspecting", { timeout: 30_000 }, () => {
  const state = (name: string): Inspection => ({ kind: "state", graph: name, omitValues: false });
  const answers = (text: string) => ({ ...emptyJournal, read: async () => text as never });
  const report = (text: string) => [{ checkpointNs: text, next: [], tasks: [], interrupts: [] }];

  it("binds each of many questions at once to its own journal, and writes nothing", async () => {
    await start();
    const texts = Array.from({ length: 20 }, (_, index) => `thread ${index}`);
    const found = await Promise.all(texts.map((text) => pool.inspect(answers(text), state("agent"))));
    expect(found).toEqual(texts.map(report));
  });

  it("fails with the journal's own error", async () => {
    await start();
    const failure = new DomainError("DATABASE_UNAVAILABLE", "The database does not answer");
    const read = () => Promise.reject(failure);
    await expect(pool.inspect({ ...emptyJournal, read }, state("agent"))).rejects.toBe(failure);
  });

  it("kills and replaces an inspector that does not answer, and asks innocent questions again", async () => {
    await start({ inspectTimeoutMs: 400 });
    const before = new Set(pool.pids);
    const gate = Promise.withResolvers<void>();
    let reads = 0;
    const slow = {
      ...emptyJournal,
      read: async () => {
        reads += 1;
        if (reads === 1) await gate.promise;
        return "asked again" as never;
      },
    };
    const overdue = pool.inspect(emptyJournal, state("never-answers"));
    const since = performance.now();
    await vi.waitUntil(() => performance.now() - since > 200, patience);
    const innocent = pool.inspect(slow, state("agent"));
    await expect(overdue).rejects.toMatchObject({ name: "DomainError", reason: "GRAPH_TIMEOUT" });
    expect(await innocent).toEqual(report("asked again"));
    expect(reads).toBe(2);
    gate.resolve();
    expect(pool.pids.filter((pid) => !before.has(pid)).length).toBeGreaterThan(0);
  });

  it("gives up a question whose process ends twice", async () => {
    await start();
    await expect(pool.inspect(emptyJournal, state("crashes"))).rejects.toMatchObject({
      reason: "GRAPH_UNAVAILABLE",
      message: 'The state cannot be read with the graph "crashes": the process ended (exit code 8)',
    });
    expect(await pool.inspect(answers("fine"), state("agent"))).toEqual(report("fine"));
  });

  it("answers with a broken graph's problem", async () => {
    await start({ graphs: [graph("broken")] });
    await expect(pool.inspect(emptyJournal, state("broken"))).rejects.toMatchObject({
      reason: "GRAPH_UNAVAILABLE",
      message: 'The state cannot be read with the graph "broken": It is broken',
    });
  });

  it("ends with the pool", async () => {
    await start();
    const pending = pool.inspect(emptyJournal, state("never-answers"));
    const failed = expect(pending).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    await pool.stop();
    await failed;
  });
});
