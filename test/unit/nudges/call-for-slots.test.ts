import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createCallForSlots } from "../../../src/nudges/call-for-slots.ts";

const [everyMs, inVainEveryMs] = [50, 1_000];
let called: string[];

beforeEach(() => {
  vi.useFakeTimers();
  called = [];
});
afterEach(() => void vi.useRealTimers());

const caller = (slots: Record<string, number>) =>
  createCallForSlots({
    others: () => Object.entries(slots).map(([id, freeSlots]) => ({ id, freeSlots })),
    send: (to) => called.push(to),
    everyMs,
    inVainEveryMs,
    monotonicMs: () => performance.now(),
  });

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it("calls servers with free slots, each in its turn", async () => {
  const call = caller({ none: 0, some: 1, more: 5 });
  for (let n = 0; n < 3; n++) {
    call();
    await pass(everyMs);
  }
  expect(called).toEqual(["some", "more", "some"]);
});

it("calls once for many runs, and once more for those that have come meanwhile", async () => {
  const call = caller({ other: 5 });
  call();
  call();
  await pass(0);
  call();
  call();
  await pass(0);
  expect(called).toHaveLength(1);
  await pass(10 * everyMs);
  expect(called).toHaveLength(2);
});

it("calls one that had none only now and then", async () => {
  const call = caller({ one: 0, two: 0 });
  call();
  await pass(0);
  call();
  await pass(inVainEveryMs - 1);
  expect(called).toEqual(["one"]);
  await pass(1);
  expect(called).toEqual(["one", "two"]);
});

it("calls nobody when there is nobody", async () => {
  caller({})();
  await pass(inVainEveryMs);
  expect(called).toEqual([]);
});
