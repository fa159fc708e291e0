import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type RunEvent, RunEventSchema, runEvents } from "../../../src/client/index.ts";

const events = (...sequences: number[]) => ({
  events: sequences.map((sequence) => create(RunEventSchema, { sequence: BigInt(sequence) })),
});

/** A call that answers these messages and then waits until it is cancelled. */
function call(messages: readonly { events: RunEvent[] }[]) {
  const seen: { signal?: AbortSignal } = {};
  const start = async function* (signal: AbortSignal) {
    seen.signal = signal;
    yield* messages;
    signal.throwIfAborted();
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  return { seen, start };
}

describe("runEvents", () => {
  it("answers the events one by one, and cancels the call when the loop is left", async () => {
    const { seen, start } = call([events(1), events(2, 3, 4)]);
    const sequences: bigint[] = [];
    for await (const { sequence } of runEvents(start)) {
      sequences.push(sequence);
      expect(seen.signal!.aborted).toBe(false);
      if (sequence === 3n) break;
    }
    expect(sequences).toEqual([1n, 2n, 3n]);
    expect(seen.signal!.aborted).toBe(true);
  });

  it("is cancelled from outside by a signal", async () => {
    const outside = new AbortController();
    const { seen, start } = call([events(1)]);
    const reading = (async () => {
      for await (const _ of runEvents(start, outside.signal)) outside.abort(new Error("enough"));
    })();
    await expect(reading).rejects.toThrow("enough");
    expect(seen.signal!.aborted).toBe(true);
  });
});
