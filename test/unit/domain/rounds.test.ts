import { describe, expect, it, vi } from "vitest";
import { createRounds, type Rounds } from "../../../src/domain/rounds.ts";

/** Rounds that last until they are let go. */
function heldRounds() {
  const under: PromiseWithResolvers<void>[] = [];
  const onError = vi.fn();
  const rounds: Rounds = createRounds(
    () => {
      const held = Promise.withResolvers<void>();
      under.push(held);
      return held.promise;
    },
    { onError },
  );
  return { rounds, under, onError };
}

describe("rounds", () => {
  it("are joined while they are under way", async () => {
    const { rounds, under } = heldRounds();
    const both = Promise.all([rounds.join(), rounds.join()]);
    expect(rounds.isUnderWay).toBe(true);
    under[0]!.resolve();
    await both;
    expect(under).toHaveLength(1);
    expect(rounds.isUnderWay).toBe(false);
  });

  it("follow a round that was woken, once for however many", async () => {
    const { rounds, under } = heldRounds();
    rounds.wake();
    for (let i = 0; i < 3; i++) rounds.wake();
    under[0]!.resolve();
    await vi.waitFor(() => expect(under).toHaveLength(2));
    under[1]!.resolve();
    await rounds.join();
    expect(under).toHaveLength(2);
  });

  it("go on after one that failed, of which nobody who joined it hears", async () => {
    const { rounds, under, onError } = heldRounds();
    const joined = rounds.join();
    under[0]!.reject(new Error("away"));
    await joined;
    expect(onError).toHaveBeenCalledExactlyOnceWith(new Error("away"));
    void rounds.join();
    expect(under).toHaveLength(2);
    under[1]!.resolve();
    await rounds.stop();
  });

  it("end when they are stopped, after the one that is under way", async () => {
    const { rounds, under } = heldRounds();
    rounds.wake();
    rounds.wake();
    const stopped = rounds.stop();
    under[0]!.resolve();
    await stopped;
    await rounds.join();
    rounds.wake();
    expect(under).toHaveLength(1);
  });
});
