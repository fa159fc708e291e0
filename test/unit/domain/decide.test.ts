import { describe, expect, it, vi } from "vitest";
import type { Lanes } from "../../../src/domain/ports.ts";
import type { Command } from "../../../src/domain/thread/commands.ts";
import { createDecide, type DecideOptions, type Decision, LifeIsOver } from "../../../src/domain/thread/decide.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";
import { interrupt } from "./lane-situations.ts";

const name = { owner: "", threadId: "thread" };
const born = {
  origin: { ...name, journal: "journal", createdAt: 1 },
  kept: { metadata: { a: 1 } },
};
const enter = (run: string, server = "s0"): Command => ({ kind: "enter", server, run, strategy: "enqueue" });
const away = new Error("away");
const never = new AbortController().signal;

/** A store whose calls can be made to go wrong, with servers that decide in it. */
function setup() {
  const memory = createMemoryLanes();
  const lanes = { read: vi.fn(memory.read), insert: vi.fn(memory.insert), write: vi.fn(memory.write) };
  let time = 100;
  let revs = 0;
  const sleep = vi.fn<DecideOptions["sleep"]>(async () => undefined);
  const pause = vi.fn<DecideOptions["pause"]>(async () => undefined);
  const server = (id: string, ended = never) =>
    createDecide({
      lanes,
      self: () => ({ id, ended }),
      now: () => time,
      newRev: () => `rev-${revs++}`,
      random: () => 0.5,
      sleep,
      isTransient: (error) => error === away,
      pause,
    });
  return {
    memory,
    lanes,
    sleep,
    pause,
    server,
    runs: async () => (await memory.read(name))?.control.lane.entries.map(({ run }) => run),
    pass: (ms: number) => {
      time += ms;
    },
  };
}

const did = (decision: Decision | undefined) =>
  decision && ("refusal" in decision ? decision.refusal.reason : decision.answer.did);

/** What goes wrong with the next write. */
const mishaps: Record<string, (memory: Lanes) => Lanes["write"]> = {
  "its answer is lost":
    (memory) =>
    async (...given) => {
      await memory.write(...given);
      throw away;
    },
  "it never arrives": () => async () => {
    throw away;
  },
  "it misses although it has landed":
    (memory) =>
    async (...given) => {
      await memory.write(...given);
      return false;
    },
  "it fails for good, and has landed":
    (memory) =>
    async (...given) => {
      await memory.write(...given);
      throw new Error("for good");
    },
  "another server decides first": (memory) => async (_, from, control) => {
    await memory.write(born.origin, from, {
      ...control,
      rev: "other",
      marks: [],
      head: null,
      lane: { n: 1, entries: [] },
    });
    return false;
  },
  "its answer is lost, and another server has decided since": (memory) => async (_, from, control) => {
    await memory.write(born.origin, from, control);
    await memory.write(born.origin, control.rev, { ...control, rev: "other" });
    throw away;
  },
};

/** Resolves with the next write, whose sender does not learn whether it arrives. */
function nextWriteIsLate(lanes: ReturnType<typeof setup>["lanes"]): Promise<Parameters<Lanes["write"]>> {
  const { promise, resolve } = Promise.withResolvers<Parameters<Lanes["write"]>>();
  lanes.write.mockImplementationOnce(async (...given) => {
    resolve(given);
    throw away;
  });
  return promise;
}

describe("a decision", () => {
  it("is one write, which the next one builds on", async () => {
    const { lanes, server, runs, sleep } = setup();
    const decide = server("s0");
    const first = await decide(name, enter("a"), { born });
    expect(first).toMatchObject({ answer: { did: "done" }, origin: born.origin, control: { metadata: { a: 1 } } });
    expect(await decide(name, enter("b"))).toMatchObject({ answer: { did: "done" }, origin: born.origin });
    expect(await runs()).toEqual(["a", "b"]);
    expect([lanes.insert, lanes.write, lanes.read].map(({ mock }) => mock.calls.length)).toEqual([1, 1, 2]);
    // Its own mark is no reason to wait.
    expect(sleep).not.toHaveBeenCalled();
  });

  it("keeps the marks of servers that have decided lately, and not those of all that ever have", async () => {
    const { memory, server, pass } = setup();
    await server("s0")(name, enter("a"), { born });
    for (const one of ["s1", "s2", "s3"]) {
      pass(30 * 60 * 1000);
      await server(one)(name, enter(one, one));
    }
    const marks = (await memory.read(name))!.control.marks;
    expect(marks.map((mark) => mark.server)).toEqual(["s2", "s3"]);
  });

  it("about a thread that is not there answers so, unless one is to be born", async () => {
    const { lanes, server } = setup();
    expect(await server("s0")(name, enter("a"))).toBeUndefined();
    const refused = await server("s0")(name, { kind: "claim", server: "s0", run: "a", token: "t" }, { born });
    expect(did(refused)).toBe("missed");
    expect(lanes.write).not.toHaveBeenCalled();
  });

  it("writes nothing when it is refused or changes nothing", async () => {
    const { lanes, server } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    expect(did(await decide(name, { ...enter("b"), strategy: "reject" } as Command))).toBe("THREAD_BUSY");
    expect(did(await decide(name, enter("a")))).toBe("again");
    expect(lanes.write).not.toHaveBeenCalled();
    expect(lanes.insert).toHaveBeenCalledTimes(1);
  });

  it.each(Object.entries(mishaps))("is carried out once when %s", async (_, mishap) => {
    const { memory, lanes, server, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    lanes.write.mockImplementationOnce(mishap(memory));
    expect(did(await decide(name, enter("b")))).toBe("done");
    expect((await runs())!.filter((run) => run === "b")).toEqual(["b"]);
  });

  it("is the same when a copy of its write comes late", async () => {
    const { memory, lanes, server, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    const late = nextWriteIsLate(lanes);
    const entered = await decide(name, enter("b"));
    expect(await memory.write(...(await late))).toBe(false);
    expect(await memory.read(name)).toMatchObject({
      control: { rev: (entered as { control: { rev: string } }).control.rev },
    });
    expect(await runs()).toEqual(["a", "b"]);
  });

  it("of a thread that is born waits until the birth is sure, and knows a twin's", async () => {
    const { memory, lanes, server, runs } = setup();
    lanes.insert.mockImplementationOnce(async (thread) => {
      await memory.insert(thread);
      throw away;
    });
    expect(did(await server("s0")(name, enter("a"), { born }))).toBe("done");
    const twin = { ...born, origin: { ...born.origin, journal: "twin" } };
    lanes.read.mockImplementationOnce(async () => undefined);
    const second = await server("s1")(name, enter("b", "s1"), { born: twin });
    expect(second).toMatchObject({ answer: { did: "done" }, origin: { journal: "journal" } });
    expect(lanes.insert).toHaveBeenCalledTimes(2);
    expect(await runs()).toEqual(["a", "b"]);
  });

  it("rejects when the database is away, and sends again what was lost on the way to it", async () => {
    const { lanes, server, pause, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    lanes.read.mockRejectedValueOnce(away);
    await expect(decide(name, enter("b"))).rejects.toBe(away);
    lanes.write.mockRejectedValueOnce(away);
    expect(did(await decide(name, enter("b")))).toBe("done");
    expect(pause).toHaveBeenCalledTimes(1);
    // What a life has begun is given up when that ends.
    const life = new AbortController();
    pause.mockImplementation(async () => life.abort());
    lanes.write.mockRejectedValue(away);
    await expect(server("s0", life.signal)(name, enter("c"))).rejects.toThrow(LifeIsOver);
    expect(await runs()).toEqual(["a", "b"]);
  });

  it("that was given up may land yet, once, also amid the next one", async () => {
    const { memory, lanes, server, pause, runs } = setup();
    const decide = server("s1");
    await server("s0")(name, enter("a"), { born });
    const late = nextWriteIsLate(lanes);
    const life = new AbortController();
    pause.mockImplementationOnce(async () => life.abort());
    await expect(server("s0", life.signal)(name, enter("b"))).rejects.toThrow(LifeIsOver);
    expect(await runs()).toEqual(["a"]);
    lanes.write.mockImplementationOnce(async (...given) => {
      await memory.write(...(await late));
      return memory.write(...given);
    });
    expect(did(await decide(name, enter("c", "s1")))).toBe("done");
    expect(await runs()).toEqual(["a", "b", "c"]);
  });

  it("rejects with what does not pass", async () => {
    const { lanes, server, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    const tooLarge = new Error("too large");
    lanes.write.mockRejectedValueOnce(tooLarge);
    await expect(decide(name, enter("b"))).rejects.toBe(tooLarge);
    lanes.read.mockRejectedValueOnce(tooLarge);
    await expect(decide(name, enter("b"))).rejects.toBe(tooLarge);
    expect(await runs()).toEqual(["a"]);
    expect(did(await decide(name, enter("b")))).toBe("done");
  });

  it("waits a moment and reads afresh where another server has just decided, unless it is urgent or has missed", async () => {
    const { memory, lanes, server, sleep, pass } = setup();
    await server("s0")(name, enter("a"), { born });
    lanes.read.mockClear();
    await server("s1")(name, enter("b", "s1"));
    expect(sleep.mock.calls.map(([ms]) => ms)).toEqual([16]);
    expect(lanes.read).toHaveBeenCalledTimes(2);
    await server("s0")(name, { kind: "requestCancel", server: "s0", runs: ["a"], wish: interrupt });
    await server("s1")(name, { ...enter("c", "s1"), strategy: "interrupt" } as Command);
    expect(sleep).toHaveBeenCalledTimes(1);
    pass(1000);
    lanes.write.mockImplementationOnce(async (_, from, control) => {
      await memory.write(born.origin, from, {
        ...control,
        rev: "other",
        marks: [{ server: "s0", rev: "other", at: 1100 }],
      });
      return false;
    });
    await server("s1")(name, enter("d", "s1"));
    expect(sleep).toHaveBeenCalledTimes(1);
  });

  it("waits for the one before it on the same thread, and not for others", async () => {
    const { lanes, memory, server, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    const gate = Promise.withResolvers<void>();
    lanes.write.mockImplementationOnce(async (...given) => {
      await gate.promise;
      return memory.write(...given);
    });
    const first = decide(name, enter("b"));
    const second = decide(name, enter("c"));
    const other = { owner: "", threadId: "other" };
    await decide(other, enter("e"), { born: { ...born, origin: { ...born.origin, ...other } } });
    expect(lanes.write).toHaveBeenCalledTimes(1);
    gate.resolve();
    expect([did(await first), did(await second)]).toEqual(["done", "done"]);
    expect(await runs()).toEqual(["a", "b", "c"]);
  });

  /** A thread with a run, and a decision about it whose write waits until the gate is opened, so that others gather behind it. */
  async function underWay() {
    const { lanes, memory, server, runs } = setup();
    const decide = server("s0");
    await decide(name, enter("a"), { born });
    const { promise, resolve: open } = Promise.withResolvers<void>();
    lanes.write.mockImplementationOnce(async (...given) => {
      await promise;
      return memory.write(...given);
    });
    return { lanes, server, runs, decide, first: decide(name, enter("b")), open };
  }

  it("is one for all who have waited for the one before, and each gets an answer of its own", async () => {
    const { lanes, runs, decide, first, open } = await underWay();
    const others = Array.from({ length: 50 }, (_, n) => decide(name, enter(`c${n}`)));
    const refused = decide(name, { ...enter("d"), strategy: "reject" } as Command);
    const again = decide(name, enter("c3"));
    const claimed = decide(name, { kind: "claim", server: "s0", run: "a", token: "t" });
    const cancelled = decide(name, { kind: "requestCancel", server: "s0", runs: ["a"], wish: interrupt });
    open();
    expect((await Promise.all([first, ...others])).map(did)).toEqual(Array(51).fill("done"));
    expect([did(await refused), did(await again), did(await cancelled)]).toEqual(["THREAD_BUSY", "again", "done"]);
    // Who has claimed it learns at once that it is to be stopped.
    expect(await claimed).toMatchObject({ answer: { entry: { phase: "stopping", cancel: { action: "interrupt" } } } });
    expect(await runs()).toHaveLength(52);
    expect(lanes.write).toHaveBeenCalledTimes(2);
  });

  it("is made anew for all of them after a miss, and only for those who still want it", async () => {
    const { lanes, server, runs, decide, first, open } = await underWay();
    const gaveUp = new Error("not wanted any more");
    const unwanted = decide(name, enter("c"), { ifStillWanted: () => Promise.reject(gaveUp) });
    const wanted = decide(name, enter("d"));
    lanes.write.mockImplementationOnce(async () => {
      await server("s1")(name, enter("e", "s1"));
      return false;
    });
    open();
    expect([did(await first), did(await wanted)]).toEqual(["done", "done"]);
    await expect(unwanted).rejects.toBe(gaveUp);
    expect(await runs()).toEqual(["a", "b", "e", "d"]);
  });

  it("is made of each by itself when the database does not take that of all", async () => {
    const { lanes, runs, decide, first, open } = await underWay();
    const others = ["c", "d"].map((run) => decide(name, enter(run)));
    const tooLarge = new Error("too large");
    lanes.write.mockRejectedValueOnce(tooLarge).mockRejectedValueOnce(tooLarge);
    open();
    await first;
    expect(await Promise.allSettled(others)).toMatchObject([
      { reason: tooLarge },
      { value: { answer: { did: "done" } } },
    ]);
    expect(await runs()).toEqual(["a", "b", "d"]);
  });

  it("is refused of a command of another server, and of a life that is over", async () => {
    const { server, runs } = setup();
    await expect(server("s0")(name, enter("a", "s1"), { born })).rejects.toThrow(LifeIsOver);
    await expect(server("s0", AbortSignal.abort())(name, enter("a"), { born })).rejects.toThrow(LifeIsOver);
    expect(await runs()).toBeUndefined();
  });
});
