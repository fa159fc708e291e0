import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FencedError } from "../../../src/checkpoints/journal-port.ts";
import type { RunEventStore } from "../../../src/domain/ports.ts";
import type { NewChunk, WholeEvent } from "../../../src/domain/run/run-events.ts";
import { openEventWriter } from "../../../src/stream/event-writer.ts";

const run = { owner: "", threadId: "thread", runId: "run" };
const attempt: WholeEvent = { kind: "attempt", attempt: 1 };
const output = (json: string): WholeEvent => ({ kind: "output", mode: "custom", name: "custom", namespace: [], json });

describe("an event that can wait a little", () => {
  let chunks: NewChunk[];
  /** What the next insert finds in its place. */
  let occupant: { token: string; isFence: boolean; first: null } | undefined;
  /** The answer to the next insert is lost. */
  let isAway: boolean;

  beforeEach(() => {
    vi.useFakeTimers();
    chunks = [];
    occupant = undefined;
    isAway = false;
  });
  afterEach(() => vi.useRealTimers());

  function open() {
    const store: Pick<RunEventStore, "insert" | "chunk"> = {
      async insert(chunk) {
        if (occupant) return false;
        if (isAway) {
          isAway = false;
          throw new Error("the database is away");
        }
        chunks.push(chunk);
        return true;
      },
      chunk: async () => occupant,
    };
    return openEventWriter({
      run,
      journal: "journal",
      token: "mine",
      isFirst: true,
      store: store as RunEventStore,
      published: () => {},
      isTransient: (error) => !(error instanceof FencedError),
      pause: async () => {},
    });
  }
  const stored = () => chunks.map(({ first, last, events }) => [first, last, events]);

  it("goes with the next ones", async () => {
    const writer = await open();
    const soon = writer.appendSoon(attempt);
    await writer.append([output("1")]);
    await soon;
    expect(stored()).toEqual([[2, 3, [attempt, output("1")]]]);
  });

  it("goes by itself when none come", async () => {
    const writer = await open();
    const soon = writer.appendSoon(attempt);
    expect(chunks).toEqual([]);
    await vi.runAllTimersAsync();
    await soon;
    expect(stored()).toEqual([[2, 2, [attempt]]]);
  });

  it("goes before the writer is closed", async () => {
    const writer = await open();
    const soon = writer.appendSoon(attempt);
    expect(await writer.close()).toEqual({ last: 2, clean: true });
    await soon;
    expect(stored()).toEqual([[2, 2, [attempt]]]);
    await expect(writer.append([output("late")])).rejects.toBeInstanceOf(FencedError);
  });

  it("is not cleanly written when it was sent twice, since the first copy may still come", async () => {
    const writer = await open();
    isAway = true;
    await writer.append([output("1")]);
    expect(stored()).toEqual([[2, 2, [output("1")]]]);
    expect(await writer.close()).toEqual({ last: 2, clean: false });
  });

  it("tells its own caller that it may not be written", async () => {
    const writer = await open();
    occupant = { token: "mine", isFence: true, first: null };
    const soon = expect(writer.appendSoon(attempt)).rejects.toBeInstanceOf(FencedError);
    await expect(writer.append([output("1")])).rejects.toBeInstanceOf(FencedError);
    await soon;
  });
});
