import { describe, expect, it } from "vitest";
import type { CancelAnswer } from "../../../src/domain/thread/commands.ts";
import { type Duty, dutiesOf } from "../../../src/domain/thread/effects.ts";
import { entryOf, type ThreadControl } from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";
import { fateOf, isContended, marked } from "../../../src/domain/thread/marks.ts";
import { projectionOf } from "../../../src/domain/thread/project.ts";
import {
  commandOf,
  commands,
  decided,
  enter,
  fresh,
  type Given,
  handBack,
  interrupt,
  rollback,
  situations,
  start,
  state,
  stopped,
  success,
  takeOver,
  threadAfter,
} from "./lane-situations.ts";

type Situation = keyof typeof situations;

describe("cancels", () => {
  const answers = (
    control: ThreadControl,
    runs: readonly string[] | "live",
    wish: typeof interrupt | typeof rollback,
  ) =>
    decided(control, { kind: "requestCancel", runs, wish }).answer.cancels!.map(({ run, result }: CancelAnswer) => [
      run,
      result,
    ]);

  it("of many runs are one decision", () => {
    const control = threadAfter(start, success, { ...start, run: "b", next: "t1" }, { ...enter, run: "c" });
    expect(answers(control, ["a", "b", "c", "x"], interrupt)).toEqual([
      ["a", "refused"],
      ["b", "stopping"],
      ["c", "ended"],
      ["x", "unknown"],
    ]);
    expect(answers(control, "live", rollback)).toEqual([
      ["b", "stopping"],
      ["c", "ended"],
    ]);
  });

  it("of a run that waits say truthfully what it was", () => {
    const outcome = (...before: Given[]) =>
      entryOf(threadAfter(...before, { kind: "requestCancel", runs: ["a"], wish: interrupt }), "a")!.end!.outcome;
    expect(outcome(enter)).toBe("never_started");
    expect(outcome(start, handBack)).toBe("stopped");
    const lost: Given = { ...handBack, token: "t1", lost: true, server: "s1" };
    expect(outcome(start, { ...takeOver, reachable: false }, lost)).toBe("fenced");
  });

  it("keep when they were first asked for and told, and take the stronger one's words", () => {
    const told = decided(
      threadAfter(...situations.stopping),
      { kind: "delivered", run: "a", token: "t0", deliveredAt: 3 },
      3,
    ).control;
    const wish = { ...rollback, reason: "stronger", actor: "me" };
    const { control } = decided(told, { kind: "requestCancel", runs: ["a"], wish }, 9);
    expect(entryOf(control, "a")!.cancel).toEqual({ ...wish, at: 1, deliveredAt: 3 });
  });

  it("say with the end when they were told, unless that was stored before", () => {
    const toldAt = (...before: Given[]) =>
      entryOf(decided(threadAfter(...situations.stopping, ...before), { ...stopped, deliveredAt: 5 }, 9).control, "a")!
        .cancel!.deliveredAt;
    expect(toldAt()).toBe(5);
    expect(toldAt({ kind: "delivered", run: "a", token: "t0", deliveredAt: 3 })).toBe(3);
  });

  it.each<[string, readonly Given[], Given, string]>([
    ["stopped", [...situations.stopping], stopped, "stopped"],
    ["killed", [...situations.stopping], { ...stopped, killed: true }, "killed"],
    [
      "killed with its server",
      [...situations.stopping, takeOver],
      { ...handBack, token: "t1", server: "s1" },
      "killed",
    ],
    [
      "fenced",
      [...situations.stopping, { ...takeOver, reachable: false }],
      { ...handBack, token: "t1", server: "s1" },
      "fenced",
    ],
  ])("end as %s", (_, before, end, outcome) => {
    const entry = entryOf(threadAfter(...before, end), "a")!;
    expect([entry.end!.status, entry.end!.outcome, projectionOf(entry, "journal").cancellation!.outcome]).toEqual([
      "interrupted",
      outcome,
      outcome,
    ]);
  });

  it("keep the longest reason that a request may give, and bound a longer one", () => {
    const reasonOf = (reason: string) => {
      const control = threadAfter(start, { kind: "requestCancel", runs: ["a"], wish: { ...interrupt, reason } });
      return entryOf(control, "a")!.cancel!.reason;
    };
    expect(reasonOf("🦊".repeat(1000))).toBe("🦊".repeat(1000));
    const bounded = reasonOf("🦊".repeat(1001));
    expect(Buffer.byteLength(bounded)).toBeLessThanOrEqual(4000);
    expect(bounded).toMatch(/^🦊+… \(2002 characters in all\)$/u);
  });
});

describe("losses", () => {
  it("end the run at the third, and remember that it is to be alone", () => {
    let control = threadAfter(start);
    for (const token of ["t1", "t2"]) {
      const lost: Given = {
        ...handBack,
        token: entryOf(control, "a")!.lease!.token,
        lost: true,
        alone: true,
        next: token,
      };
      control = decided(control, lost).control;
    }
    expect(entryOf(control, "a")).toMatchObject({ phase: "running", attempt: 3, lost: 2, alone: true });
    const last: Given = { ...handBack, token: "t2", lost: true, error: { name: "E", message: "x".repeat(5000) } };
    const entry = entryOf(decided(control, last).control, "a")!;
    expect(entry.end).toMatchObject({ status: "error", error: { name: "AttemptsLostError" } });
    expect(Buffer.byteLength(JSON.stringify(entry.end!.error))).toBeLessThan(1024);
  });
});

describe("taking over", () => {
  it("collects the tokens of all executions before", () => {
    const { control } = decided(threadAfter(start, takeOver), {
      ...takeOver,
      server: "s2",
      dead: "s1",
      token: "t2",
    });
    expect(entryOf(control, "a")!.lease).toEqual({ token: "t2", server: "s2", tokensToFence: ["t0", "t1"] });
  });

  it("takes debts, marks and watchers", () => {
    const watched = { ...fresh, watchedBy: ["s0", "s1"], marks: [{ server: "s0", rev: "1", at: 0 }] };
    const owing = decided(decided(watched, start).control, success).control;
    const { control } = decided(owing, takeOver);
    expect(control).toMatchObject({ owes: { server: "s1", since: 1 }, watchedBy: ["s1"], marks: [] });
  });

  it.each<["copy" | "edit" | "delete" | "prune", object | undefined]>([
    ["copy", undefined],
    ["edit", { kind: "edit", id: "t1", server: "s1", tokensToFence: ["h0"] }],
    ["prune", { kind: "prune", id: "t1", server: "s1", tokensToFence: ["h0"] }],
    ["delete", { kind: "delete", id: "t1", server: "s1", target: "x", tokensToFence: ["h0"] }],
  ])("of a %s", (what, wanted) => {
    const target = what === "delete" ? "x" : undefined;
    const { control } = decided(threadAfter({ kind: "hold", id: "h0", what, target }), takeOver);
    if (wanted) expect(control.lane.holder).toMatchObject(wanted);
    else expect(control.lane.holder).toBeUndefined();
  });
});

describe("holds", () => {
  const hold: Given = { kind: "hold", id: "h0", what: "delete", target: "x" };

  it("change state and last outcome when they end, and let the next run begin", () => {
    const held = threadAfter(start, success, hold, { ...enter, run: "b" });
    expect(held).toMatchObject({ head: "held", headServer: "s0" });
    const { control, answer } = decided(held, { kind: "release", id: "h0", state: null, last: null, next: "t1" });
    expect(control.state).toBeUndefined();
    expect(control.last).toBeUndefined();
    expect(answer.claimed?.run).toBe("b");
  });

  it("leave a state that what the last run has left does not take the place of", () => {
    const unread: Given = { ...success, state: undefined };
    const held = threadAfter(start, unread, { ...hold, what: "edit" });
    expect(held.last?.unread).toBe(true);
    const edited = { ...state, n: 1, checkpointId: "of the edit" };
    const { control } = decided(held, { kind: "release", id: "h0", state: edited });
    expect(control.last?.unread).toBeUndefined();
    const { changes } = entryOf(control, "a")!;
    const told = { run: "a", changes, state: { ...state, checkpointId: "of the run" } };
    expect(decided(control, { kind: "projected", ...told }).control.state).toEqual(edited);
  });

  it("are known by their id", () => {
    expect(decided(threadAfter(hold), hold).answer.did).toBe("again");
    expect(decided(threadAfter(hold), { kind: "release", id: "h1" }).answer.did).toBe("missed");
    expect(reduce(threadAfter(hold), commandOf({ ...hold, id: "h1" }), 2)).toMatchObject({
      refusal: { reason: "THREAD_BUSY" },
    });
  });
});

describe("what is owed", () => {
  it.each<[Situation, readonly Duty[]]>([
    ["running", []],
    ["success", ["storeProjection"]],
    ["cancelled", ["cancelChildren", "storeProjection"]],
    ["rolling", ["cancelChildren", "removeData", "finishRollback"]],
    ["undone", ["cancelChildren", "storeTombstone"]],
  ])("of a run that is %s", (situation, duties) => {
    const control = threadAfter(...situations[situation]);
    expect(dutiesOf(control, entryOf(control, "a")!)).toEqual(duties);
  });

  it("is paid when the record says the same, and not before", () => {
    const control = threadAfter(start, success);
    const { changes } = entryOf(control, "a")!;
    const projected: Given = { kind: "projected", run: "a", changes };
    expect(decided(control, { ...projected, changes: changes - 1 }).answer.did).toBe("missed");
    const paid = decided(control, projected).control;
    expect([paid.lane.entries, paid.owes, paid.status, paid.state?.n]).toEqual([[], undefined, "idle", 1]);
    expect(decided(paid, projected).answer.did).toBe("again");
  });

  it("is the state as well, where nobody has read it", () => {
    const control = threadAfter(start, handBack, { kind: "requestCancel", runs: ["a"], wish: interrupt });
    const entry = entryOf(control, "a")!;
    expect(control.status).toBe("interrupted");
    expect(dutiesOf(control, entry)).toEqual(["cancelChildren", "readState", "storeProjection"]);
    const projected: Given = { kind: "projected", run: "a", changes: entry.changes };
    expect(decided(control, projected).answer.did).toBe("missed");
    const read = decided(control, { ...projected, state }).control;
    expect([read.state?.n, read.status, read.last]).toEqual([1, "idle", { n: 1, status: "interrupted" }]);
  });

  it("is never the state of a run that was rolled back", () => {
    const control = threadAfter(...situations.undone);
    const { changes } = entryOf(control, "a")!;
    expect(decided(control, { kind: "projected", run: "a", changes, state }).control.state).toBeUndefined();
  });
});

describe("forgetting", () => {
  it("makes a new control although nothing changes, so that what was decided on the old one misses", () => {
    const { control } = decided(fresh, { kind: "forget", run: "x", lacks: "entry" });
    expect(control).toEqual(fresh);
    expect(control).not.toBe(fresh);
  });

  it("spares what is confirmed", () => {
    const control = threadAfter(enter, { kind: "confirm", run: "a" });
    expect(decided(control, commands.noRecord).answer.did).toBe("missed");
  });
});

describe("changes of the thread", () => {
  it("keep each other's fields", () => {
    const put = (fields: object, remove: string[] = []): Given => ({
      kind: "change",
      metadata: { put: { ...fields }, remove },
    });
    expect(threadAfter(put({ a: 1, b: 1 }), put({ b: 2 }, ["a"])).metadata).toEqual({ b: 2 });
    const large = put({ text: "x".repeat(100_000) });
    expect(reduce(threadAfter(put({ a: 1 })), commandOf(large), 2)).toMatchObject({
      refusal: { reason: "INPUT_TOO_LARGE" },
    });
  });

  it.each<[string, readonly Given[], Given, boolean]>([
    ["idle", [], { kind: "change", remove: { when: "idle" } }, true],
    ["expired too early", [{ kind: "change", ttlMs: 5000 }], { kind: "change", remove: { when: "expired" } }, false],
    ["expired", [{ kind: "change", ttlMs: 1 }], { kind: "change", remove: { when: "expired" } }, true],
    [
      "expired while a run is live",
      [{ kind: "change", ttlMs: 1 }, enter],
      { kind: "change", remove: { when: "expired" } },
      false,
    ],
    ["unwatched but plain", [], { kind: "change", remove: { when: "unwatched" } }, false],
  ])("the removal of a thread that is %s", (_, before, remove, isRemoved) => {
    const { control } = decided(threadAfter(...before), remove, 3);
    expect(control.removing).toBe(isRemoved ? true : undefined);
  });

  it("a temporary thread goes when its end is told and nobody watches, and takes no other run", () => {
    const temporary = { ...fresh, watchedBy: ["s0"] };
    const over = decided(decided(temporary, start).control, success).control;
    const remove: Given = { kind: "change", remove: { when: "unwatched" } };
    const left = decided(over, { kind: "change", watch: "detach" }).control;
    expect(decided(over, remove).answer.did).toBe("missed");
    expect(decided(left, remove).answer.did).toBe("missed");
    const told = decided(left, { kind: "projected", run: "a", changes: entryOf(left, "a")!.changes }).control;
    expect(decided(told, remove).control.removing).toBe(true);
    expect(reduce(over, commandOf({ ...enter, run: "b" }), 2)).toMatchObject({ refusal: { reason: "INVALID_FIELD" } });
  });

  it("nothing comes to a thread that goes", () => {
    const going = threadAfter({ kind: "change", remove: { when: "idle" } });
    for (const one of [enter, { kind: "hold", id: "h", what: "copy" }, { kind: "change", ttlMs: 5 }] as const) {
      expect(reduce(going, commandOf(one), 2)).toMatchObject({ refusal: { reason: "THREAD_NOT_FOUND" } });
    }
  });

  it("what is live is stopped by the removal, and stays until it has ended", () => {
    const { control, effects } = decided(threadAfter(start), commands.remove);
    expect(effects.map(({ kind }) => kind)).toEqual(["stop", "cancelChildren", "project"]);
    const after = decided(control, stopped).control;
    expect(after.removing).toBe(true);
    expect(after.lane.entries.map(({ phase }) => phase)).toEqual(["over"]);
  });
});

describe("marks", () => {
  const written = marked(fresh, { server: "s0", rev: "1", at: 5 });

  it("tell whether a decision has landed", () => {
    expect(fateOf(written, "s0", "0", "1")).toBe("landed");
    expect(fateOf(fresh, "s0", "0", "1")).toBe("open");
    const later = marked(written, { server: "s1", rev: "2", at: 6 });
    expect(fateOf(later, "s0", "0", "1")).toBe("landed");
    expect(fateOf(later, "s0", "1", "3")).toBe("missed");
  });

  it("of another server within a second mean contention", () => {
    expect(isContended(written, "s1", 900)).toBe(true);
    expect(isContended(written, "s0", 900)).toBe(false);
    expect(isContended(written, "s1", 1005)).toBe(false);
  });
});
