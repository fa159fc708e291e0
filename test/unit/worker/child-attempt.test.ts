import { pino } from "pino";
import { describe, expect, it, vi } from "vitest";
import { FencedError } from "../../../src/checkpoints/journal-port.ts";
import type { AttemptHooks } from "../../../src/worker/attempt-host.ts";
import { ChildAttempt } from "../../../src/worker/child-attempt.ts";
import type { OutputTuple } from "../../../src/worker/protocol.ts";
import { attemptSpec, emptyItems, emptyJournal } from "../../support/fake-child-pool.ts";

const event = (json: string): OutputTuple => ["custom", "custom", [], json];
/** Of a size that is acknowledged at once. */
const big = (name: string): OutputTuple => event(name.padEnd(250_000));

function make(hooks: Partial<AttemptHooks> = {}) {
  const stored: number[] = [];
  const over = vi.fn();
  const failed = vi.fn();
  const attempt = new ChildAttempt({
    spec: attemptSpec({ act: "finish" }),
    hooks: { journal: emptyJournal, items: emptyItems, output: async () => {}, delivered: () => {}, over, ...hooks },
    log: pino({ level: "silent" }),
    stored: (count) => stored.push(count),
    failed,
  });
  return { attempt, stored, over, failed };
}

describe("an attempt's hand-over", () => {
  it("gathers output during a call, and acknowledges how much is stored", async () => {
    const calls: string[][] = [];
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const output = async (events: readonly OutputTuple[]) => {
      calls.push(events.map(([, , , json]) => json.trim()));
      await gates[calls.length - 1]!.promise;
    };
    const { attempt, stored, over } = make({ output });
    attempt.output([event("1"), big("2")]);
    attempt.output([event("3")]);
    attempt.output([big("4")]);
    expect(calls).toEqual([["1", "2"]]);
    const finished = attempt.finish({ how: "displaced" });
    gates[0]!.resolve();
    await vi.waitUntil(() => calls.length === 2);
    expect(calls[1]).toEqual(["3", "4"]);
    expect(stored).toEqual([2]);
    expect(over).not.toHaveBeenCalled();
    gates[1]!.resolve();
    await finished;
    expect(stored).toEqual([2, 4]);
    expect(over.mock.calls).toEqual([[{ how: "displaced" }]]);
  });

  it("acknowledges small events some hundred at a time: fewer do not keep the child waiting", async () => {
    const { attempt, stored } = make();
    for (let n = 1; n <= 1_000; n += 1) {
      attempt.output([event(String(n))]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stored).toEqual([250, 500, 750, 1_000]);
  });

  it("reports one outcome, after the journal calls under way", async () => {
    const gate = Promise.withResolvers<void>();
    const { attempt, over } = make({ journal: { ...emptyJournal, append: () => gate.promise } });
    const flush = { flushId: "f", checkpoints: [], writes: [], segments: [] };
    const request = { type: "request", requestId: 1, scope: "x", method: "append", args: [flush] } as const;
    const appended = attempt.request(request);
    const finished = attempt.finish({ how: "killed" });
    void attempt.finish({ how: "displaced" });
    await expect(attempt.request(request)).rejects.toBeInstanceOf(FencedError);
    expect(over).not.toHaveBeenCalled();
    gate.resolve();
    await Promise.all([appended, finished]);
    expect(over.mock.calls).toEqual([[{ how: "killed" }]]);
  });

  it("acknowledges and drops output after a failure, so that the child can come to its end", async () => {
    const output = vi.fn(() => Promise.reject(new Error("no")));
    const { attempt, stored, failed } = make({ output });
    attempt.output([big("1")]);
    await vi.waitUntil(() => stored.length === 1);
    attempt.output([big("2")]);
    await vi.waitUntil(() => stored.length === 2);
    expect(stored).toEqual([1, 2]);
    expect(output).toHaveBeenCalledTimes(1);
    expect(failed).toHaveBeenCalledTimes(1);
  });

  it("hears nothing once it is done", async () => {
    const output = vi.fn(async () => {});
    const delivered = vi.fn();
    const { attempt } = make({ output, delivered });
    await attempt.finish({ how: "killed" });
    attempt.output([event("1")]);
    attempt.delivered();
    expect(output).not.toHaveBeenCalled();
    expect(delivered).not.toHaveBeenCalled();
  });
});
