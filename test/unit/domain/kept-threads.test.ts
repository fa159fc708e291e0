import { describe, expect, it, vi } from "vitest";
import type { StoredThread } from "../../../src/domain/ports.ts";
import type { Command } from "../../../src/domain/thread/commands.ts";
import { createDecide } from "../../../src/domain/thread/decide.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";
import { createKeptThreads } from "../../../src/domain/thread/kept-threads.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";

const nameOf = (n: number) => ({ owner: "", threadId: `thread-${n}` });
const name = nameOf(0);
const born = { origin: { ...name, journal: "journal", createdAt: 1 }, kept: { metadata: {} } };
const enter = (run: string, server: string): Command => ({ kind: "enter", server, run, strategy: "enqueue" });

function setup() {
  const memory = createMemoryLanes();
  const lanes = { read: vi.fn(memory.read), insert: vi.fn(memory.insert), write: vi.fn(memory.write) };
  const server = (id: string) => {
    const kept = createKeptThreads();
    let revs = 0;
    const decide = createDecide({
      lanes,
      kept,
      self: () => ({ id, ended: new AbortController().signal }),
      now: () => 100,
      newRev: () => `${id}-${revs++}`,
      random: () => 0,
      sleep: async () => undefined,
      isTransient: () => true,
      pause: async () => undefined,
    });
    return { decide: (run: string) => decide(name, enter(run, id), { born }), kept };
  };
  return { lanes, server, runs: async () => (await memory.read(name))!.control.lane.entries.map(({ run }) => run) };
}

describe("a thread that was kept", () => {
  it("spares the next decision a look", async () => {
    const { lanes, server, runs } = setup();
    const { decide } = server("s0");
    for (const run of ["a", "b", "c"]) expect(await decide(run)).toMatchObject({ answer: { did: "done" } });
    expect(await runs()).toEqual(["a", "b", "c"]);
    expect(lanes.read).toHaveBeenCalledTimes(1);
  });

  it("is looked at again when another server has decided since, and for what is not written", async () => {
    const { lanes, server, runs } = setup();
    const [here, there] = [server("s0"), server("s1")];
    await here.decide("a");
    await there.decide("b");
    expect(await here.decide("c")).toMatchObject({ answer: { did: "done" } });
    expect(await runs()).toEqual(["a", "b", "c"]);
    const looks = lanes.read.mock.calls.length;
    expect(await here.decide("c")).toMatchObject({ answer: { did: "again" } });
    expect(lanes.read).toHaveBeenCalledTimes(looks + 1);
  });

  it("is not kept when the fate of a write is not known", async () => {
    const { lanes, server, runs } = setup();
    const { decide, kept } = server("s0");
    await decide("a");
    const { promise: answer, reject: lose } = Promise.withResolvers<boolean>();
    lanes.write.mockReturnValueOnce(answer);
    const written = decide("b");
    await vi.waitFor(() => expect(lanes.write).toHaveBeenCalled());
    expect(kept.get(name)).toBeUndefined();
    lose(new Error("away"));
    await written;
    expect(await runs()).toEqual(["a", "b"]);
    expect(kept.get(name)!.control.lane.entries).toHaveLength(2);
  });
});

describe("what is kept", () => {
  const thread = (n: number, change: Partial<StoredThread["control"]> = {}): StoredThread => ({
    origin: { ...nameOf(n), journal: "journal", createdAt: 1 },
    control: { ...newControl({ threadId: `thread-${n}`, rev: "rev", metadata: {} }, 1), ...change },
  });

  it("is bounded: the threads that were written last, unless they go", () => {
    const kept = createKeptThreads();
    for (let n = 0; n < 300; n++) kept.put(nameOf(n), thread(n));
    const there = Array.from({ length: 300 }, (_, n) => n).filter((n) => kept.get(nameOf(n)));
    expect(there).toEqual(Array.from({ length: 256 }, (_, n) => n + 44));
    for (const change of [{ watchedBy: ["s0"] }, { removing: true as const }]) {
      kept.put(nameOf(299), thread(299, change));
      expect(kept.get(nameOf(299))).toBeUndefined();
    }
  });

  it("is nothing while other servers live", () => {
    const kept = createKeptThreads();
    kept.put(name, thread(0));
    kept.othersSeen(["another"]);
    expect(kept.get(name)).toBeUndefined();
    kept.put(name, thread(0));
    expect(kept.get(name)).toBeUndefined();
    kept.othersSeen([]);
    kept.put(name, thread(0));
    expect(kept.get(name)).toBeDefined();
  });
});
