import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Nudge } from "../../../src/domain/nudge.ts";
import { batchLimit, createNudger, type Nudger, pendingLimit } from "../../../src/nudges/nudger.ts";

const run = (runId: string) => ({ owner: "", threadId: "thread", runId });
const events = (runId: string): Nudge => ({ kind: "events", run: run(runId) });
const cancel: Nudge = { kind: "cancel", run: run("cancelled"), follower: "self" };
const everyMs = 25;

describe("telling other servers", () => {
  let written: { to: string; nudges: readonly Nudge[] }[];
  /** What a write waits for, and comes to. */
  let writing: () => Promise<boolean>;
  let errors: unknown[];
  let nudger: Nudger;

  beforeEach(() => {
    vi.useFakeTimers();
    written = [];
    errors = [];
    writing = async () => true;
    nudger = createNudger({
      store: {
        add(to, nudges) {
          written.push({ to, nudges });
          return writing();
        },
      },
      self: () => "self",
      everyMs,
      monotonicMs: () => performance.now(),
      onError: (error) => errors.push(error),
    });
  });
  afterEach(() => {
    nudger.stop();
    vi.useRealTimers();
  });

  const soon = () => vi.advanceTimersByTimeAsync(0);

  it("writes at once what comes first, and together what gathers meanwhile, each once", async () => {
    nudger.send("other", events("a"));
    nudger.send("other", events("b"));
    await soon();
    for (const id of ["a", "c", "a"]) nudger.send("other", events(id));
    await soon();
    expect(written).toEqual([{ to: "other", nudges: [events("a"), events("b")] }]);
    await vi.advanceTimersByTimeAsync(everyMs);
    expect(written.slice(1)).toEqual([{ to: "other", nudges: [events("a"), events("c")] }]);
  });

  it("writes to each server for itself", async () => {
    nudger.send("one", events("a"));
    nudger.send("two", events("a"));
    await soon();
    expect(written.map(({ to }) => to)).toEqual(["one", "two"]);
  });

  it("tells of an end sooner than of events, and takes along what waits", async () => {
    nudger.send("other", events("a"));
    await soon();
    nudger.send("other", events("b"));
    nudger.send("other", { kind: "ended", run: run("c") });
    await vi.advanceTimersByTimeAsync(everyMs / 5);
    expect(written.slice(1)).toEqual([{ to: "other", nudges: [events("b"), { kind: "ended", run: run("c") }] }]);
  });

  it("lets a cancel wait for nothing but the write that is under way, and takes along what waits", async () => {
    const answer = Promise.withResolvers<boolean>();
    writing = () => answer.promise;
    nudger.send("other", events("a"));
    await soon();
    nudger.send("other", events("b"));
    nudger.send("other", cancel);
    await soon();
    expect(written).toHaveLength(1);
    answer.resolve(true);
    await soon();
    expect(written[1]!.nudges).toEqual([events("b"), cancel]);
    nudger.send("other", events("c"));
    nudger.send("other", cancel);
    await soon();
    expect(written[2]!.nudges).toEqual([events("c"), cancel]);
  });

  it("writes no more than a batch at a time, and loses the oldest of too many", async () => {
    for (let n = 0; n < pendingLimit + 10; n++) nudger.send("other", events(String(n)));
    await vi.advanceTimersByTimeAsync(everyMs * pendingLimit);
    const all = written.flatMap(({ nudges }) => nudges);
    expect(Math.max(...written.map(({ nudges }) => nudges.length))).toBe(batchLimit);
    expect(all).toHaveLength(pendingLimit);
    expect(all[0]).toEqual(events("10"));
  });

  it("goes on after a write that fails, whose nudges are lost", async () => {
    writing = () => Promise.reject(new Error("away"));
    nudger.send("other", events("a"));
    await soon();
    writing = async () => true;
    nudger.send("other", events("b"));
    await vi.advanceTimersByTimeAsync(everyMs);
    expect(errors).toHaveLength(1);
    expect(written.map(({ nudges }) => nudges)).toEqual([[events("a")], [events("b")]]);
  });

  it("tells nothing to itself, and nothing once it has stopped", async () => {
    nudger.send("self", cancel);
    await soon();
    nudger.send("other", events("a"));
    nudger.stop();
    nudger.send("other", cancel);
    await vi.advanceTimersByTimeAsync(everyMs);
    expect(written).toEqual([]);
  });
});
