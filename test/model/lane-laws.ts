import { computedFields } from "../../src/domain/thread/compute.ts";
import { type Entry, entryOf, firstInTurn, isDelayed, liveEntries } from "../../src/domain/thread/entry.ts";
import { isTerminal, type MultitaskStrategy, maxLostAttempts, type RunStatus } from "../../src/domain/transitions.ts";
import { stateOf } from "./lane-decide.ts";
import { isLive, nameOf, runOf, type State } from "./lane-state.ts";

/** The laws, of one state and of one step. */
export function faultOf(state: State, before: State | undefined): string | undefined {
  for (const run of state.runs.keys()) {
    const wrong = faultOfRun(state, before, run);
    if (wrong) return `${wrong} (${nameOf(run)})`;
  }
  return faultOfExecutions(state) ?? faultOfThread(state, before);
}

/** What somebody who waits for a run is told; undefined while it lives. */
function toldOf({ runs }: State, run: number): RunStatus | "rolled back" | undefined {
  const { record, hasTombstone } = runs[run]!;
  if (hasTombstone) return "rolled back";
  return record && isTerminal(record.status) ? record.status : undefined;
}

function faultOfExecutions(state: State): string | undefined {
  const executing = state.processes.filter((one) => one.kind === "execute" && isLive(state, one));
  if (executing.length > 1) return "law 7: two executions at the same time";
  const [one] = executing;
  if (one?.kind !== "execute") return undefined;
  const entry = entryOf(state.control, nameOf(one.run));
  if (!entry) return "law 1: what is gone executes";
  if (toldOf(state, one.run) !== undefined) return "law 1: it is called ended and executes";
  if (entry.phase !== "running" && entry.phase !== "stopping") return `law 1: it is ${entry.phase} and executes`;
  if (entry.lease?.token !== one.token) return "law 10: it executes with a lease that is another's";
  if (state.control.lane.holder) return "law 7: it executes while something holds the thread";
  if (firstInTurn(state.control.lane) !== entry) return "law 7: it executes without having the turn";
  const overtaken = state.runs[one.run]!.after.find((other) => isOvertaken(state, other, one.run));
  return overtaken === undefined ? undefined : `law 7: ${nameOf(one.run)} has overtaken ${nameOf(overtaken)}`;
}

function isOvertaken({ control, runs }: State, earlier: number, later: number): boolean {
  const entry = entryOf(control, nameOf(earlier));
  if (!entry || entry.phase === "over") return false;
  return !runs[earlier]!.isDelayed && !runs[later]!.isDelayed;
}

function faultOfRun(state: State, before: State | undefined, run: number): string | undefined {
  const facts = state.runs[run]!;
  const entry = entryOf(state.control, nameOf(run));
  const told = toldOf(state, run);
  const was = before && toldOf(before, run);
  if (was !== undefined && told !== was) return `law 3: some were told ${was}, others ${told}`;
  if (facts.hasTombstone && facts.hasData) return "law 6: data is left of a run that is gone";
  if (facts.hasTombstone && facts.record && before && !before.runs[run]!.record) return "law 6: its record is back";
  if (told !== undefined && facts.asked !== undefined) {
    const wanted = facts.asked === "rollback" ? "rolled back" : "interrupted";
    if (told !== wanted && told !== "rolled back") return `law 2: an answered ${facts.asked} ended as ${told}`;
  }
  if (facts.asked === undefined && (told === "interrupted" || told === "rolled back") && !entry?.cancel && entry)
    return "law 2: it is called cancelled and nobody asked for it";
  if (facts.creation === "answered" && !entry && told === undefined) return "law 4: it is gone without a trace";
  if (facts.creation === "refused" && entry) return "law 12: it was refused and is there";
  return entry && faultOfEntry(state, before, entry);
}

function faultOfEntry(state: State, before: State | undefined, entry: Entry): string | undefined {
  const { phase, cancel, lease, end } = entry;
  const facts = state.runs[runOf(entry.run)]!;
  const isLeased = phase === "running" || phase === "stopping";
  if (isLeased !== (lease !== undefined))
    return "law 10: whether it executes and whether somebody has its lease are two things";
  if (phase === "waiting" && cancel) return "law 2: a cancel is stored and it waits to be executed";
  if (phase === "running" && cancel) return "law 2: a cancel is stored and it goes on";
  if ((phase === "stopping" || phase === "rolling_back") && !cancel)
    return "law 2: it is stopped and nobody asked for it";
  if (phase === "over" && cancel && end!.status !== "interrupted") return "law 2: a stored cancel ended otherwise";
  if (phase === "over" && !cancel && end!.status === "interrupted")
    return "law 2: it is called cancelled and nobody asked";
  if (phase === "rolling_back" && cancel!.action !== "rollback")
    return "law 4: it is rolled back and nobody asked for it";
  if (phase !== "over" && !facts.record) return "law 4: a run is live that has no record";
  if (phase === "over" && cancel?.action === "rollback") {
    if (facts.hasData) return "law 6: its rollback is over and data is left";
    const isNow = before && entryOf(before.control, entry.run)?.phase !== "over";
    if (isNow && facts.before !== undefined && facts.before !== stateOf(state.control))
      return "law 6: the thread is not as it was before the run";
  }
  if (isDelayed(entry) && lease) return "law 7: a delayed run executes";
  if (facts.losses >= maxLostAttempts && phase !== "over" && phase !== "rolling_back")
    return "law 10: it goes on after too many losses";
  if (phase === "over" && facts.isUnreachable && (end!.outcome === "stopped" || end!.outcome === "killed"))
    return `law 1: it is called ${end!.outcome} and nobody knows`;
  const was = before && entryOf(before.control, entry.run);
  if (was) return faultOfChange(was, entry);
  return before && faultOfArrival(before, facts.strategy, entry, state);
}

/** What double-texting asks for, when a run comes. */
function faultOfArrival(
  before: State,
  strategy: MultitaskStrategy,
  entry: Entry,
  { control }: State,
): string | undefined {
  const live = liveEntries(before.control.lane);
  if (before.control.removing) return "law 12: it came to a thread that goes";
  if (strategy === "reject" && live.length > 0) return "section 6: it was to be rejected and is there";
  if (strategy !== "interrupt" && strategy !== "rollback") return undefined;
  const spared = live.find(({ run }) => entryOf(control, run)?.cancel === undefined);
  const weak = live.find(({ run }) => strategy === "rollback" && entryOf(control, run)?.cancel?.action !== "rollback");
  return (spared ?? weak) ? `section 6: ${entry.run} has not cancelled what was live before it` : undefined;
}

function faultOfChange(was: Entry, entry: Entry): string | undefined {
  if (was === entry) return undefined;
  if (was.phase === "over" && (entry.phase !== "over" || entry.end!.status !== was.end!.status))
    return "law 3: what was over has changed";
  if (was.cancel && !entry.cancel) return "law 2: a stored cancel is gone";
  if (was.cancel?.action === "rollback" && entry.cancel!.action === "interrupt")
    return "law 4: a rollback was weakened";
  if (entry.changes <= was.changes) return "law 4: a change was not counted";
  if ((entry.lost ?? 0) < (was.lost ?? 0)) return "law 10: a lost attempt was forgotten";
  return undefined;
}

function faultOfThread(state: State, before: State | undefined): string | undefined {
  const { control } = state;
  const { holder, entries } = control.lane;
  if (state.upkeep === "astray") return "law 7: an edit was written by who did not hold the thread";
  if (state.upkeep === "half" && !holder) return "law 6: a deletion was left half done";
  const live = liveEntries(control.lane);
  if (holder && live.some(({ lease }) => lease)) return "law 7: something holds the thread while a run executes";
  if (live.length > 0 !== (control.status === "busy")) return "law 8: the thread's status is not what is live";
  if (control.removing && live.some(({ phase }) => phase === "waiting"))
    return "law 8: a run waits in a thread that goes";
  if (entries.some(({ owed, phase }) => (owed !== undefined) !== (phase === "over" || phase === "rolling_back")))
    return "law 8: what is owed is not what has ended";
  if (new Set(entries.map(({ run }) => run)).size < entries.length) return "law 4: a run is there twice";
  const inOrder = entries.filter((entry) => !isDelayed(entry));
  if (inOrder.some((entry, i) => i > 0 && entry.n < inOrder[i - 1]!.n))
    return "law 7: the order is not that of creation";
  if (before && before.control !== control) {
    const { headSince: _, ...fields } = computedFields(before.control, control, state.clock);
    for (const [name, value] of Object.entries(fields)) {
      const stored = control[name as keyof typeof control];
      const isSame =
        stored === value || (typeof value === "object" && JSON.stringify(stored) === JSON.stringify(value));
      if (!isSame) return `${name} is not what it is computed to be`;
    }
  }
  return undefined;
}
