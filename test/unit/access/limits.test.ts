import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createCallLimits, limitsOf } from "../../../src/access/limits.ts";
import { ownerKey } from "../../../src/domain/owner.ts";

describe("limits of owners", () => {
  it("those of an owner's own stand in place of the general ones, by whatever name it has", () => {
    const of = limitsOf({ streams: 5, live_runs: 7, owners: { acme: { streams: 9 }, "a|b/c": { live_runs: 1 } } });
    expect(of("other")).toEqual({ streams: 5, live_runs: 7 });
    expect(of("acme")).toEqual({ streams: 9, live_runs: 7 });
    expect(of(ownerKey("a|b/c"))).toEqual({ streams: 5, live_runs: 1 });
  });

  it("calls that last are counted until they end, each owner's by themselves", () => {
    const limits = createCallLimits(() => ({ streams: 2 }));
    const [first] = [limits.stream("a"), limits.stream("a")];
    expect(() => limits.stream("a")).toThrow(expect.objectContaining({ reason: "RATE_LIMITED" }));
    limits.stream("b");
    first();
    first();
    limits.stream("a");
    expect(() => limits.stream("a")).toThrow();
  });

  describe("requests", () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it("are refused beyond the rate, with the time after which to come back, and let in again", async () => {
      const limits = createCallLimits((owner) => (owner === "a" ? { requests_per_second: 2 } : {}));
      for (const _ of [1, 2]) await limits.request("a");
      const refusal = { reason: "RATE_LIMITED", headers: { "retry-after": "1" } };
      await expect(limits.request("a")).rejects.toMatchObject(refusal);
      for (let n = 0; n < 100; n += 1) await limits.request("b");
      vi.advanceTimersByTime(1_001);
      await limits.request("a");
    });

    it("may be fewer than one a second", async () => {
      const limits = createCallLimits(() => ({ requests_per_second: 0.1 }));
      await limits.request("a");
      await expect(limits.request("a")).rejects.toMatchObject({ headers: { "retry-after": "10" } });
      vi.advanceTimersByTime(10_001);
      await limits.request("a");
    });
  });
});
