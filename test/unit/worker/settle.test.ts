import { describe, expect, it, vi } from "vitest";
import { DomainError } from "../../../src/domain/errors.ts";
import type { Slot } from "../../../src/domain/run/store-run.ts";
import type { Acted, Wish } from "../../../src/domain/thread/act.ts";
import type { Answer } from "../../../src/domain/thread/commands.ts";
import { type Entry, newControl } from "../../../src/domain/thread/entry.ts";
import { type AttemptLeft, type AttemptResult, createSettle, type SettleParts } from "../../../src/worker/settle.ts";

const run = {
  owner: "",
  threadId: "thread",
  runId: "run",
  graph: "graph",
  assistant: { assistantId: "assistant" },
  spec: { timeoutMs: 50 },
};
const error = { name: "Error", message: "no" };
const long = { name: "Error", message: "no".repeat(1_000) };
const away = new Error("the database is away");
const refused = new RangeError("the document is too large");
const left: AttemptLeft = { lastSequence: 3, endCheckpointId: "c" };
const state = { next: ["ask"], interrupts: [], values: "{}", checkpointId: "c" };

const entry = (runId: string): Entry => ({ run: runId, n: 1, changes: 1, phase: "running" });

function decided(answer: Answer): Acted {
  const origin = { owner: "", threadId: run.threadId, journal: "journal", createdAt: 1 };
  return { origin, control: newControl({ threadId: run.threadId, rev: "rev", metadata: {} }, 1), effects: [], answer };
}

/** A settle whose decisions are answered by `decide`, and what it does, in order. */
function settling(decide: (wish: Wish) => Acted | undefined = () => decided({ did: "done" })) {
  const done: string[] = [];
  const wishes: Wish[] = [];
  const say = (what: string) => () => void done.push(what);
  const slot: Slot = { token: "next", start: vi.fn(say("start")), release: vi.fn(say("release")) };
  const asked: SettleParts["act"]["decide"] = async (_, wish) => {
    done.push("decide");
    wishes.push(wish);
    return decide(wish);
  };
  const follow = vi.fn<SettleParts["act"]["follow"]>(async () => void done.push("follow"));
  const keepError = vi.fn<SettleParts["runs"]["keepError"]>(async () => void done.push("keepError"));
  const reserve = vi.fn((): Slot | undefined => slot);
  const parts: SettleParts = {
    runs: { keepError },
    act: { decide: asked, follow },
    reserve,
    dropped: say("dropped"),
    isTransient: (one) => one === away,
  };
  const settle = createSettle(parts);
  return {
    done,
    wishes,
    slot,
    reserve,
    follow,
    keepError,
    settle: (result: AttemptResult, what: AttemptLeft = left) => settle(run, "token", result, what),
  };
}

describe("an outcome", () => {
  const common = { run: "run", token: "token", sequence: 3, checkpoint: "c" };
  const ended = { kind: "settle", ...common };
  const back = { kind: "handBack", ...common };
  const timeout = { name: "TimeoutError", message: "the run's time of 50 ms was over" };

  it.each<[string, AttemptResult, object]>([
    ["a success", { kind: "success" }, { ...ended, result: "success" }],
    ["an error", { kind: "error", error }, { ...ended, result: "error", error }],
    ["a refusal at the start", { kind: "refused", error }, { ...ended, result: "error", error, neverStarted: true }],
    ["a stop", { kind: "stopped", by: "cancel", killed: false }, { ...ended, result: "stopped", killed: false }],
    ["a kill", { kind: "stopped", by: "cancel", killed: true }, { ...ended, result: "stopped", killed: true }],
    [
      "the end of its time",
      { kind: "stopped", by: "timeout", killed: true },
      { ...ended, result: "timeout", error: timeout, killed: true },
    ],
    ["a displacement", { kind: "displaced", killed: true }, { ...back, killed: true }],
    ["a loss", { kind: "lost", runAlone: false, error }, { ...back, killed: true, lost: true, alone: false, error }],
    [
      "a loss that it may have caused",
      { kind: "lost", runAlone: true },
      { ...back, killed: true, lost: true, alone: true },
    ],
  ])("is one decision: %s", async (_, result, wish) => {
    const { settle, wishes, done } = settling();
    await settle(result);
    expect(wishes).toEqual([{ ...wish, next: "next" }]);
    expect(done).toEqual(["decide", "release", "follow"]);
  });

  it("brings the state that was left, with whose it is, and tells it to whoever is told of the end", async () => {
    const { settle, wishes, follow } = settling();
    await settle({ kind: "success" }, { ...left, state });
    expect(wishes).toMatchObject([{ state: { ...state, graph: "graph", assistantId: "assistant" } }]);
    expect(wishes[0]).not.toHaveProperty("state.n");
    expect(follow.mock.lastCall![1]).toEqual({ run: "run", state });
  });

  it("with an error that is too long for an entry has it kept in the record first", async () => {
    const { settle, keepError, done } = settling();
    await settle({ kind: "error", error: long });
    expect(keepError.mock.calls).toEqual([[run, "token", long]]);
    expect(done.slice(0, 2)).toEqual(["keepError", "decide"]);
  });

  it.each<[string, () => Acted | undefined]>([
    ["the run is another's by now", () => decided({ did: "missed" })],
    ["its thread is gone", () => undefined],
  ])("that comes too late, since %s, is dropped", async (_, decide) => {
    const { settle, done } = settling(decide);
    await settle({ kind: "success" });
    expect(done).toEqual(["decide", "release", "dropped"]);
  });

  it("that was stored before is followed once more", async () => {
    const { settle, done } = settling(() => decided({ did: "again" }));
    await settle({ kind: "success" });
    expect(done).toEqual(["decide", "release", "follow"]);
  });
});

describe("the run that is next", () => {
  const claimed = entry("another");

  it("is claimed with the slot, and begins before anybody is told of the end", async () => {
    const { settle, slot, done } = settling(() => decided({ did: "done", claimed }));
    await settle({ kind: "success" });
    expect(slot.start).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ entry: claimed }));
    expect(done).toEqual(["decide", "start", "follow"]);
  });

  it("is not claimed where there is no slot", async () => {
    const { settle, reserve, wishes, done } = settling();
    reserve.mockReturnValue(undefined);
    await settle({ kind: "success" });
    expect(wishes).toMatchObject([{ next: undefined }]);
    expect(done).toEqual(["decide", "follow"]);
  });

  it("leaves no slot taken by a decision that fails", async () => {
    const { settle, done } = settling(() => {
      throw away;
    });
    await expect(settle({ kind: "success" })).rejects.toBe(away);
    expect(done).toEqual(["decide", "release"]);
  });
});

describe("an outcome that the database refuses", () => {
  it("ends the run with an error that says so", async () => {
    const { settle, wishes, done } = settling((wish) => {
      if (wish.kind === "settle" && wish.result === "success") throw refused;
      return decided({ did: "done" });
    });
    await settle({ kind: "success" }, { ...left, state });
    const said = { name: "OutcomeNotStoredError", message: expect.stringContaining(refused.message) };
    expect(wishes.map((wish) => wish.kind === "settle" && wish.result)).toEqual(["success", "success", "error"]);
    expect(wishes.at(-1)).toMatchObject({
      token: "token",
      error: said,
      sequence: 3,
      checkpoint: "c",
      state: undefined,
    });
    expect(done.filter((what) => what === "follow")).toEqual(["follow"]);
  });

  it("is not tried without end when that error is refused as well", async () => {
    const { settle, wishes } = settling(() => {
      throw refused;
    });
    await expect(settle({ kind: "success" })).rejects.toBe(refused);
    expect(wishes).toHaveLength(3);
  });

  it("stays what it is when it was something else that was refused", async () => {
    let tries = 0;
    const { settle, wishes } = settling(() => {
      tries += 1;
      if (tries === 1) throw refused;
      return decided({ did: "done" });
    });
    await settle({ kind: "success" });
    expect(wishes).toMatchObject([{ result: "success" }, { result: "success" }]);
  });

  it.each([
    ["the database is away", away],
    ["the domain refuses it", new DomainError("THREAD_NOT_FOUND", "gone")],
  ])("is another thing than one for which %s", async (_, failure) => {
    const { settle, wishes } = settling(() => {
      throw failure;
    });
    await expect(settle({ kind: "success" })).rejects.toBe(failure);
    expect(wishes).toHaveLength(1);
  });
});
