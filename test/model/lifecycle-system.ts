import { isTerminal } from "../../src/domain/transitions.ts";
import {
  type Actor,
  executing,
  initialState,
  keyOf,
  outcomeOf,
  type RunRecord,
  type State,
  withBeside,
} from "./lifecycle-state.ts";
import { actions, finishRollback, finishRun, operations, type Rules } from "./lifecycle-steps.ts";
import type { Step, System } from "./search.ts";

/** A server's sweep does one thing at a time; of what it has to do this is the first step. */
const sweep = "sweep;";

/** The life of two runs on one thread, with everything that can happen to them within the bounds. */
export function lifecycle(rules: Rules, bounds: State["left"]): System<State> {
  return {
    initial: initialState(bounds),
    key: keyOf,
    *steps(state) {
      yield* processSteps(state, rules);
      yield* beginnings(state, rules);
      yield* crashes(state);
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
  const [name, ...args] = first!.split(" ");
  for (const done of operations[name!]!(state, rules, args.map(Number))) {
    const left = [...done.then, ...later].join(";");
    const { actors } = done.state;
    yield {
      label: `${isSweep ? sweep : ""}${first}${done.then.length > 0 ? ` -> ${done.then.join(";")}` : ""}`,
      to: left === "" ? done.state : { ...done.state, actors: sorted([...actors, isSweep ? sweep + left : left]) },
      isProgress,
    };
  }
}

/** What begins, with its first step: by the servers themselves (progress), or because somebody asks for it. */
function* beginnings(state: State, rules: Rules): Generator<Step<State>> {
  const { left } = state;
  const sweeps = state.sweeping && !state.actors.some((actor) => actor.startsWith(sweep));
  for (const run of [0, 1]) {
    const record = state.runs[run];
    if (!record) continue;
    if (record.ready) yield* step(state, `claim ${run}`, rules, true);
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

function finishing({ phase, attempt }: RunRecord, run: number): string {
  return (phase === "rolling_back" ? finishRollback : finishRun)(run, attempt > 0).join(";");
}

/**
 * All servers die; or they sleep until their leases are over, so that their children are dead and others take over what they
 * have, and then go on.
 */
function* crashes(state: State): Generator<Step<State>> {
  if (state.left.crashes === 0 || state.actors.length === 0) return;
  const runs = state.runs.map((record) => record?.lease && { ...record, lease: { ...record.lease, isOver: true } });
  const after: State = {
    ...state,
    runs: runs.map((record, run) => record ?? state.runs[run]),
    left: { ...state.left, crashes: state.left.crashes - 1 },
    sweeping: true,
  };
  yield { label: "all servers die", to: { ...after, actors: [] }, isProgress: false };
  const woken = state.actors.map((actor) => actor.replace(sweep, "").replace(/^execute/, "late"));
  yield {
    label: "all servers sleep for longer than a lease",
    to: { ...after, actors: sorted(woken) },
    isProgress: false,
  };
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
  if (record?.status === "success" && record.cancel) return "law 2: a stored cancel ended as a success";
  if (was && isTerminal(was.status) && record && record.status !== was.status)
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
