import type { Table } from "./lifecycle-guards.ts";
import type { Actor, State } from "./lifecycle-state.ts";

/**
 * The same state without the steps that can change nothing any more, whatever else happens: states that differ only in such
 * steps are the same. A process whose first step is one of them is as if it had done it.
 */
export function withoutIdleSteps(state: State, sweep: string, table: Table): State {
  let { actors } = state;
  const noneWaits = neverWaitsAgain(state);
  for (let i = 0; i < actors.length; ) {
    const actor = actors[i]!;
    const isSweep = actor.startsWith(sweep);
    const bare = isSweep ? actor.slice(sweep.length) : actor;
    const end = bare.indexOf(";");
    const first = end === -1 ? bare : bare.slice(0, end);
    if (!isIdle(state, actors, first, noneWaits, table)) {
      i += 1;
      continue;
    }
    const rest = end === -1 ? "" : bare.slice(end + 1);
    actors = rest === "" ? actors.toSpliced(i, 1) : actors.with(i, isSweep ? sweep + rest : rest);
    // Others may have had to wait for it.
    i = 0;
  }
  return actors === state.actors ? state : { ...state, actors: [...actors].sort() };
}

/** Both runs have been created, or never will be, and no run that has ended waits again. */
const neverWaitsAgain = ({ runs, beside, actors }: State): boolean =>
  beside.every(({ creation, isForbidden }, run) => {
    const phase = runs[run]?.phase;
    if (phase === undefined) return isForbidden || creation === "answered";
    return phase === "over" || phase === "rolling_back";
  }) && !actors.some((actor) => actor.startsWith("insert"));

function isIdle(state: State, actors: readonly Actor[], first: string, noneWaits: boolean, table: Table): boolean {
  const [name, ...args] = first.split(" ");
  const run = Number(args[0]);
  const record = state.runs[run];
  const isCreated = state.beside[run]?.creation === "answered";
  switch (name) {
    case "findToCancel":
      return isCreated && (!record || record.phase === "over" || record.phase === "rolling_back");
    case "settle":
      return isFenced(table) && record?.lease?.token !== Number(args[1]);
    case "cleanupDone":
      return isCreated && !record?.cleanup;
    case "awaitEnd":
    case "remove":
      return isCreated && !record;
    case "promote":
      return noneWaits;
    case "findThread":
    case "releaseLate":
    case "freeTurn":
    case "markReady":
      return noneWaits && state.thread.turn !== run && !actors.some((other) => gives(other, run));
    default:
      return false;
  }
}

/** Who has lost the lease can settle nothing. */
const isFenced = ({ finish, handBack, settleInterrupt, settleRollback }: Table): boolean =>
  [finish, handBack, settleInterrupt, settleRollback].every(({ lease }) => lease === "held");

/** It is about to give the run the turn, before it learns that this is of no use. */
const gives = (actor: Actor, run: number): boolean =>
  actor.includes(`takeTurn ${run}`) || (actor.includes("passTurn") && new RegExp(`passTurn \\d ${run}`).test(actor));
