import { describe, expect, it } from "vitest";
import { ChildPulse } from "../../../src/worker/child-pulse.ts";

describe("a child's pulse", () => {
  it("sends the next ping when the last one is answered", () => {
    const pulse = new ChildPulse();
    expect(pulse.tick()).toBe(1);
    pulse.pong(1);
    expect(pulse.tick()).toBe(2);
    expect(pulse.missedTicks).toBe(0);
  });

  it("counts ticks without an answer and sends nothing meanwhile", () => {
    const pulse = new ChildPulse();
    pulse.tick();
    expect([pulse.tick(), pulse.tick(), pulse.tick()]).toEqual([undefined, undefined, undefined]);
    expect(pulse.missedTicks).toBe(3);
    pulse.pong(1);
    expect(pulse.missedTicks).toBe(0);
  });

  it("takes no other answer for the one that is missing", () => {
    const pulse = new ChildPulse();
    pulse.tick();
    pulse.tick();
    pulse.pong(0);
    pulse.pong(7);
    expect(pulse.missedTicks).toBe(1);
  });
});
