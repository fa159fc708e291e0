import { afterEach, describe, expect, it, vi } from "vitest";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import { emptyJournal, fakePool, gone, isAlive, patience, run } from "../support/fake-child-pool.ts";

let pool: AttemptHost;

async function start(options: Parameters<typeof fakePool>[0] = {}) {
  const made = fakePool(options);
  pool = made.pool;
  await pool.start();
  return made;
}

afterEach(async () => {
  const { pids } = pool;
  await pool.stop();
  expect(pool.pids).toEqual([]);
  await gone(pids);
});

describe("stopping an attempt", { timeout: 30_000 }, () => {
  it("ends without a kill when the attempt hears the abort", async () => {
    await start();
    const attempt = await run(pool, { act: "polite" });
    await attempt.started();
    attempt.placed.stop("interrupt", "enough");
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "stopped" } });
    expect(attempt.calls.slice(-2)).toEqual(["delivered", "over"]);
    expect(await isAlive(attempt.placed.pid)).toBe(true);
    expect(pool.freeSlots).toBe(4);
  });

  it("kills the process of a deaf attempt after the grace, and lets the neighbours reach a boundary first", async () => {
    await start();
    const deaf = await run(pool, { act: "deaf" });
    const polite = await run(pool, { act: "polite" });
    const busyElsewhere = await run(pool, { act: "deaf" });
    await Promise.all([deaf.started(), polite.started(), busyElsewhere.started()]);
    deaf.placed.stop("interrupt", "enough");
    expect(await polite.over).toEqual({ how: "ended", end: { kind: "drained" } });
    expect(await deaf.over).toEqual({ how: "killed" });
    expect(await isAlive(deaf.placed.pid)).toBe(false);
    expect(await busyElsewhere.over).toEqual({ how: "displaced" });
  });

  it("kills a busy loop before the grace is over, and its neighbours lose nothing but their step", async () => {
    await start({ graceMs: 600_000 });
    const neighbour = await run(pool, { act: "polite" });
    const busy = await run(pool, { act: "busy" });
    await Promise.all([neighbour.started(), busy.started()]);
    busy.placed.stop("rollback", "enough");
    expect(await busy.over).toEqual({ how: "killed" });
    expect(await isAlive(busy.placed.pid)).toBe(false);
    expect(await neighbour.over).toEqual({ how: "displaced" });
    expect(busy.calls.filter((call) => call === "over")).toHaveLength(1);
  });

  it("reports killed for every attempt in the process that was being stopped", async () => {
    await start();
    const attempts = [await run(pool, { act: "deaf" }), await run(pool, { act: "deaf" })];
    for (const attempt of attempts) await attempt.started();
    for (const attempt of attempts) attempt.placed.stop("interrupt", "enough");
    for (const attempt of attempts) expect(await attempt.over).toEqual({ how: "killed" });
  });

  it("takes repeated stops, also with the other action, for one", async () => {
    await start();
    const attempt = await run(pool, { act: "deaf" });
    await attempt.started();
    attempt.placed.stop("interrupt", "enough");
    attempt.placed.stop("interrupt", "enough");
    attempt.placed.stop("rollback", "all of it");
    await attempt.over;
    attempt.placed.stop("interrupt", "after the end");
    attempt.placed.drain();
    attempt.placed.kill();
    expect(attempt.calls.filter((call) => call !== "output")).toEqual(["delivered", "over"]);
  });

  it("does not kill an attempt whose functions have settled while it waits for the server's storage", async () => {
    await start({ graceMs: 200 });
    const stored = Promise.withResolvers<void>();
    const asked = vi.fn(() => stored.promise);
    const attempt = await run(pool, { act: "save-on-abort" }, { journal: { ...emptyJournal, append: asked } });
    await attempt.started();
    attempt.placed.stop("interrupt", "enough");
    const since = performance.now();
    await vi.waitUntil(() => asked.mock.calls.length === 1 && performance.now() - since > 3 * 200, patience);
    expect(attempt.overs).toEqual([]);
    stored.resolve();
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "stopped" } });
  });

  it("counts an end that was sent before the process died", async () => {
    await start();
    const attempt = await run(pool, { act: "end-then-die" });
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "success" } });
    await gone([attempt.placed.pid]);
  });

  it("kills at once on request", async () => {
    await start({ graceMs: 600_000 });
    const attempt = await run(pool, { act: "polite" });
    const neighbour = await run(pool, { act: "polite" });
    await Promise.all([attempt.started(), neighbour.started()]);
    attempt.placed.kill();
    expect(await attempt.over).toEqual({ how: "killed" });
    expect(await neighbour.over).toEqual({ how: "displaced" });
  });

  it("drains an attempt on request", async () => {
    await start();
    const attempt = await run(pool, { act: "polite" });
    attempt.placed.drain();
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "drained" } });
    expect(await isAlive(attempt.placed.pid)).toBe(true);
  });

  it("reaches a run while every slot is taken", async () => {
    await start({ slotsPerChild: 1 });
    const attempt = await run(pool, { act: "deaf" });
    await attempt.started();
    expect(pool.freeSlots).toBe(0);
    expect(pool.place(attempt.spec, {} as never, { exclusive: false })).toBeUndefined();
    attempt.placed.stop("interrupt", "enough");
    expect(await attempt.over).toEqual({ how: "killed" });
  });

  it("kills what its processes have started", async () => {
    await start();
    const attempt = await run(pool, { act: "deaf", grandchild: true });
    await attempt.started();
    const grandchild = attempt.data[0] as number;
    expect(await isAlive(grandchild)).toBe(true);
    attempt.placed.stop("interrupt", "enough");
    await attempt.over;
    expect(await isAlive(grandchild)).toBe(false);
  });

  it("kills an attempt whose process closed the channel", async () => {
    await start();
    const attempt = await run(pool, { act: "disconnect" });
    expect(await attempt.over).toMatchObject({ how: "crashed", blamed: true });
    expect(await isAlive(attempt.placed.pid)).toBe(false);
  });

  it("reports displaced when the pool ends", async () => {
    await start();
    const attempt = await run(pool, { act: "busy" });
    await attempt.started();
    await pool.stop();
    expect(attempt.overs).toEqual([{ how: "displaced" }]);
    expect(pool.place(attempt.spec, {} as never, { exclusive: false })).toBeUndefined();
  });
});
