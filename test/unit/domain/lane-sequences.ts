import fc from "fast-check";
import type { Command } from "../../../src/domain/thread/commands.ts";
import { type Entry, entryOf, type ThreadControl } from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";
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
/** A random sequence, of which each command is made by {@link commandOf} when it is its turn. */
export const steps = fc.array(fc.record({ step, server, waits: fc.nat(2) }), { maxLength: 60, size: "max" });

export type Sequence = typeof steps extends fc.Arbitrary<infer S> ? S : never;
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** The command that a server would send that has just looked. */
export function commandOf(one: Step, by: string, control: ThreadControl, now: number, fresh: string): Command {
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
      return { ...base, ...mine(one.isMine), kind: "delivered", deliveredAt: 1 } as Command;
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

/** The controls that a sequence goes through, each once. */
export function controlsOf(sequence: Sequence, from: ThreadControl = fresh): ThreadControl[] {
  const controls = [from];
  let now = 1;
  for (const [i, { step: one, server: by, waits }] of sequence.entries()) {
    now += waits;
    const control = controls.at(-1)!;
    const reduction = reduce(control, commandOf(one, by, control, now, `t${i}`), now);
    if (!("refusal" in reduction) && reduction.control !== control) controls.push(reduction.control);
  }
  return controls;
}

/** The entries that the run has had, each once, until it left for the first time. */
export function lifeOf(run: string, controls: readonly ThreadControl[]): Entry[] {
  const life: Entry[] = [];
  for (const control of controls) {
    const entry = entryOf(control, run);
    if (!entry && life.length > 0) break;
    if (entry && entry !== life.at(-1)) life.push(entry);
  }
  return life;
}
