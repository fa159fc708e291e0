import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command } from "../../../src/domain/thread/commands.ts";
import { computedFields } from "../../../src/domain/thread/compute.ts";
import {
  type Entry,
  entryOf,
  isDelayed,
  isEnded,
  liveEntries,
  type ThreadControl,
} from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";
import { type Projection, projectionOf } from "../../../src/domain/thread/project.ts";
import { isTerminal, maxLostAttempts } from "../../../src/domain/transitions.ts";
import { fresh, interrupt, rollback, state } from "./lane-situations.ts";

const server = fc.constantFrom("s0", "s1", "s2");
const run = fc.constantFrom("a", "b", "c", "d");
const wish = fc.constantFrom(interrupt, rollback);
const strategy = fc.constantFrom("enqueue" as const, "reject" as const, "interrupt" as const, "rollback" as const);

/**
 * What the sender of a command takes for the truth. `token` is the lease that is held, or one that never was; `next` and new
 * tokens are made when the command is, so that none comes twice.
 */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("enter"),
      run,
      strategy,
      delay: fc.option(fc.nat(5), { nil: undefined }),
      slot: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("claim"), run }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("requestCancel"),
      runs: fc.oneof(fc.constant("live" as const), fc.array(run, { minLength: 1, maxLength: 3 })),
      wish,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("settle"),
      isMine: fc.boolean(),
      result: fc.constantFrom("success", "error", "timeout", "stopped"),
      slot: fc.boolean(),
      neverStarted: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("handBack"),
      isMine: fc.boolean(),
      lost: fc.boolean(),
      slot: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("takeOver"), dead: server, reachable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delivered"), isMine: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("hold"), what: fc.constantFrom("copy", "edit", "delete", "prune") }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release"), isMine: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("finishRollback"), run }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("projected"), run, isNew: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget"), run, lacks: fc.constantFrom("entry", "record") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("confirm"), run }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("due") }) },
);
const steps = fc.array(fc.record({ step, server, waits: fc.nat(2) }), { maxLength: 60 });

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** The command that a server would send that has just looked. */
function commandOf(one: Step, by: string, control: ThreadControl, now: number, fresh: string): Command {
  const head = control.lane.entries.find(({ lease }) => lease);
  const mine = (isMine: boolean) => ({
    run: head?.run ?? "a",
    token: isMine && head ? head.lease!.token : "never",
    sequence: 1,
  });
  const next = "slot" in one && one.slot ? fresh : undefined;
  const base = { server: by, next };
  switch (one.kind) {
    case "enter":
      return {
        ...base,
        kind: "enter",
        run: one.run,
        strategy: one.strategy,
        due: one.delay && now + one.delay,
      } as Command;
    case "claim":
      return { ...base, kind: "claim", run: one.run, token: fresh } as Command;
    case "settle":
      return {
        ...base,
        ...mine(one.isMine),
        kind: "settle",
        result: one.result,
        neverStarted: one.neverStarted,
        state,
      } as Command;
    case "handBack":
      return { ...base, ...mine(one.isMine), kind: "handBack", lost: one.lost } as Command;
    case "delivered":
      return { ...base, ...mine(one.isMine), kind: "delivered" } as Command;
    case "takeOver":
      return { ...base, kind: "takeOver", dead: one.dead, token: fresh, reachable: one.reachable } as Command;
    case "hold":
      return { ...base, kind: "hold", id: fresh, what: one.what } as Command;
    case "release":
      return { ...base, kind: "release", id: one.isMine ? (control.lane.holder?.id ?? "never") : "never" } as Command;
    case "projected":
      return {
        ...base,
        kind: "projected",
        run: one.run,
        changes: one.isNew ? (entryOf(control, one.run)?.changes ?? 0) : 0,
        state,
      } as Command;
    default:
      return { ...base, ...one } as Command;
  }
}

describe("any sequence of commands", () => {
  it("keeps the laws, answers each repeat alike, and computes what can be computed", () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        let control = fresh;
        let now = 1;
        for (const [i, { step: one, server: by, waits }] of sequence.entries()) {
          now += waits;
          const command = commandOf(one, by, control, now, `t${i}`);
          const before = structuredClone(control);
          const reduction = reduce(control, command, now);
          // Pure: what was given is as it was, and the same comes out again.
          expect(control).toEqual(before);
          expect(reduce(before, command, now)).toEqual(reduction);
          if ("refusal" in reduction) continue;
          const { control: after, answer } = reduction;
          if (after === control) {
            expect(reduction.effects).toEqual([]);
            continue;
          }
          expect(JSON.parse(JSON.stringify(after))).toEqual(after);
          const { headSince: _, ...fields } = computedFields(control, after, now);
          expect(after).toMatchObject(JSON.parse(JSON.stringify(fields)));
          lane(after);
          for (const entry of after.lane.entries) change(entryOf(control, entry.run), entry);
          for (const entry of control.lane.entries) if (!entryOf(after, entry.run)) departure(entry, command.kind);
          if (answer.did === "done" && isSigned(command)) {
            const again = reduce(after, { ...command, next: undefined }, now);
            expect(again).toMatchObject({ answer: { did: expect.stringMatching(/again|done/) } });
            if (command.kind !== "due") expect("control" in again && again.control).toBe(after);
          }
          control = after;
        }
      }),
      { numRuns: 400 },
    );
  });
});

/** A repeat of it is known by its sign: an entry, a token, an id. */
const isSigned = ({ kind }: Command): boolean => ["enter", "hold", "confirm", "due"].includes(kind);

/** What holds of a lane at any time. */
function lane(control: ThreadControl): void {
  const { entries, holder } = control.lane;
  const leased = entries.filter((entry) => entry.lease);
  expect(leased.length).toBeLessThanOrEqual(1);
  if (holder) expect(leased).toEqual([]);
  const first = entries.find((entry) => !isEnded(entry) && !isDelayed(entry));
  if (leased[0]) expect(leased[0]).toBe(first);
  // Only what is first has ever executed.
  for (const entry of liveEntries(control.lane)) if (entry.first !== undefined) expect(entry).toBe(first);
  expect(new Set(entries.map((entry) => entry.run)).size).toBe(entries.length);
  expect(Math.max(0, ...entries.map(({ n }) => n))).toBeLessThanOrEqual(control.lane.n);
  for (const entry of entries) {
    expect(entry.lease !== undefined).toBe(entry.phase === "running" || entry.phase === "stopping");
    expect(entry.owed !== undefined).toBe(entry.phase === "over" || entry.phase === "rolling_back");
    if (entry.phase === "waiting" || entry.phase === "running") expect(entry.cancel).toBeUndefined();
    if (entry.phase === "over" && entry.cancel) expect(entry.end!.status).toBe("interrupted");
    if (entry.phase === "over" && entry.unreachable && entry.end!.outcome) {
      expect(entry.end!.outcome).toMatch(/fenced|never_started/);
    }
    expect(entry.lost ?? 0).toBeLessThan(maxLostAttempts + (isEnded(entry) ? 1 : 0));
    const projection: Projection = projectionOf(entry);
    expect(isTerminal(projection.status)).toBe(isEnded(entry));
    expect(projection.endedAt !== undefined).toBe(isEnded(entry));
  }
}

/** What never happens to an entry. */
function change(was: Entry | undefined, entry: Entry): void {
  if (was === entry) return;
  expect(entry.changes).toBe((was?.changes ?? 0) + 1);
  if (!was) return;
  if (was.end && isEnded(was)) expect(entry.end).toEqual(was.end);
  if (was.cancel) expect(entry.cancel).toBeDefined();
  if (was.cancel?.action === "rollback") expect(entry.cancel!.action).toBe("rollback");
  expect(entry.attempt ?? 0).toBeGreaterThanOrEqual(was.attempt ?? 0);
  expect(entry.n).toBeGreaterThanOrEqual(was.n);
}

/** Nothing leaves but what is over and told, or was never there for anybody. */
function departure(entry: Entry, kind: Command["kind"]): void {
  if (kind === "projected") expect(entry.phase).toBe("over");
  else {
    expect(kind).toBe("forget");
    expect([entry.phase, entry.attempt, entry.confirmed]).toEqual(["waiting", undefined, undefined]);
  }
}
