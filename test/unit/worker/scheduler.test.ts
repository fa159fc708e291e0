import { expect, it, vi } from "vitest";
import type { FoundThread } from "../../../src/domain/ports.ts";
import { createScheduler } from "../../../src/worker/scheduler.ts";

/** A thread on which a run may be claimed. */
const ready = (n: number, parent?: object): FoundThread =>
  ({
    owner: "o",
    threadId: `thread ${n}`,
    at: n,
    lane: { entries: [{ run: `run ${n}`, n: 1, phase: "waiting", parent }] },
  }) as unknown as FoundThread;

it("a child behind thousands of runs that find no slot gets its parent's", async () => {
  const parent = { threadId: "parent's", runId: "parent" };
  const threads = Array.from({ length: 5_000 }, (_, n) => ready(n, n === 4_000 ? parent : undefined));
  const asked: number[] = [];
  const claimed: string[] = [];
  const scheduler = createScheduler({
    lanes: {
      async ready({ limit, after }) {
        const from = after ? after.at + 1 : 0;
        asked.push(from);
        return threads.slice(from, from + limit);
      },
      readyOwners: async () => [],
    },
    hasOwners: false,
    runs: { find: async () => ({}) as never },
    act: {
      decide: async (_: unknown, { run }: { run: string }) => {
        claimed.push(run);
        return undefined;
      },
    } as never,
    children: { wishFor: async () => undefined },
    reserve: (run) => (run.parent ? { token: "t", start: vi.fn(), release: vi.fn() } : undefined),
    slotMissing: vi.fn(),
    pollMs: 3_600_000,
    recordLimitMs: 1_000,
    now: () => new Date(),
    onError(error) {
      throw error;
    },
  });
  for (const looks of [1, 2, 3]) {
    scheduler.wake();
    await vi.waitFor(() => expect(asked).toHaveLength(looks * 64));
  }
  await scheduler.stop();
  expect(claimed).toEqual(["run 4000"]);
  // Each look begins with those that have waited longest.
  expect(asked.filter((from) => from === 0)).toHaveLength(3);
});
