import { describe, expect, it } from "vitest";
import { anyOf, delayed, type Extent, enqueued, explore } from "./lane-search.ts";

/**
 * Every way in which the runs of a thread, and the servers that create, claim, execute, cancel, settle, take over, hold, pay
 * and sweep them, can get in each other's way, with the reducer that decides in production. One step is one write: a record,
 * a decision, a projection, a removal. In each state the laws hold, and from each the end can be reached: nothing live,
 * nothing owed, nothing held.
 *
 * Left out: parents, what threads remember of their runs beyond whose it is, and how a server learns whether a write of its
 * own has landed.
 */
const counted = new Intl.NumberFormat("en");

// Some search a hundred thousand states and more, which takes its time on a busy machine.
describe("the runs of a thread, in every order of writes", { timeout: 900_000 }, () => {
  it.each<[string, Extent]>([
    ["two runs and two cancels", { creations: [enqueued, enqueued], cancels: 2, isCoarse: true }],
    [
      "three runs that cancel each other",
      { creations: [enqueued, anyOf("interrupt"), anyOf("rollback")], isCoarse: true },
    ],
    [
      "three runs, most of them in order",
      { creations: [enqueued, enqueued, anyOf("enqueue", "rollback")], isCoarse: true },
    ],
    ["all strategies", { creations: [enqueued, anyOf("enqueue", "reject", "interrupt", "rollback")], cancels: 1 }],
    ["delays", { creations: [delayed, { strategies: ["interrupt"], isDelayed: true }, enqueued], isCoarse: true }],
    ["a delay and a cancel", { creations: [enqueued, delayed], cancels: 1 }],
    ["a server that dies", { creations: [enqueued, enqueued], crashes: 1 }],
    [
      "a server that dies, with its last decision on its way",
      { creations: [enqueued], cancels: 1, crashes: 1, lateDecisions: 1 },
    ],
    [
      "a server that dies with double-texting",
      { creations: [enqueued, anyOf("rollback")], crashes: 1, isCoarse: true },
    ],
    ["a server that dies with a delay", { creations: [delayed], cancels: 1, crashes: 1 }],
    ["two servers that die", { creations: [enqueued], cancels: 1, crashes: 2 }],
    [
      "a server that sleeps through its death, with two runs",
      { creations: [enqueued, enqueued], sleeps: 1, isCoarse: true },
    ],
    ["a server that sleeps through its death", { creations: [enqueued], cancels: 2, sleeps: 1 }],
    [
      "a server that sleeps, and one that dies",
      { creations: [enqueued], cancels: 1, sleeps: 1, crashes: 1, isCoarse: true },
    ],
    ["losses, displacements and cancels", { creations: [enqueued], cancels: 2, losses: 3, displacements: 1 }],
    ["lost answers", { creations: [enqueued, enqueued], cancels: 1, lostAnswers: 1, isCoarse: true }],
    [
      "holders and a server that dies",
      { creations: [enqueued], holds: ["edit", "delete", "copy"], crashes: 1, isCoarse: true },
    ],
    [
      "holders and a server that sleeps",
      { creations: [enqueued], holds: ["edit", "delete"], sleeps: 1, isCoarse: true },
    ],
    [
      "late projections and two payers",
      { creations: [enqueued], cancels: 1, payers: 2, projects: true, displacements: 1 },
    ],
    ["the deletion of the thread", { creations: [enqueued, enqueued], removals: 1, cancelsOfAll: 1, isCoarse: true }],
  ])("%s", (what, extent) => {
    const began = performance.now();
    const { states, steps, trace } = explore(extent);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(`${what}: ${counted.format(states)} states, ${counted.format(steps)} steps, ${seconds} s\n`);
    expect(trace).toBeUndefined();
    expect(states).toBeGreaterThan(500);
  });
});
