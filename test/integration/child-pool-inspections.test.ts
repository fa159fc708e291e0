import { afterEach, describe, expect, it, vi } from "vitest";
import { DomainError } from "../../src/domain/errors.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import type { Inspection } from "../../src/worker/protocol.ts";
import { emptyJournal, fakePool, gone, graph, patience, run } from "../support/fake-child-pool.ts";

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

const state = (name: string): Inspection => ({ kind: "state", graph: name, omitValues: false });
const answers = (text: string) => ({ ...emptyJournal, read: async () => text as never });
const report = (text: string) => [{ checkpointNs: text, next: [], tasks: [], interrupts: [] }];

/** A thread that is read for as long as one likes. */
function slowThread() {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const read = async () => {
    asked.resolve();
    await answer.promise;
    return "slow" as never;
  };
  return { journal: { ...emptyJournal, read }, asked: asked.promise, answer: answer.resolve };
}

describe("inspecting", { timeout: 30_000 }, () => {
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

  it("kills and replaces a process that does not answer, and asks innocent questions again", async () => {
    await start({ inspectTimeoutMs: 400, spare: false });
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

describe("inspections beside runs", { timeout: 30_000 }, () => {
  const timeless = { inspectTimeoutMs: 600_000, blockedLimitMs: 600_000 };

  it("take place where no run executes, in a process that is started for them if need be", async () => {
    await start({ spare: false, shrinkAfterMs: 600_000 });
    const attempt = await run(pool, { act: "deaf" });
    await attempt.started();
    expect(await pool.inspect(answers("beside"), state("agent"))).toEqual(report("beside"));
    expect(pool.pids).toHaveLength(2);
    expect(attempt.overs).toEqual([]);
  });

  it("keep a run waiting for a moment", async () => {
    await start({ ...timeless, longInspectionMs: 600_000, spare: false });
    const slow = slowThread();
    const reading = pool.inspect(slow.journal, state("agent"));
    await slow.asked;
    const attempt = await run(pool, { act: "finish" });
    const since = performance.now();
    await vi.waitUntil(() => performance.now() - since > 300, patience);
    expect(attempt.calls).toEqual([]);
    slow.answer();
    expect(await reading).toEqual(report("slow"));
    expect(await attempt.over).toMatchObject({ how: "ended", end: { kind: "success" } });
    expect(pool.pids).toEqual([attempt.placed.pid]);
  });

  it("that take long have runs begin elsewhere", async () => {
    await start({ ...timeless, longInspectionMs: 100, spare: false });
    const [readBy] = pool.pids;
    const slow = slowThread();
    const reading = pool.inspect(slow.journal, state("agent"));
    await vi.waitUntil(async () => {
      const attempt = await run(pool, { act: "finish" });
      const end = await attempt.over;
      // One that was waiting for the answer is handed back.
      if (attempt.placed.pid === readBy) expect(end).toEqual({ how: "ended", end: { kind: "drained" } });
      else expect(end).toMatchObject({ how: "ended", end: { kind: "success" } });
      return attempt.placed.pid !== readBy;
    }, patience);
    slow.answer();
    expect(await reading).toEqual(report("slow"));
  });

  it("that hold up their process have a run that waits begin elsewhere", async () => {
    await start({ ...timeless, longInspectionMs: 600_000, spare: false });
    const slow = slowThread();
    const reading = pool.inspect(slow.journal, state("agent"));
    await slow.asked;
    const [readBy] = pool.pids;
    const attempt = await run(pool, { act: "finish" });
    expect(attempt.placed.pid).toBe(readBy);
    process.kill(readBy!, "SIGSTOP");
    // It waits no longer, and the next one has another process.
    expect(await attempt.over).toEqual({ how: "ended", end: { kind: "drained" } });
    const later = await run(pool, { act: "finish" });
    expect(later.placed.pid).not.toBe(readBy);
    expect(await later.over).toMatchObject({ how: "ended", end: { kind: "success" } });
    slow.answer();
    process.kill(readBy!, "SIGCONT");
    expect(await reading).toEqual(report("slow"));
  });

  it("are asked again when their process dies, and a run that waited for them is not to blame", async () => {
    await start({ ...timeless, longInspectionMs: 600_000, spare: false });
    const slow = slowThread();
    const reading = pool.inspect(slow.journal, state("agent"));
    await slow.asked;
    const attempt = await run(pool, { act: "finish" });
    process.kill(attempt.placed.pid, "SIGKILL");
    expect(await attempt.over).toEqual({ how: "displaced" });
    slow.answer();
    expect(await reading).toEqual(report("slow"));
  });

  it("that block their process hurt no run and delay no other question", async () => {
    await start({ ...timeless, graphs: [graph("agent"), graph("blocks"), graph("other")], spare: false });
    const blocked = pool.inspect(emptyJournal, state("blocks"));
    const failed = expect(blocked).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    const beside = pool.inspect(answers("beside"), state("other"));
    expect(await beside).toEqual(report("beside"));
    const attempt = await run(pool, { act: "finish" });
    expect(await attempt.over).toMatchObject({ how: "ended", end: { kind: "success" } });
    await vi.waitUntil(() => pool.freeSlots === 4, patience);
    // The graph has a process of its own by now, where its questions keep each other only: nobody has to go elsewhere.
    const { pids } = pool;
    const again = expect(pool.inspect(emptyJournal, state("blocks"))).rejects.toMatchObject({
      reason: "SHUTTING_DOWN",
    });
    expect(await pool.inspect(answers("after"), state("agent"))).toEqual(report("after"));
    expect(pool.pids).toEqual(pids);
    await pool.stop();
    await Promise.all([failed, again]);
  });

  it("end with an error in time when they block their process, which ends with them", async () => {
    await start({ graphs: [graph("agent"), graph("blocks")], inspectTimeoutMs: 1_000, spare: false });
    const { pids } = pool;
    await expect(pool.inspect(emptyJournal, state("blocks"))).rejects.toMatchObject({ reason: "GRAPH_TIMEOUT" });
    await gone(pids);
    expect(await pool.inspect(answers("fine"), state("agent"))).toEqual(report("fine"));
  });
});
