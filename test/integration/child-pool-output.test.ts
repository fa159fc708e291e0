import { afterEach, describe, expect, it, vi } from "vitest";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
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
  await gone(pids);
});

describe("what an attempt sends", { timeout: 30_000 }, () => {
  it("is handed over in order, one call at a time, and before the end", async () => {
    await start();
    const gate = Promise.withResolvers<void>();
    let inFlight = 0;
    let most = 0;
    const output = async () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await gate.promise;
      inFlight -= 1;
    };
    const attempt = await run(pool, { act: "output", count: 200 }, { output });
    const other = await run(pool, { act: "polite" });
    await other.started();
    expect(attempt.overs).toEqual([]);
    gate.resolve();
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "success" } });
    expect(attempt.data).toEqual(["started", ...Array.from({ length: 200 }, (_, index) => index)]);
    expect(most).toBe(1);
    expect(inFlight).toBe(0);
    expect(attempt.calls.at(-1)).toBe("over");
  });

  it("is still handed over when the process dies, before the outcome", async () => {
    await start();
    const gate = Promise.withResolvers<void>();
    const attempt = await run(pool, { act: "deaf" }, { output: () => gate.promise });
    await attempt.started();
    attempt.placed.kill();
    await gone([attempt.placed.pid]);
    expect(attempt.overs).toEqual([]);
    gate.resolve();
    expect(await attempt.over).toEqual({ how: "killed" });
  });

  it("stops the attempt when its output cannot be stored", async () => {
    await start();
    const output = async () => {
      throw new FencedError("The lease is over");
    };
    const attempt = await run(pool, { act: "polite" }, { output });
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "stopped" } });
    expect(attempt.calls).toEqual(["output", "delivered", "over"]);
  });

  it("reaches its own journal alone, and errors go back by name", async () => {
    await start();
    const calls: unknown[] = [];
    const attempt = await run(
      pool,
      { act: "journal" },
      {
        journal: {
          append: async (flush) => {
            calls.push(["append", flush]);
            throw new FencedError("too late");
          },
          read: async (query) => {
            calls.push(["read", query]);
            return undefined;
          },
          list: async (query) => {
            calls.push(["list", query]);
            return [];
          },
        },
      },
    );
    await attempt.over;
    expect(calls).toEqual([
      ["append", { flushId: "f1", checkpoints: [], writes: [], segments: [] }],
      ["read", { namespace: "" }],
      ["list", { limit: 2 }],
    ]);
    expect(attempt.data.at(-1)).toEqual([
      { name: "FencedError", message: "too late" },
      null,
      [],
      { name: "FencedError", message: expect.stringContaining("somebody-else") as string },
    ]);
  });

  it("reaches nothing after its end", async () => {
    const { lines } = await start();
    const append = vi.fn(emptyJournal.append);
    const attempt = await run(pool, { act: "late" }, { journal: { ...emptyJournal, append } });
    await attempt.over;
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "late reply FencedError"), patience);
    expect(append).not.toHaveBeenCalled();
    expect(attempt.data).toEqual(["started"]);
    expect(attempt.calls).toEqual(["output", "over"]);
  });

  it("harms nobody when it is no message of the protocol", async () => {
    const { lines } = await start();
    const attempt = await run(pool, { act: "junk" });
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "success" } });
    expect(await isAlive(attempt.placed.pid)).toBe(true);
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "junk was sent"), patience);
    expect(lines.find(({ msg }) => msg === "junk was sent")?.runId).toBe(attempt.spec.runId);
  });
});

describe("a message that is not as the protocol says", { timeout: 30_000 }, () => {
  it.each<[string, object]>([
    ["an end of no kind", { type: "end", attemptId: "ATTEMPT", end: { kind: "triumph" } }],
    ["a failure without its error", { type: "end", attemptId: "ATTEMPT", end: { kind: "error" } }],
    ["output that is no list", { type: "output", attemptId: "ATTEMPT", of: "x" }],
    [
      "an event that is no JSON",
      { type: "output", of: [{ attemptId: "ATTEMPT", events: [["custom", "c", [], "{"]] }] },
    ],
    [
      "a long event that is no JSON",
      { type: "output", of: [{ attemptId: "ATTEMPT", events: [["custom", "c", [], "x".repeat(300_000)]] }] },
    ],
    [
      "a long state that is no JSON",
      {
        type: "end",
        attemptId: "ATTEMPT",
        end: {
          kind: "success",
          state: { checkpointNs: "", next: [], tasks: [], interrupts: [], values: `{${"1".repeat(300_000)}` },
        },
      },
    ],
    ["a call that there is not", { type: "request", requestId: 1, scope: "ATTEMPT", method: "drop", args: [{}] }],
    ["a flush without its parts", { type: "request", requestId: 1, scope: "ATTEMPT", method: "append", args: [{}] }],
  ])("ends the attempt as crashed, and nothing of it is taken any more (%s)", async (_, message) => {
    await start();
    const append = vi.fn(emptyJournal.append);
    const later = [
      { type: "output", of: [{ attemptId: "ATTEMPT", events: [["custom", "custom", [], "1"]] }] },
      {
        type: "request",
        requestId: 2,
        scope: "ATTEMPT",
        method: "append",
        args: [{ flushId: "f", checkpoints: [], writes: [], segments: [] }],
      },
      { type: "end", attemptId: "ATTEMPT", end: { kind: "success" } },
    ];
    const journal = { ...emptyJournal, append };
    const attempt = await run(pool, { act: "malformed", raw: [message, ...later] }, { journal });
    expect(await attempt.over).toMatchObject({ how: "crashed", blamed: true, error: { name: "MalformedMessage" } });
    expect(await isAlive(attempt.placed.pid)).toBe(false);
    expect(append).not.toHaveBeenCalled();
    expect(attempt.data).toEqual(["started"]);
  });

  it("costs the neighbours nothing but their current step", async () => {
    await start();
    const polite = await run(pool, { act: "polite" });
    const deaf = await run(pool, { act: "deaf" });
    await Promise.all([polite.started(), deaf.started()]);
    const bad = { type: "end", attemptId: "ATTEMPT" };
    const attempt = await run(pool, { act: "malformed", raw: [bad] });
    expect(await attempt.over).toMatchObject({ how: "crashed", blamed: true });
    expect(await polite.over).toEqual({ how: "ended", end: { kind: "drained" } });
    expect(await deaf.over).toEqual({ how: "displaced" });
  });

  it("is refused when it names an attempt that is not in the process", async () => {
    const { lines } = await start({ children: 2, slotsPerChild: 1 });
    const neighbour = await run(pool, { act: "polite" });
    await neighbour.started();
    const { attemptId } = neighbour.spec;
    const raw = [
      { type: "end", attemptId, end: { kind: "success" } },
      { type: "end", attemptId, end: { kind: "triumph" } },
      { type: "output", of: [{ attemptId, events: [["custom", "custom", [], "1"]] }] },
      { type: "end", attemptId: "ATTEMPT", end: { kind: "success" } },
    ];
    const attempt = await run(pool, { act: "malformed", raw });
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "success" } });
    await vi.waitUntil(() => lines.some(({ msg }) => msg.includes("malformed")), patience);
    expect(neighbour.data).toEqual(["started"]);
    expect(neighbour.overs).toEqual([]);
  });
});

describe("what a child prints", { timeout: 30_000 }, () => {
  it("is logged with its run, or with all runs of the process", async () => {
    const { lines } = await start();
    const neighbour = await run(pool, { act: "polite" });
    await neighbour.started();
    const attempt = await run(pool, { act: "polite", print: ["\x1esome-run\x1fmarked", "unmarked"] });
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "unmarked"), patience);
    expect(lines.find(({ msg }) => msg === "marked")).toMatchObject({
      runId: "some-run",
      childPid: attempt.placed.pid,
    });
    expect(lines.find(({ msg }) => msg === "unmarked")?.runIds).toEqual([neighbour.spec.runId, attempt.spec.runId]);
  });

  it("neither blocks the child nor fills the log when it is a flood", async () => {
    const { lines } = await start();
    const mebibytes = 64;
    const attempt = await run(pool, { act: "flood", count: mebibytes * 1024 });
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "success" } });
    const next = await run(pool, { act: "polite", print: ["\x1enext\x1fafter the flood"] });
    await next.started();
    // What is left out is reported with the next line that is taken, at the latest when the process ends.
    await pool.stop();
    const leftOut = () => lines.reduce((sum, { leftOutBytes = 0 }) => sum + leftOutBytes, 0);
    const logged = () => lines.filter(({ msg }) => msg.startsWith("xxx")).length;
    await vi.waitUntil(() => leftOut() > 0, patience);
    expect(logged()).toBeGreaterThan(0);
    expect(logged()).toBeLessThan((mebibytes * 1024) / 10);
    expect(leftOut() + logged() * 1024).toBeGreaterThan((mebibytes - 1) * 1024 * 1024);
  });
});
