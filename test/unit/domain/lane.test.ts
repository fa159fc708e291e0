import { describe, expect, it } from "vitest";
import { entryOf, type ThreadControl } from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";
import {
  commandOf,
  commands,
  decided,
  enter,
  fresh,
  type Given,
  rollback,
  situations,
  start,
  state,
  stopped,
  success,
  threadAfter,
} from "./lane-situations.ts";

type Situation = keyof typeof situations;
type Name = keyof typeof commands;

/**
 * What each command makes of a run in each situation: the phase that it is in then, "gone" when its lane does not know it; or
 * "again", "missed" or "refused", which change nothing.
 */
const outcomes: Record<Name, string> = {
  // biome-ignore-start format: a table
  //          none       waiting    delayed    back       running    taken      stopping   undoing    rolling    success    cancelled  undone
  enter:
    "waiting    again      again      again      again      again      again      again      again      again      again      again",
  claim:
    "missed     running    missed     running    missed     missed     missed     missed     missed     missed     missed     missed",
  interrupt:
    "missed     over       over       over       stopping   stopping   again      again      again      missed     again      missed",
  rollback:
    "missed     over       over       rolling    stopping   stopping   stopping   again      again      missed     missed     again",
  success:
    "missed     missed     missed     missed     over       missed     over       rolling    again      again      again      again",
  stopped:
    "missed     missed     missed     missed     waiting    missed     over       rolling    again      again      again      again",
  late: "missed     missed     missed     missed     missed     missed     missed     missed     missed     missed     missed     missed",
  handBack:
    "missed     missed     missed     missed     waiting    missed     over       rolling    again      again      again      again",
  lost: "missed     missed     missed     missed     waiting    missed     over       rolling    again      again      again      again",
  delivered:
    "missed     missed     missed     missed     missed     missed     stopping   stopping   missed     missed     missed     missed",
  takeOver:
    "missed     missed     missed     missed     running    again      stopping   stopping   rolling    over       over       over",
  due: "gone       waiting    waiting    waiting    running    running    stopping   stopping   rolling    over       over       over",
  hold: "gone       refused    refused    refused    refused    refused    refused    refused    refused    over       over       over",
  finish:
    "missed     missed     missed     missed     missed     missed     missed     missed     over       missed     missed     again",
  confirm:
    "missed     waiting    waiting    waiting    running    running    stopping   stopping   rolling    over       over       over",
  noEntry:
    "gone       missed     missed     missed     missed     missed     missed     missed     missed     missed     missed     missed",
  noRecord:
    "gone       gone       gone       missed     missed     missed     missed     missed     missed     missed     missed     missed",
  remove:
    "gone       over       over       over       stopping   stopping   stopping   stopping   rolling    over       over       over",
  // biome-ignore-end format: a table
};

const names = Object.keys(situations) as Situation[];
const cases = (Object.entries(outcomes) as [Name, string][]).flatMap(([command, row]) =>
  row.split(/\s+/).map((wanted, i): [Name, Situation, string] => [command, names[i]!, wanted]),
);

const unchanged = ["again", "missed", "refused"];

describe("each command in each situation", () => {
  it.each(cases)("%s of a run that is %s: %s", (name, situation, wanted) => {
    const before = threadAfter(...situations[situation]);
    const reduction = reduce(before, commandOf(commands[name]), 2);
    if ("refusal" in reduction) {
      expect("refused").toBe(wanted);
      return;
    }
    const { control, answer, effects } = reduction;
    const phase = entryOf(control, "a")?.phase.replace("rolling_back", "rolling") ?? "gone";
    expect(answer.did === "done" ? phase : answer.did).toBe(wanted);
    if (unchanged.includes(wanted)) {
      expect(control).toBe(before);
      expect(effects).toEqual([]);
    }
    // It is stored as JSON.
    expect(JSON.parse(JSON.stringify(control))).toEqual(control);
  });

  it("is the whole table", () => {
    expect(cases).toHaveLength(Object.keys(commands).length * names.length);
  });
});

/** What is seen of a thread. */
const seen = ({ head, headServer, owes, due, status }: ThreadControl) => ({
  head,
  headServer,
  owes: owes?.server,
  due,
  status,
});

describe("what is computed", () => {
  it.each<[Situation, Partial<ReturnType<typeof seen>>]>([
    ["none", { head: null, status: "idle" }],
    ["waiting", { head: "ready", status: "busy" }],
    ["delayed", { head: null, status: "busy", due: 10 }],
    ["back", { head: "ready", status: "busy" }],
    ["running", { head: "leased", headServer: "s0", status: "busy" }],
    ["taken", { head: "leased", headServer: "s1", status: "busy" }],
    ["stopping", { head: "leased", headServer: "s0", status: "busy" }],
    ["rolling", { head: null, owes: "s0", status: "busy" }],
    ["success", { head: null, owes: "s0", status: "idle" }],
    ["cancelled", { head: null, owes: "s0", status: "idle" }],
    ["undone", { head: null, owes: "s0", status: "idle" }],
  ])("of a thread whose run is %s", (situation, wanted) => {
    const nothing = { headServer: undefined, owes: undefined, due: undefined };
    expect(seen(threadAfter(...situations[situation]))).toEqual({ ...nothing, ...wanted });
  });

  it.each<[string, Given, ThreadControl["status"]]>([
    ["a success", success, "idle"],
    ["a question", { ...success, state: { ...state, interrupts: [{ id: "q" }] } }, "interrupted"],
    ["nodes that are left", { ...stopped, result: "timeout", state: { ...state, next: ["node"] } }, "error"],
    ["an error", { ...success, result: "error", error: { name: "E", message: "m" } }, "error"],
    [
      "a refused start",
      { ...success, result: "error", error: { name: "E", message: "m" }, neverStarted: true },
      "idle",
    ],
    ["a success that nobody has read", { ...success, state: undefined }, "idle"],
  ])("the status after %s", (_, end, status) => {
    const control = threadAfter(start, end);
    expect(control.status).toBe(status);
    expect(control.error?.name).toBe(status === "error" && end.kind === "settle" ? end.error?.name : undefined);
  });

  it("the status of before after a rollback, with its error", () => {
    const failed: Given = { ...success, result: "error", error: { name: "E", message: "m" } };
    const before = threadAfter(start, failed);
    const second = { ...start, run: "b", next: "t1" };
    const wish: Given = { kind: "requestCancel", runs: ["b"], wish: rollback };
    const end: Given = { ...stopped, run: "b", token: "t1" };
    const back = threadAfter(start, failed, second, wish, end, { kind: "finishRollback", run: "b" });
    expect([back.status, back.error, back.state, back.last]).toEqual([
      before.status,
      before.error,
      before.state,
      before.last,
    ]);
  });

  it("when the thread expires: never while a run is live or something holds it", () => {
    const ttl: Given = { kind: "change", ttlMs: 1000 };
    expect(threadAfter(ttl).expireAt).toBe(1001);
    expect(threadAfter(ttl, start).expireAt).toBeUndefined();
    expect(threadAfter(ttl, { kind: "hold", id: "h", what: "copy" }).expireAt).toBeUndefined();
    expect(decided(threadAfter(ttl, start), success, 50).control.expireAt).toBe(1050);
    expect(threadAfter(ttl, { kind: "change", ttlMs: null }).expireAt).toBeUndefined();
  });

  it("since when the head is what it is", () => {
    const ready = decided(fresh, enter, 5).control;
    expect(ready.headSince).toBe(5);
    const queued = decided(ready, { ...enter, run: "b" }, 6).control;
    expect(queued.headSince).toBe(5);
    expect(decided(queued, commands.claim, 7).control.headSince).toBe(7);
  });
});

describe("double-texting", () => {
  const live = [start, { ...enter, run: "b" }, { ...enter, run: "c", due: 10 }] as const;

  it.each(["interrupt", "rollback"] as const)(
    "%s cancels what is live in the same decision, delayed runs too",
    (strategy) => {
      const { control, effects, answer } = decided(threadAfter(...live), { ...enter, run: "d", strategy, next: "t1" });
      expect(control.lane.entries.map(({ phase }) => phase)).toEqual(["stopping", "over", "over", "waiting"]);
      expect(control.lane.entries.slice(0, 3).map(({ cancel }) => [cancel!.action, cancel!.cause])).toEqual(
        Array(3).fill([strategy, "d"]),
      );
      expect(answer.claimed).toBeUndefined();
      expect(effects.filter(({ kind }) => kind === "stop")).toEqual([
        { kind: "stop", run: "a", server: "s0", action: strategy, reason: "superseded by run d" },
      ]);
    },
  );

  it("starts at once where those before it were waiting", () => {
    const { answer } = decided(threadAfter(enter), { ...enter, run: "b", strategy: "interrupt", next: "t1" });
    expect(answer.claimed).toMatchObject({ run: "b", lease: { token: "t1" } });
  });

  it.each<[string, readonly Given[]]>([
    ["executes", [start]],
    ["waits", [enter]],
    ["is delayed", [{ ...enter, due: 10 }]],
    ["is rolled back", [...situations.rolling]],
  ])("REJECT names the live run that %s", (_, before) => {
    const reduction = reduce(threadAfter(...before), commandOf({ ...enter, run: "b", strategy: "reject" }), 2);
    expect(reduction).toMatchObject({ refusal: { reason: "THREAD_BUSY", run: { runId: "a", threadId: "thread" } } });
  });

  it("REJECT is refused while something holds the thread, and let in when the last end is still to be told", () => {
    const hold: Given = { kind: "hold", id: "h", what: "copy" };
    expect(reduce(threadAfter(hold), commandOf({ ...enter, strategy: "reject" }), 2)).toMatchObject({
      refusal: { reason: "THREAD_BUSY" },
    });
    expect(decided(threadAfter(start, success), { ...enter, run: "b", strategy: "reject" }).answer.did).toBe("done");
  });

  it("a full lane refuses, and cancels nobody", () => {
    const full = threadAfter(start, { ...enter, run: "b" });
    const reduction = reduce(full, commandOf({ ...enter, run: "c", strategy: "rollback", limit: 2 }), 2);
    expect(reduction).toMatchObject({ refusal: { reason: "TOO_MANY_RUNS", metadata: { limit: "2" } } });
  });
});

describe("delays", () => {
  it("end with any decision, in the order of their ends", () => {
    const waiting = threadAfter(
      start,
      { ...enter, run: "b", due: 20 },
      { ...enter, run: "c", due: 10 },
      { ...enter, run: "d" },
    );
    const { control } = decided(waiting, { kind: "confirm", run: "a" }, 20);
    expect(control.lane.entries.map(({ run, n, due }) => [run, n, due])).toEqual([
      ["a", 1, undefined],
      ["d", 4, undefined],
      ["c", 5, undefined],
      ["b", 6, undefined],
    ]);
  });

  it("that have ended when the run comes are none", () => {
    expect(decided(fresh, { ...enter, due: 5, next: "t" }, 5).answer.claimed?.run).toBe("a");
  });
});

describe("claims", () => {
  const child = { ...enter, parent: { threadId: "other", runId: "p" } };

  it("answer the same to the same token, also when the run has ended since", () => {
    const claim: Given = { ...commands.claim, token: "t0" };
    expect(decided(threadAfter(start), claim).answer).toMatchObject({ did: "again", entry: { phase: "running" } });
    expect(decided(threadAfter(start, success), claim).answer).toMatchObject({
      did: "again",
      entry: { phase: "over" },
    });
  });

  it("leave a child to whoever has looked at its parent since it is there", () => {
    expect(decided(fresh, { ...child, next: "t0" }).answer.claimed).toBeUndefined();
    expect(decided(threadAfter(child), commands.claim).answer.did).toBe("missed");
    expect(decided(threadAfter(child), { ...commands.claim, parentIsLive: true }).answer.did).toBe("done");
  });

  it.each<[string, readonly Given[]]>([
    ["a holder", [{ kind: "hold", id: "h", what: "edit" }, enter]],
    ["an earlier run", [{ ...start, run: "z" }, enter]],
    ["an earlier run that is rolled back", [...situations.rolling, { ...enter, run: "b" }]],
  ])("wait for %s", (_, before) => {
    const run = before.length > 3 ? "b" : "a";
    expect(decided(threadAfter(...before), { ...commands.claim, run }).answer.did).toBe("missed");
  });

  it("follow an end in the same decision", () => {
    const queued = threadAfter(start, { ...enter, run: "b" });
    const { control, effects, answer } = decided(queued, { ...success, next: "t1" });
    expect(answer).toMatchObject({
      did: "done",
      entry: { run: "a", phase: "over" },
      claimed: { run: "b", attempt: 1 },
    });
    expect(effects.map(({ kind }) => kind)).toEqual(["project", "project"]);
    expect(control).toMatchObject({ head: "leased", headServer: "s0", status: "busy" });
  });
});
