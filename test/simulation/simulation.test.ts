import { describe, expect, it } from "vitest";
import { playApart, playSideBySide } from "./play-side-by-side.ts";

const minutes = 60_000;

describe("the simulation", () => {
  it("plays the same history again from the same seed", async () => {
    const history = async () => /history ([0-9a-f]+)$/m.exec((await playApart(["--seed", "4"])).output)?.[1];
    const [first, second] = await Promise.all([history(), history()]);
    expect(first).toMatch(/^[0-9a-f]+$/);
    expect(second).toBe(first);
  });

  it(
    "keeps every law in 2,000 schedules",
    async () => {
      const { isWhole, output } = await playSideBySide(1, 2_000);
      expect({ isWhole, output }).toEqual({ isWhole: true, output: expect.not.stringContaining("seed") });
    },
    20 * minutes,
  );
});
