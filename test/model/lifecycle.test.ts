import { describe, expect, it } from "vitest";
import { type Transition, type TransitionName, transitions } from "../../src/domain/transitions.ts";
import type { Bounds } from "./lifecycle-state.ts";
import type { Rules } from "./lifecycle-steps.ts";
import { lifecycle } from "./lifecycle-system.ts";
import { type Found, search } from "./search.ts";

/**
 * Every way in which two runs of a thread, and those who create, execute, cancel, delete, finish and repair them, can get in
 * each other's way. One step is one database operation; its guard is read from the table that storage makes its guards from.
 * In each state the laws hold, and from each the end can be reached: no run live, nothing left to clean up, the turn free.
 *
 * Left out: delayed runs (so that a thread is busy exactly while somebody has its turn), double-texting, parents, and what
 * threads remember of their runs.
 */
const limit = 2_000_000;

interface Extent extends Partial<Bounds> {
  /** One step for a look and the guarded update after it; sweeps after a crash begin when nothing else is under way. */
  readonly isCoarse: boolean;
}

function explore({ isCoarse, ...bounds }: Extent, change: Partial<Omit<Rules, "isCoarse">> = {}): Found {
  const rules: Rules = { table: transitions, without: new Set(), isCoarse, ...change };
  return search(lifecycle(rules, { cancels: 0, deletes: 0, crashes: 0, sleeps: 0, ...bounds }), limit);
}

const counted = new Intl.NumberFormat("en");

// Each searches a hundred thousand states and more, which takes its time on a busy machine.
describe("two runs on a thread, in every order of steps", { timeout: 900_000 }, () => {
  it.each<[string, Extent]>([
    ["two cancels, a deletion and a crash of all servers", { cancels: 2, deletes: 1, crashes: 1, isCoarse: true }],
    ["a cancel and a server that sleeps too long", { cancels: 1, sleeps: 1, isCoarse: true }],
    ["two cancels, looks and updates apart", { cancels: 2, isCoarse: false }],
    ["a cancel and a deletion, looks and updates apart", { cancels: 1, deletes: 1, isCoarse: false }],
    ["a crash, looks and updates apart, sweeps at any time", { crashes: 1, isCoarse: false }],
    ["a server that sleeps too long, looks and updates apart", { sleeps: 1, isCoarse: false }],
  ])("%s", (what, extent) => {
    const { states, steps, trace } = explore(extent);
    process.stdout.write(`${what}: ${counted.format(states)} states, ${counted.format(steps)} steps\n`);
    expect(trace).toBeUndefined();
    expect(states).toBeGreaterThan(1_000);
  });
});

type Rows = { readonly [name in TransitionName]?: Partial<Transition> };

const changed = (rows: Rows): Rules["table"] => {
  const names = Object.keys(transitions) as TransitionName[];
  return Object.fromEntries(names.map((name) => [name, { ...transitions[name], ...rows[name] }])) as Rules["table"];
};

/** What a wrong table lets happen. The search must find it, or it proves nothing. */
describe("a table that allows too much is found out", () => {
  it.each<[string, Rows, Partial<Bounds>, RegExp]>([
    ["a running run is claimed", { claim: { from: ["waiting", "running"] } }, {}, /execute at the same time/],
    ["a run that is over is claimed", { claim: { from: ["waiting", "over"] } }, {}, /^law 3/],
    [
      "a stopping run is claimed",
      { claim: { from: ["waiting", "stopping"], cancel: "any" } },
      { cancels: 1 },
      /execute at the same time/,
    ],
    ["a claim leaves the run waiting", { claim: { to: "waiting" } }, {}, /^law 10/],
    [
      "a success beats a stored cancel",
      { finish: { from: ["running", "stopping"], cancel: "any" } },
      { cancels: 1 },
      /^law 2: a stored cancel ended as a success/,
    ],
    ["an outcome without the lease", { finish: { lease: "none" } }, { sleeps: 1 }, /^law 1: .* ended and executes/],
    ["a hand-back without the lease", { handBack: { lease: "none" } }, { sleeps: 1 }, /execute at the same time/],
    [
      "a cancelled run is handed back",
      { handBack: { from: ["running", "stopping"], cancel: "any" } },
      { cancels: 1, crashes: 1 },
      /^law 2: a cancel is stored and it waits/,
    ],
    ["a hand-back ends the run", { handBack: { to: "over" } }, { crashes: 1 }, /^law 1: its status/],
    [
      "a cancel of a run that is over is stored",
      { requestCancel: { from: ["running", "stopping", "over"] } },
      { cancels: 1 },
      /^law 2/,
    ],
    [
      "a cancel of a waiting run is stored for nobody",
      { requestCancel: { from: ["running", "stopping", "waiting"] } },
      { cancels: 1, crashes: 1 },
      /^law 10/,
    ],
    [
      "an interrupt of a waiting run is a rollback",
      { cancelWaiting: { to: "rolling_back", status: [] } },
      { cancels: 1 },
      /^law 4/,
    ],
    [
      "a rollback of a waiting run keeps it",
      { rollBackWaiting: { to: "over", status: ["interrupted"] } },
      { cancels: 1 },
      /^law 4/,
    ],
    [
      "an interrupt weakens a rollback that is under way",
      { cancelWaiting: { from: ["waiting", "rolling_back"], cancel: "any" } },
      { cancels: 2 },
      /^law 4: a rollback was weakened/,
    ],
    [
      "a run that is over is rolled back",
      { rollBackWaiting: { from: ["waiting", "over"], cancel: "any" } },
      { cancels: 2 },
      /^law/,
    ],
    [
      "an interrupt settles what has become a rollback",
      { settleInterrupt: { cancel: "any" } },
      { cancels: 2 },
      /^law 4: a rollback ended as an interrupt/,
    ],
    ["a settled interrupt is a success", { settleInterrupt: { status: ["success"] } }, { cancels: 1 }, /^law 2/],
    [
      "a settled rollback keeps the run",
      { settleRollback: { to: "over", status: ["interrupted"] } },
      { cancels: 1 },
      /^law 4/,
    ],
  ])("%s", (_, rows, bounds, fault) => {
    const { trace } = explore({ ...bounds, isCoarse: false }, { table: changed(rows) });
    expect(trace?.at(-1)).toMatch(fault);
  });
});

describe("what storage asks for beside the table is needed", () => {
  type Guard = Rules["without"] extends ReadonlySet<infer Each> ? Each : never;
  const stuck = /^from here the runs can never be over/;

  it.each<[readonly Guard[], Partial<Bounds>, RegExp]>([
    [["turn-guard of takeTurn"], { cancels: 1 }, /^law 7/],
    [["look after freeTurn"], { cancels: 1 }, stuck],
    [["n-guard of freeTurn", "look after freeTurn"], {}, stuck],
    [["late release"], { cancels: 1 }, stuck],
    [["revision-guard of requestCancel"], { cancels: 2 }, /^law 4: a rollback was weakened/],
    [["fence at takeover"], { cancels: 1, sleeps: 1 }, /^law 6/],
    [["forbidden ids"], { sleeps: 1 }, /^law 7/],
  ])("without %s", (without, bounds, fault) => {
    const { trace } = explore({ ...bounds, isCoarse: false }, { without: new Set(without) });
    expect(trace?.at(-1)).toMatch(fault);
  });

  it("the number of attempts, where the table would let a running run be cancelled as a waiting one", () => {
    const table = changed({ cancelWaiting: { from: ["waiting", "running"] } });
    const without: Rules["without"] = new Set(["attempt-guard of cancelWaiting"]);
    expect(explore({ cancels: 1, isCoarse: false }, { table, without }).trace?.at(-1)).toMatch(/^law 1/);
  });
});
