import { describe, expect, it, vi } from "vitest";
import { createRunLimits } from "../../../src/domain/run/run-limits.ts";

function setup(live: number) {
  let time = 0;
  const countLive = vi.fn(async () => live);
  const limits = createRunLimits({
    runs: { countLive },
    maxLiveRuns: 100,
    maxOf: () => undefined,
    pollMs: 1_000,
    monotonicMs: () => time,
  });
  return {
    countLive,
    admit: async (times: number) => {
      for (let i = 0; i < times; i++) await limits.admit("");
    },
    pass: (ms: number) => {
      time += ms;
    },
  };
}

describe("live runs", () => {
  it("are counted seldom as long as there is plenty of room", async () => {
    const { countLive, admit, pass } = setup(2);
    await admit(3);
    pass(30_000);
    await admit(3);
    expect(countLive).toHaveBeenCalledTimes(1);
    pass(30_000);
    await admit(1);
    expect(countLive).toHaveBeenCalledTimes(2);
  });

  it("are counted after each pause when there is not, also by what was created here", async () => {
    const { countLive, admit, pass } = setup(2);
    await admit(8);
    pass(1_000);
    await admit(1);
    expect(countLive).toHaveBeenCalledTimes(2);
    const crowded = setup(50);
    for (let i = 1; i <= 3; i++) {
      await crowded.admit(1);
      crowded.pass(1_000);
      expect(crowded.countLive).toHaveBeenCalledTimes(i);
    }
  });
});
