import { expect, it } from "vitest";
import type { StoredThread } from "../../../src/domain/ports.ts";
import { withoutEntry } from "../../../src/domain/thread/entry.ts";
import { createPayDebts } from "../../../src/domain/thread/pay-debts.ts";
import { enter, interrupt, rollback, start, stopped, threadAfter } from "./lane-situations.ts";

const name = { owner: "", threadId: "thread" };
const origin = { ...name, journal: "journal", createdAt: 0 };

/** A run that is rolled back, and one behind it that was cancelled; nobody has been told of either. */
const owing = threadAfter(
  start,
  { kind: "requestCancel", runs: ["a"], wish: rollback },
  { ...enter, run: "b" },
  { kind: "requestCancel", runs: ["b"], wish: interrupt },
  stopped,
  { kind: "finishRollback", run: "a" },
);

/** The runs whose records are brought up to their end, when the thread is like that after the first has left. */
async function told(then: StoredThread | undefined): Promise<string[]> {
  const projected: string[] = [];
  const runs = {
    find: async () => undefined,
    tombstone: async () => undefined,
    liveChildren: async () => [],
    project: async ({ runId }: { runId: string }) => projected.push(runId),
  };
  const payDebts = createPayDebts({ runs, records: { isOver: () => undefined }, ended: () => undefined } as never, {
    act: async () => undefined,
    decide: async () => then,
    remember: () => undefined,
    remembered: () => undefined,
    haveChildrenBeenAsked: () => false,
  });
  await payDebts(name, { seen: { origin, control: owing } });
  return projected;
}

it("the ends behind a rolled back run are told as they are when that has left", async () => {
  expect(await told({ origin, control: withoutEntry(owing, "a") })).toEqual(["b"]);
});

it("an end that was told meanwhile is not told again: another run may have the id on another thread", async () => {
  expect(await told({ origin, control: withoutEntry(withoutEntry(owing, "a"), "b") })).toEqual([]);
  expect(await told(undefined)).toEqual([]);
});
