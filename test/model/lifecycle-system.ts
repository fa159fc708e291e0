import { isTerminal } from "../../src/domain/transitions.ts";
import { withoutIdleSteps } from "./lifecycle-reduction.ts";
import {
  type Actor,
  type Bounds,
  executing,
  initialState,
  keyOf,
  outcomeOf,
  type RunRecord,
  type State,
  withBeside,
} from "./lifecycle-state.ts";
import { actions, type Done, does, finishRollback, finishRun, operations, type Rules } from "./lifecycle-steps.ts";
import type { Step, System } from "./search.ts";

/** A server's sweep does one thing at a time; of what it has to do this is the first step. */
const sweep = "sweep;";

/** The life of two runs on one thread, with everything that can happen to them within the bounds. */
export function lifecycle(rules: Rules, bounds: Bounds): System<State> {
  return {
    initial: initialState(bounds),
    key: keyOf,
    *steps(state) {
      yield* processSteps(state, rules);
      yield* beginnings(state, rules);
      yield* crashes(state, rules);
    },
    fault,
    isSettled: ({ thread, runs, actors }) =>
      actors.length === 0 &&
      thread.turn === undefined &&
      runs.every((run) => !run || (run.phase === "over" && !run.cleanup)),
  };
}

/** The next step of each process. */
function* processSteps(state: State, rules: Rules): Generator<Step<State>> {
  for (const [position, actor] of state.actors.entries()) {
    if (state.actors[position - 1] === actor) continue;
    yield* step({ ...state, actors: state.actors.toSpliced(position, 1) }, actor, rules, true);
  }
}

/** The first of the actor's steps. */
function* step(state: State, actor: Actor, rules: Rules, isProgress: boolean): Generator<Step<State>> {
  const isSweep = actor.startsWith(sweep);
  const [first, ...later] = (isSweep ? actor.slice(sweep.length) : actor).split(";");
  for (const done of perform(state, rules, first!)) {
    const left = [...done.then, ...later].join(";");
    const { actors } = done.state;
    yield {
      label: () => `${isSweep ? sweep : ""}${first}${done.then.length > 0 ? ` -> ${done.then.join(";")}` : ""}`,
      to: withoutIdleSteps(
        left === "" ? done.state : { ...done.state, actors: sorted([...actors, isSweep ? sweep + left : left]) },
        sweep,
        rules.table,
      ),
      isProgress,
    };
  }
}

/**
 * One step. In the coarse grain a look is one step with the guarded update that it leads to: a guard that asks for all that was
 * seen makes of both what happens at the moment of the update, and an update that misses changes nothing. The looks of a
 * release at thread and queue are one there too, although passTurn asks for less than they have seen; and a look at a missed
 * takeTurn. Those are what the searches with looks and updates apart are for.
 */
function perform(state: State, rules: Rules, step: string): Done[] {
  const [name, ...args] = step.split(" ");
  const done = operations[name!]!(state, rules, args.map(Number));
  if (!rules.isCoarse) return done;
  return done.flatMap((one) => {
    const [next, ...later] = one.then;
    if (next === undefined || !isOneStep(name!, next.slice(0, next.indexOf(" ")))) return [one];
    return perform(one.state, rules, next).map((both) => does(both.state, ...both.then, ...later));
  });
}

const isOneStep = (name: string, next: string): boolean =>
  next === "settle" ? name === "execute" : updatesAfterLooks.has(next);

const updatesAfterLooks = new Set([
  ...["cancelWaiting", "requestCancel", "findCancel", "settleCancelled", "entomb"],
  ...["findNext", "findTaken", "findTurn", "lockForDeletion"],
]);

/** What begins, with its first step: by the servers themselves (progress), or because somebody asks for it. */
function* beginnings(state: State, rules: Rules): Generator<Step<State>> {
  const { left } = state;
  const sweeps = mayBeginToSweep(state);
  for (const run of [0, 1]) {
    const record = state.runs[run];
    if (!record) continue;
    // A worker may have seen it ready long ago.
    if (record.ready || record.attempt > 0) yield* step(state, `claim ${run}`, rules, true);
    if (left.cancels > 0) {
      const asked = { ...state, left: { ...left, cancels: left.cancels - 1 } };
      for (const action of actions.keys()) yield* step(asked, `findToCancel ${run} ${action}`, rules, false);
    }
    if (left.deletes > 0) {
      const asked = { ...state, left: { ...left, deletes: left.deletes - 1 } };
      yield* step(asked, `findToDelete ${run}`, rules, false);
    }
    if (!sweeps) continue;
    if (record.lease?.isOver) yield* step(state, `${sweep}takeOver ${run} ${record.lease.token}`, rules, true);
    if (record.cleanup) yield* step(state, sweep + finishing(record, run), rules, true);
    if (record.phase === "waiting" && !record.ready) yield* step(state, `${sweep}promote`, rules, true);
  }
  if (sweeps && state.thread.turn !== undefined)
    yield* step(state, `${sweep}findHolder ${state.thread.turn}`, rules, true);
  // The runs are named by the order in which their creations begin.
  const next = state.beside.findIndex(({ creation }) => creation === "none");
  if (next === -1) return;
  const isAfter = state.beside[next - 1]?.creation === "answered";
  yield* step(withBeside(state, next, { creation: "begun", isAfter }), `enter ${next}`, rules, false);
}

function mayBeginToSweep({ sweeping, actors }: State): boolean {
  if (sweeping === "never" || actors.some((actor) => actor.startsWith(sweep))) return false;
  return sweeping === "always" || actors.every((actor) => /^(execute|awaitEnd) /.test(actor));
}

function finishing({ phase, attempt }: RunRecord, run: number): string {
  return (phase === "rolling_back" ? finishRollback : finishRun)(run, attempt > 0).join(";");
}

/**
 * All servers die. Or all but for one, which sleeps until its leases are over, so that its children are dead and others take
 * over what it has, and then goes on with one thing that it had under way.
 */
function* crashes(state: State, { isCoarse }: Rules): Generator<Step<State>> {
  const { left, actors } = state;
  if (actors.length === 0) return;
  const runs = state.runs.map((record) => record?.lease && { ...record, lease: { ...record.lease, isOver: true } });
  const after: State = { ...state, runs: runs.map((record, run) => record ?? state.runs[run]), actors: [] };
  if (left.crashes > 0) {
    const sweeping = isCoarse ? "at rest" : "always";
    const dead: State = { ...after, left: { ...left, crashes: left.crashes - 1 }, sweeping };
    yield { label: () => "all servers die", to: dead, isProgress: false };
  }
  if (left.sleeps === 0) return;
  for (const actor of new Set(actors)) {
    const woken = actor.replace(sweep, "").replace(/^execute/, "late");
    yield {
      label: () => `all servers die but one, which sleeps for longer than a lease with this before it: ${woken}`,
      to: { ...after, left: { ...left, sleeps: left.sleeps - 1 }, sweeping: "always", actors: [woken] },
      isProgress: false,
    };
  }
}

const sorted = (actors: Actor[]): Actor[] => actors.sort();

/** The laws, of one state and of one step. */
function fault(state: State, before: State | undefined): string | undefined {
  const busy = executing(state);
  if (busy.length > 1) return `law 7: runs ${busy.join(" and ")} execute at the same time`;
  for (const run of [0, 1]) {
    const wrong = faultOfRun(state, before, run, busy.includes(run));
    if (wrong) return `${wrong} (run ${run})`;
  }
  return undefined;
}

function faultOfRun(state: State, before: State | undefined, run: number, executes: boolean): string | undefined {
  const record = state.runs[run];
  const { tombstone, hasData } = state.beside[run]!;
  const was = before?.runs[run];
  if (executes && (!record || isTerminal(record.status) || tombstone)) return "law 1: it is called ended and executes";
  if (executes && record?.phase === "rolling_back") return "law 1: it is being rolled back and executes";
  if (record?.status === "success" && record.cancel) return "law 2: a stored cancel ended as a success";
  if (record?.status === "interrupted" && !record.cancel)
    return "law 2: it is called cancelled and nobody asked for it";
  if (record && isTerminal(record.status) !== (record.phase === "over")) return "law 1: its status is not what it does";
  if (record && (record.phase === "running" || record.phase === "stopping") !== (record.lease !== undefined))
    return "law 10: whether it executes and whether somebody has its lease are two things";
  if (record?.phase === "waiting" && record.cancel) return "law 2: a cancel is stored and it waits to be executed";
  if (record?.phase === "over" && record.cancel?.action === "rollback")
    return "law 4: a rollback ended as an interrupt";
  if (record?.phase === "rolling_back" && record.cancel?.action !== "rollback")
    return "law 4: it is rolled back and nobody asked for it";
  if (was?.cancel?.action === "rollback" && record?.cancel?.action === "interrupt")
    return "law 4: a rollback was weakened";
  if (was && isTerminal(was.status) && record && (record.status !== was.status || record.phase !== was.phase))
    return "law 3: a terminal status has changed";
  if (was && record && was.cancel && !record.cancel) return "law 2: a stored cancel is gone";
  if (was && !record && !tombstone) return "law 4: it is gone without a trace";
  const told = before && outcomeOf(before, run);
  if (told !== undefined && outcomeOf(state, run) !== told) return `law 4: some were told ${told}, others are not`;
  if (tombstone && hasData) return "law 6: data is left of a run that is gone";
  const hasBegun = record && record.attempt > 0 && (record.lease || (record.phase === "rolling_back" && !tombstone));
  if (hasBegun && state.thread.turn !== run) return `law 7: it is ${record.phase} without having the turn`;
  const former = state.runs[run - 1];
  if (executes && state.beside[run]!.isAfter && former?.phase === "waiting")
    return "law 7: it has overtaken an earlier run";
  return undefined;
}
