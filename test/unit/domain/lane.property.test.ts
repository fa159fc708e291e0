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
import { commandOf, steps } from "./lane-sequences.ts";
import { fresh } from "./lane-situations.ts";

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
    const projection: Projection = projectionOf(entry, "journal");
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
