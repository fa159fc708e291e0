import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { entryOf } from "../../../src/domain/thread/entry.ts";
import { createLiveRecords } from "../../../src/domain/thread/live-records.ts";
import { type Projection, projectionOf } from "../../../src/domain/thread/project.ts";
import { situations, threadAfter } from "./lane-situations.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const running = projectionOf(entryOf(threadAfter(...situations.running), "a")!, "journal");
const later: Projection = { ...running, changes: running.changes + 1 };
const nameOf = (runId: string) => ({ owner: "", threadId: "thread", runId });

function setup() {
  const project = vi.fn(async (_: { runId: string }, __: Projection) => true);
  const failed = vi.fn();
  const records = createLiveRecords({ project }, failed);
  return {
    project,
    failed,
    records,
    stored: () => project.mock.calls.map(([{ runId }, { changes }]) => [runId, changes]),
  };
}

it("the records of live runs are brought up a moment later, together, and as they are then", async () => {
  const { records, stored } = setup();
  records.bringUp(nameOf("a"), later);
  records.bringUp(nameOf("a"), running);
  records.bringUp(nameOf("b"), running);
  expect(stored()).toEqual([]);
  await vi.advanceTimersByTimeAsync(100);
  expect(stored()).toEqual([
    ["a", later.changes],
    ["b", running.changes],
  ]);
  records.bringUp(nameOf("b"), later);
  await vi.advanceTimersByTimeAsync(100);
  expect(stored()).toHaveLength(3);
});

it("nothing but its end is stored of a run that is over soon", async () => {
  const { records, stored } = setup();
  records.bringUp(nameOf("a"), running);
  records.isOver(nameOf("a"));
  records.bringUp(nameOf("b"), running);
  await vi.advanceTimersByTimeAsync(100);
  expect(stored()).toEqual([["b", running.changes]]);
});

it("a record that could not be brought up is told, and waits for the run's next change", async () => {
  const { records, project, failed, stored } = setup();
  const away = new Error("away");
  project.mockRejectedValueOnce(away);
  records.bringUp(nameOf("a"), running);
  await vi.advanceTimersByTimeAsync(100);
  expect(failed).toHaveBeenCalledWith(away);
  records.bringUp(nameOf("a"), later);
  await vi.advanceTimersByTimeAsync(100);
  expect(stored()).toHaveLength(2);
});

it("whoever lists runs waits for the records of all that was to be brought up before", async () => {
  const { records, project, stored } = setup();
  let store: (value: boolean) => void = () => undefined;
  project.mockReturnValueOnce(new Promise((resolve) => (store = resolve)));
  records.bringUp(nameOf("a"), running);
  await vi.advanceTimersByTimeAsync(100);
  records.bringUp(nameOf("b"), running);
  let isUp = false;
  const up = records.broughtUp().then(() => (isUp = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(stored()).toEqual([
    ["a", running.changes],
    ["b", running.changes],
  ]);
  expect(isUp).toBe(false);
  store(true);
  await up;
  await vi.advanceTimersByTimeAsync(100);
  expect(stored()).toHaveLength(2);
});
