import { describe, expect, it } from "vitest";
import { isTerminal, type Phase, runStatuses, type Transition, transitions } from "../../../src/domain/transitions.ts";

const all: readonly (readonly [string, Transition])[] = Object.entries(transitions);

describe("the transition table", () => {
  it("has no way out of the end, and none but forwards out of a rollback", () => {
    for (const [name, { from }] of all) {
      expect(from, name).not.toContain("over");
      if (name !== "finishRollback") expect(from, name).not.toContain("rolling_back");
    }
  });

  it.each(all)("%s sets a terminal status if and only if the run is then over", (_, { to, status }) => {
    for (const one of status) expect(isTerminal(one)).toBe(to === "over");
    if (to === "over") expect(status.length).toBeGreaterThan(0);
  });

  it("lets a cancelled run end in no other way than as cancelled", () => {
    for (const [name, { from, to, cancel }] of all) {
      if (from.includes("stopping") && to !== "stopping") expect(cancel, name).toBe("present");
      if (from.includes("running") && to !== "stopping") expect(cancel, name).toBe("absent");
    }
  });

  it("lets nobody but the holder of the lease end what executes", () => {
    const executing: Phase[] = ["running", "stopping"];
    for (const [name, { from, to, lease }] of all) {
      if (from.some((phase) => executing.includes(phase)) && !executing.includes(to)) expect(lease, name).toBe("held");
    }
  });

  it("reaches every phase and every status", () => {
    expect(new Set(all.flatMap(([, { to }]) => to))).toEqual(
      new Set<Phase>(["running", "over", "waiting", "stopping", "rolling_back"]),
    );
    expect(new Set(all.flatMap(([, { status }]) => [...status]))).toEqual(new Set(runStatuses));
  });
});
