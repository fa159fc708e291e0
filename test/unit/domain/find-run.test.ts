import { expect, it } from "vitest";
import { createFindRun } from "../../../src/domain/run/find-run.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { newRecord } from "../../support/run-records.ts";
import { situations, threadAfter } from "./lane-situations.ts";

const bare = newRecord({ runId: "a" });
const over: Run = { ...bare, changes: 3, phase: "over", status: "interrupted" };

/** What is found of a run whose record says one thing after the other, while its lane is as it is. */
async function found(records: readonly (Run | undefined)[], lane?: keyof typeof situations) {
  const said = [...records];
  const control = lane && threadAfter(...situations[lane]);
  const findRun = createFindRun({
    runs: { find: async () => said.shift() },
    lanes: { read: async () => control && ({ origin: {}, control } as never) },
  });
  return findRun(bare);
}

it("a run is what its entry says, and its record once it is over", async () => {
  expect(await found([bare], "running")).toMatchObject({ phase: "running", attempt: 1 });
  expect(await found([over])).toBe(over);
  expect(await found([undefined])).toBeUndefined();
});

it("a run that ends and leaves its lane between the two looks is over, and not unknown", async () => {
  expect(await found([bare, over])).toBe(over);
  expect(await found([{ ...bare, changes: 1 }, over])).toBe(over);
  expect(await found([{ ...bare, changes: 1 }, undefined])).toBeUndefined();
});

it("a record that no entry has come for is no run", async () => {
  expect(await found([bare, bare])).toBeUndefined();
  expect(await found([bare, undefined])).toBeUndefined();
});
