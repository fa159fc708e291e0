import { expect, it, vi } from "vitest";
import type { Run } from "../../../src/domain/run/run.ts";
import { entryOf, newControl } from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";
import { createExecuting } from "../../../src/worker/executing.ts";
import { createExecutor } from "../../../src/worker/executor.ts";
import { newRecord } from "../../support/run-records.ts";

/** A run that the server has claimed in that life. */
function claimedBy(server: string, record: Run, token: string) {
  const { owner, threadId, runId } = record;
  const control = newControl({ threadId, rev: "", metadata: {} }, 1);
  const entered = reduce(control, { kind: "enter", server, run: runId, strategy: "enqueue", next: token }, 1);
  if ("refusal" in entered) throw new Error(entered.refusal.message);
  const origin = { owner, threadId, journal: "journal", createdAt: 1 };
  return { origin, control: entered.control, entry: entryOf(entered.control, runId)! };
}

it.each([
  ["in the present life", "life-1", 1],
  ["in a life that is over when its record is found", "life-2", 0],
])("a run that was claimed %s", async (_, then, starts) => {
  let self = "life-1";
  const record = newRecord();
  const found = Promise.withResolvers<Run>();
  const executing = createExecuting();
  const start = vi.fn(() => ({
    run: record,
    token: "",
    placed: Promise.resolve(),
    ended: new Promise(() => undefined),
  }));
  const executor = createExecutor({
    executing,
    self: () => self,
    host: { hasRoom: () => true, want: vi.fn() },
    mostOf: () => undefined,
    findRecord: () => found.promise,
    start,
    settleWith: () => vi.fn(),
    whileAway: vi.fn(),
    failed: vi.fn(),
    missing: vi.fn(),
    slotReturned: vi.fn(),
  } as never);
  const slot = executor.reserve(record)!;
  slot.start(claimedBy(self, record, slot.token));
  self = then;
  found.resolve(record);
  await vi.waitFor(() => expect(executing.claiming.size).toBe(0));
  expect(start).toHaveBeenCalledTimes(starts);
  expect(executing.attempts.size).toBe(starts);
});
