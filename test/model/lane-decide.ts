import type { Answer, Command, Reduction, TakeOver } from "../../src/domain/thread/commands.ts";
import type { Effect } from "../../src/domain/thread/effects.ts";
import { entryOf, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { type Process, runOf, type State, withFacts, withProcesses } from "./lane-state.ts";

export type Reduce = (control: ThreadControl, command: Command, now: number) => Reduction;

/** What the servers do beside the reducer; a test takes one away to see that it is needed. */
export type ServerRule =
  | "fence before hand-back"
  | "fence of holds"
  | "complete deletions"
  | "forget before a record goes"
  | "record again after a sleep"
  | "remove by nonce"
  | "remove what says nothing"
  | "data before the end of a rollback"
  | "tombstone before the removal"
  | "projection by count"
  | "projection without upsert"
  | "tell before leaving"
  | "remove the record of a refused run"
  | "guard by revision"
  | "heartbeat compares";

export interface Rules {
  readonly reduce: Reduce;
  readonly without: ReadonlySet<ServerRule>;
}

export interface Decision {
  readonly state: State;
  readonly answer: Answer | undefined;
}

/**
 * One guarded update: what is read, reduced and written is one step, since the guard makes a decision miss that was made on
 * an older revision. What follows begins in the server that decided.
 */
export function decide(state: State, command: Command, { reduce, without }: Rules, isAnswerLost = false): Decision {
  const reduction = reduce(state.control, command, state.clock);
  if ("refusal" in reduction) return { state, answer: undefined };
  const { control, effects, answer } = reduction;
  if (control === state.control) return { state: asked(state, command, answer), answer };
  const late = without.has("guard by revision") ? state.late : undefined;
  const written = told(remember({ ...state, control, late }, state.control), command);
  if (isAnswerLost) return { state: written, answer };
  const { server } = command;
  const follow = effects.flatMap((effect) => processOf(effect, server, written));
  const claimed = answer.claimed ?? (command.kind === "claim" && answer.did === "done" ? answer.entry : undefined);
  if (claimed) follow.push({ kind: "execute", server, run: runOf(claimed.run), token: claimed.lease!.token });
  if (command.kind === "takeOver") follow.push(...goOn(control, command, without));
  // It writes from its first moment on.
  const writing = claimed ? withFacts(written, runOf(claimed.run), { hasData: true }) : written;
  return { state: asked(withProcesses(writing, ...follow), command, answer), answer };
}

/** What a server does with what it has taken over under its token: see worker/take-over.ts. */
function goOn({ lane }: ThreadControl, { server, token }: TakeOver, without: ReadonlySet<ServerRule>): Process[] {
  const entry = lane.entries.find(({ lease }) => lease?.token === token);
  if (entry) {
    const tokens = without.has("fence before hand-back") ? [] : entry.lease!.tokensToFence!;
    return [{ kind: "fence", server, run: runOf(entry.run), token, tokens }];
  }
  if (lane.holder?.id !== token) return [];
  const tokens = without.has("fence of holds") ? [] : lane.holder.tokensToFence!;
  return [{ kind: "hold", server, id: token, what: lane.holder.kind, at: "fence", tokens }];
}

function processOf(effect: Effect, server: string, { control, left }: State): Process[] {
  if (effect.kind === "project" && left.projects) {
    const { phase, changes } = entryOf(control, effect.run)!;
    // Ends are paid for, by whoever comes first.
    if (phase !== "over") return [{ kind: "project", server, run: runOf(effect.run), changes, status: "running" }];
  }
  return [];
}

/** What the thread would return to if the run that begins now were rolled back. */
function remember(state: State, before: ThreadControl): State {
  const begun = state.control.lane.entries.find(
    (entry) => entry.first !== undefined && entryOf(before, entry.run)?.first === undefined,
  );
  return begun ? withFacts(state, runOf(begun.run), { before: stateOf(state.control) }) : state;
}

/** What a thread shows when no run is live; the state that the last run left may have been read, or is still to be. */
export const stateOf = ({ state, last }: ThreadControl): string =>
  JSON.stringify([Math.max(state?.n ?? 0, last?.n ?? 0), last?.n, last?.status]);

/** What became of executions. */
function told(state: State, command: Command): State {
  if (command.kind === "handBack" && command.lost) {
    const run = runOf(command.run);
    return withFacts(state, run, { losses: state.runs[run]!.losses + 1 });
  }
  if (command.kind !== "takeOver" || command.reachable) return state;
  const taken = state.control.lane.entries.find(({ lease }) => lease?.token === command.token);
  return taken ? withFacts(state, runOf(taken.run), { isUnreachable: true }) : state;
}

/** Those that were answered OK are to be cancelled from now on. */
function asked(state: State, command: Command, answer: Answer): State {
  if (command.kind !== "requestCancel" && command.kind !== "enter") return state;
  const action = command.kind === "enter" ? command.strategy : command.wish.action;
  let known = state;
  for (const { run, result } of answer.cancels ?? []) {
    if (result !== "ended" && result !== "stopping" && result !== "already") continue;
    const stronger = action === "rollback" || known.runs[runOf(run)]!.asked === "rollback" ? "rollback" : "interrupt";
    known = withFacts(known, runOf(run), { asked: stronger });
  }
  return known;
}

/** A decision lands after its server has died: nobody goes on with it there. */
export const landed = (state: State, late: ThreadControl): State =>
  remember({ ...state, control: late, late: undefined }, state.control);
