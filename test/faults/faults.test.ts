import { describe, expect, it } from "vitest";
import { play, report, type Schedule } from "./play.ts";

/**
 * Real servers, children and an engine under faults; `npm run soak` plays for longer. A seed gives the same faults and the same
 * clients' wishes again, though not the same order of what the processes do meanwhile.
 */
describe.runIf(process.platform === "linux")("every law holds under faults", { timeout: 600_000 }, () => {
  const short = { leaseMs: 2_000, forMs: 8_000, everyMs: 1_000, clients: 5, leastRuns: 30, clockSpreadMs: 500 };
  const schedules: Schedule[] = [1, 2, 3].map((servers) => ({ ...short, seed: 100 + servers, servers }));

  it.each(schedules)("seed $seed, $servers servers", async (schedule) => {
    const played = await play(schedule);
    expect(played.violations.length, report(played)).toBe(0);
    expect(played.runs).toBeGreaterThanOrEqual(short.leastRuns);
  });
});
