import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import { fakePool, gone, graph, isAlive, type LogLine, patience, run } from "../support/fake-child-pool.ts";

let pool: AttemptHost;

async function start(options: Parameters<typeof fakePool>[0] = {}) {
  const made = fakePool(options);
  pool = made.pool;
  await pool.start();
  return made;
}

/** The one shared process and the spare have started. */
async function spareIsReady(lines: readonly LogLine[]): Promise<void> {
  await vi.waitUntil(() => lines.filter(({ msg }) => msg.endsWith("is ready")).length === 2, patience);
}

afterEach(async () => {
  const { pids } = pool;
  await pool.stop();
  await gone(pids);
});

describe("a process that dies by itself", { timeout: 30_000 }, () => {
  it.each([
    ["crash", "signal SIGSEGV"],
    ["exit", "exit code 7"],
  ] as const)("is blamed on the attempt that was alone in it (%s)", async (act, how) => {
    await start();
    const attempt = await run(pool, { act });
    expect(await attempt.over).toEqual({
      how: "crashed",
      blamed: true,
      error: { name: "ProcessCrashed", message: expect.stringContaining(how) as string },
    });
  });

  it("is blamed on nobody when the culprit cannot be told", async () => {
    await start();
    const neighbour = await run(pool, { act: "polite" });
    await neighbour.started();
    const culprit = await run(pool, { act: "crash" });
    expect(await culprit.over).toMatchObject({ how: "crashed", blamed: false });
    expect(await neighbour.over).toMatchObject({ how: "crashed", blamed: false });
  });

  it("is blamed on the attempt that its last error was traced to; the neighbours are innocent", async () => {
    await start();
    const neighbour = await run(pool, { act: "polite" });
    await neighbour.started();
    const culprit = await run(pool, { act: "uncaught" });
    expect(await culprit.over).toEqual({
      how: "crashed",
      blamed: true,
      error: { name: "RangeError", message: "uncaught" },
    });
    expect(await neighbour.over).toEqual({ how: "displaced" });
  });

  it("is not blamed on an error that it survived", async () => {
    const { lines } = await start();
    const rejecting = await run(pool, { act: "rejection" });
    await rejecting.started();
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "Error: unhandled"), patience);
    expect(lines.find(({ msg }) => msg === "Error: unhandled")?.runId).toBe(rejecting.spec.runId);
    const since = performance.now();
    await vi.waitUntil(() => performance.now() - since > 10 * 50, patience);
    const culprit = await run(pool, { act: "exit" });
    expect(await culprit.over).toMatchObject({ how: "crashed", blamed: false });
    expect(await rejecting.over).toMatchObject({ how: "crashed", blamed: false });
  });

  it("takes what it started with it", async () => {
    await start();
    const attempt = await run(pool, { act: "crash", grandchild: true });
    await attempt.over;
    expect(await isAlive(attempt.data[0] as number)).toBe(false);
  });

  it("is replaced, and the pool goes on", async () => {
    await start({ children: 2, slotsPerChild: 1 });
    const first = await run(pool, { act: "crash" });
    await first.over;
    const attempts = [await run(pool, { act: "deaf" }), await run(pool, { act: "deaf" })];
    expect(new Set([first, ...attempts].map(({ placed }) => placed.pid)).size).toBe(3);
    expect(pool.place(first.spec, {} as never, { exclusive: false })).toBeUndefined();
  });
});

describe("a blocked event loop", { timeout: 30_000 }, () => {
  it("is killed at its limit without any stop", async () => {
    await start({ blockedLimitMs: 300 });
    const alone = await run(pool, { act: "busy" });
    expect(await alone.over).toMatchObject({ how: "crashed", blamed: true, error: { name: "EventLoopBlocked" } });
    const neighbour = await run(pool, { act: "polite" });
    await neighbour.started();
    const busy = await run(pool, { act: "busy" });
    expect(await busy.over).toMatchObject({ how: "crashed", blamed: false });
    expect(await neighbour.over).toMatchObject({ how: "crashed", blamed: false });
  });

  it("is left alone when no limit is set", async () => {
    await start({ blockedLimitMs: 0 });
    const busy = await run(pool, { act: "busy" });
    const since = performance.now();
    await vi.waitUntil(() => performance.now() - since > 1_000, patience);
    expect(busy.overs).toEqual([]);
  });
});

describe("processes that die while they start", { timeout: 30_000 }, () => {
  it("are started at growing intervals, with a sentence in the log, until it works", async () => {
    const folder = await mkdtemp(join(tmpdir(), "child-pool-"));
    const file = join(folder, "present");
    const { lines } = await start({ graphs: [graph("dies-while-file-exists", file)] });
    const attempt = await run(pool, { act: "polite" });
    await spareIsReady(lines);
    await writeFile(file, "");
    // The spare takes its place; new spares cannot start.
    attempt.placed.kill();
    const sentence =
      /ended before it had anything to do \(exit code 9\), (\d) in a row; the next one starts in ([\d.]+) s/;
    const delays = () => lines.flatMap(({ msg }) => sentence.exec(msg)?.slice(1) ?? []);
    await vi.waitUntil(() => delays().length >= 6, patience);
    expect(delays().slice(0, 6)).toEqual(["1", "0.2", "2", "0.4", "3", "0.8"]);
    const served = await run(pool, { act: "finish" });
    expect(await served.over).toMatchObject({ how: "ended" });

    await rm(folder, { recursive: true });
    await vi.waitUntil(() => pool.pids.length === 2, patience);
    await gone([attempt.placed.pid]);
  });

  it("cost an attempt that was waiting for its own process, without blame", async () => {
    const folder = await mkdtemp(join(tmpdir(), "child-pool-"));
    const file = join(folder, "present");
    const { lines } = await start({ graphs: [graph("dies-while-file-exists", file)], exclusiveChildren: 2 });
    await spareIsReady(lines);
    await writeFile(file, "");
    await run(pool, { act: "polite" }, { exclusive: true });
    const waiting = await run(pool, { act: "polite" }, { exclusive: true });
    expect(await waiting.over).toMatchObject({ how: "crashed", blamed: false });
    await rm(folder, { recursive: true });
  });
});

describe("a process that is blocked although nothing executes in it", { timeout: 30_000 }, () => {
  it("gets no attempts, and is replaced", async () => {
    await start({ slotsPerChild: 1, blockedLimitMs: 600_000 });
    const attempt = await run(pool, { act: "leave-behind" });
    expect(await attempt.over).toMatchObject({ how: "ended" });
    await gone([attempt.placed.pid]);
    const next = await run(pool, { act: "finish" });
    expect(await next.over).toMatchObject({ how: "ended" });
  });
});

describe("leases that lapse", { timeout: 30_000 }, () => {
  it("end what executes an attempt alone, and the starts that follow are spaced", async () => {
    const { lines } = await start({ slotsPerChild: 1, children: 3 });
    const ready = () => lines.filter(({ msg }) => msg.endsWith("is ready")).length;
    await vi.waitUntil(() => ready() === 4, patience);
    const before = pool.pids;
    const sentence = /^Leases could not be renewed in time.*; the next process starts in ([\d.]+) s\.$/;
    const pauses = () => lines.flatMap(({ msg }) => sentence.exec(msg)?.slice(1) ?? []);
    const wanted: string[] = [];
    const killed: number[] = [];
    for (const pause of ["0.2", "0.4", "0.8"]) {
      const attempt = await run(pool, { act: "deaf" });
      await attempt.started();
      pool.renewed(1);
      expect(await attempt.over).toEqual({ how: "lapsed" });
      killed.push(attempt.placed.pid);
      wanted.push(pause);
      // Those that end during a pause count once.
      await vi.waitUntil(() => ready() === 4 + wanted.length, patience);
    }
    expect(pauses()).toEqual(wanted);
    for (const pid of before.filter((one) => !killed.includes(one))) expect(await isAlive(pid)).toBe(true);
    expect(before.filter((pid) => !killed.includes(pid)).length).toBeGreaterThan(0);
  });

  it("are no concern of a process whose attempts have ended", async () => {
    await start();
    const attempt = await run(pool, { act: "finish" });
    await attempt.over;
    pool.renewed(1);
    const neighbour = await run(pool, { act: "finish" });
    expect(await neighbour.over).toMatchObject({ how: "ended" });
    expect(neighbour.placed.pid).toBe(attempt.placed.pid);
  });

  it("space the starts of processes for one attempt alone as well", async () => {
    const { lines } = await start({ spare: false });
    for (let n = 0; n < 3; n += 1) {
      const attempt = await run(pool, { act: "deaf" }, { exclusive: true });
      await attempt.started();
      pool.renewed(1);
      expect(await attempt.over).toEqual({ how: "lapsed" });
      const { pids } = pool;
      expect(pool.place(attempt.spec, {} as never, { exclusive: true })).toBeUndefined();
      expect(pool.pids).toEqual(pids);
      await pool.untilStart();
    }
    expect(lines.filter(({ msg }) => msg.startsWith("Leases could not be renewed in time"))).toHaveLength(3);
  });

  it("that end many processes of one attempt alone have them start again one after the other", async () => {
    const { lines } = await start({ spare: false, exclusiveChildren: 4 });
    const ready = () => lines.filter(({ msg }) => msg.endsWith("is ready")).length;
    const startAll = () => Promise.all([1, 2, 3, 4].map(() => run(pool, { act: "deaf" }, { exclusive: true })));
    const attempts = await startAll();
    await Promise.all(attempts.map(({ started }) => started()));
    const known = new Set(pool.pids);
    const before = ready();
    let most = 0;
    const watch = setInterval(() => {
      const fresh = pool.pids.filter((pid) => !known.has(pid)).length;
      most = Math.max(most, fresh - (ready() - before));
    }, 1);
    pool.renewed(1);
    await Promise.all(attempts.map(({ over }) => over));
    await startAll();
    await vi.waitUntil(() => ready() === before + 4, patience);
    clearInterval(watch);
    expect(most).toBe(1);
  });

  it("let inspections wait until a process may start", async () => {
    await start({ spare: false });
    const attempt = await run(pool, { act: "deaf" });
    await attempt.started();
    pool.renewed(1);
    await attempt.over;
    const { pids } = pool;
    const asked = pool
      .inspect(undefined, { kind: "drawing", graph: "agent", xray: false } as never)
      .catch((error) => error);
    expect(pool.pids).toEqual(pids);
    expect(await asked).not.toMatchObject({ message: expect.stringContaining("the system has no process to give") });
    expect(pool.pids).not.toEqual(pids);
  });

  it("that end many processes have them replaced one after the other", async () => {
    const { lines } = await start({ children: 3, slotsPerChild: 1 });
    const started = () => lines.filter(({ msg }) => msg.endsWith("is ready")).length;
    await vi.waitUntil(() => started() === 4, patience);
    const attempts = [
      await run(pool, { act: "deaf" }),
      await run(pool, { act: "deaf" }),
      await run(pool, { act: "deaf" }),
    ];
    const known = new Set(pool.pids);
    let most = 0;
    pool.onFree(() => {
      const fresh = pool.pids.filter((pid) => !known.has(pid)).length;
      most = Math.max(most, fresh - (started() - 4));
    });
    for (const { placed } of attempts) placed.kill();
    await vi.waitUntil(() => started() === 7, patience);
    expect(most).toBe(1);
  });
});
