import { dutiesOf } from "../../src/domain/thread/effects.ts";
import { entryOf, firstInTurn, isEnded } from "../../src/domain/thread/entry.ts";
import { decide, landed, type Rules } from "./lane-decide.ts";
import { faultOf } from "./lane-laws.ts";
import {
  type Bounds,
  without as ended,
  initialState,
  isLive,
  keyOf,
  named,
  nameOf,
  noBounds,
  type Payment,
  type Process,
  runOf,
  type State,
  withFacts,
  withProcesses,
} from "./lane-state.ts";
import { type Done, endCommand, enterCommand, lost, stepOf, stepsOf } from "./lane-steps.ts";
import type { Step, System } from "./search.ts";

/** The life of the runs of one thread, on the real reducer, with everything that can happen to them within the bounds. */
export function laneSystem(rules: Rules, bounds: Partial<Bounds>): System<State> {
  return {
    initial: initialState({ ...noBounds, ...bounds }),
    key: keyOf,
    *steps(state) {
      for (const process of new Set(state.processes)) {
        for (const { what, state: to } of next(state, process, rules)) {
          yield step(() => `${labelOf(process)}: ${what}`, to, isLive(state, process));
        }
        if (!isLive(state, process))
          yield step(() => `${labelOf(process)}: end with its server`, ended(state, process), true);
      }
      for (const server of state.servers) yield* byThemselves(state, server, rules);
      for (const server of payersOf(state)) yield* debts(state, server, rules);
      if (state.clock === 0 && state.runs.some(({ isDelayed: delayed }) => delayed)) {
        yield step("delays end", { ...state, clock: 1 }, true);
      }
      if (state.late) yield step("the late decision lands", landed(state, state.late), false);
      yield* requests(state, rules);
      yield* misfortunes(state, rules);
    },
    fault: faultOf,
    isSettled: (state) => {
      const { lane } = state.control;
      const isQuiet = state.processes.every((process) => !isLive(state, process));
      return isQuiet && lane.entries.length === 0 && !lane.holder && !state.runs.some((_, run) => isOrphan(state, run));
    },
  };
}

function next(state: State, process: Process, rules: Rules): Generator<Done> {
  const { isCoarse, crashes, sleeps } = state.left;
  const isSafe = isCoarse && crashes + sleeps === 0 && isLive(state, process);
  const isAlone = process.kind === "create" || process.kind === "pay" || process.kind === "sweep";
  return isSafe && isAlone ? stepsOf(state, process, rules) : stepOf(state, process, rules);
}

const step = (label: string | (() => string), to: State, isProgress: boolean): Step<State> => ({
  label: typeof label === "string" ? () => label : label,
  to,
  isProgress,
});

function labelOf(process: Process): string {
  const { kind, server, ...rest } = process;
  const facts = Object.values(rest).map((value) => String(value));
  return `${server} ${kind} ${facts.join(" ")}`;
}

/** A record without an entry that does not say that its run was executed. */
const isOrphan = ({ runs, control }: State, run: number): boolean =>
  runs[run]!.record?.status === "pending" && entryOf(control, nameOf(run)) === undefined;

/** What a server begins by itself, since it looks at what is stored. */
function* byThemselves(state: State, server: string, rules: Rules): Generator<Step<State>> {
  const { control, processes } = state;
  const isMine = (process: Process) => process.server === server;
  for (const entry of control.lane.entries) {
    // Of what may not be claimed any more somebody may think so who has looked long ago; one such server is enough.
    const isReady = control.head === "ready" && entry === firstInTurn(control.lane);
    if (isEnded(entry) || !(isReady || server === state.servers[0]) || !state.runs[runOf(entry.run)]!.record) continue;
    const [after, token] = named(state, "t");
    const command = { kind: "claim", server, run: entry.run, token, parentIsLive: true } as const;
    const { state: claimed, answer } = decide(after, command, rules);
    if (answer?.did !== "done") continue;
    yield step(`${server} claims ${entry.run}`, claimed, true);
    if (state.left.lostAnswers > 0)
      yield step(`${server} claims ${entry.run}, answer lost`, lost(decide(after, command, rules, true).state), false);
  }
  const isHeld = control.head === "leased" || control.head === "held";
  const debtors = control.lane.entries.flatMap(({ owed }) => (owed ? [owed.server] : []));
  const suspects = new Set([...(isHeld ? [control.headServer] : []), ...debtors]);
  for (const dead of suspects) {
    if (dead === undefined || state.servers.includes(dead)) continue;
    const [after, token] = named(state, "t");
    const reachable = !state.unreachable.includes(dead);
    const command = { kind: "takeOver", server, dead, token, reachable } as const;
    yield step(`${server} takes over from ${dead}`, decide(after, command, rules).state, true);
  }
  if (control.due !== undefined && control.due <= state.clock) {
    yield step(`${server} lets runs join`, decide(state, { kind: "due", server }, rules).state, true);
  }
  const first = control.lane.entries.find(({ lease }) => lease?.server === server);
  const isKnown = processes.some(
    (process) => isMine(process) && "token" in process && process.token === first?.lease?.token,
  );
  if (first && !isKnown && !rules.without.has("heartbeat compares")) {
    const { token, tokensToFence: tokens } = first.lease!;
    const unknown: Process = tokens
      ? { kind: "fence", server, run: runOf(first.run), token, tokens }
      : { kind: "end", server, run: runOf(first.run), token, result: "displaced" };
    yield step(`${server} finds that it has ${first.run}`, withProcesses(state, unknown), true);
  }
  for (const run of state.runs.keys()) {
    const isActive = processes.some((one) => isFresh(one, run));
    if (!isOrphan(state, run) || isActive) continue;
    const { made } = state.runs[run]!.record!;
    const at = rules.without.has("forget before a record goes") ? "remove" : "forget";
    yield step(`${server} sweeps ${nameOf(run)}`, withProcesses(state, { kind: "sweep", server, run, at, made }), true);
  }
}

/** Records are swept when they are old; a creation that is under way has just stored its own, unless its server slept. */
const isFresh = (one: Process, run: number): boolean =>
  (one.kind === "create" && one.run === run && !one.isSlow) || (one.kind === "sweep" && one.run === run);

/** Which server pays makes no difference where none can die and one is enough. */
function payersOf({ servers, left }: State): readonly string[] {
  const isSafe = left.isCoarse && left.payers === 1 && left.crashes + left.sleeps === 0;
  return isSafe ? servers.slice(0, 1) : servers;
}

function* debts(state: State, server: string, { without: left }: Rules): Generator<Step<State>> {
  for (const entry of state.control.lane.entries) {
    if (!entry.owed) continue;
    const run = runOf(entry.run);
    const payers = state.processes.filter((one) => one.kind === "pay" && one.run === run && isLive(state, one));
    if (payers.length >= state.left.payers || payers.some((one) => one.server === server)) continue;
    const duty = dutiesOf(state.control, entry).find((one) => one in beginnings);
    const usual = beginnings[duty as keyof typeof beginnings];
    const isEager = left.has("data before the end of a rollback") && usual === "removeData";
    const at = isEager ? "finishRollback" : usual;
    const process: Process = { kind: "pay", server, run, at, changes: entry.changes };
    yield step(`${server} pays for ${entry.run}`, withProcesses(state, process), true);
  }
}

const beginnings = {
  removeData: "removeData",
  storeTombstone: "tombstone",
  storeProjection: "store",
} as const satisfies Record<string, Payment>;

/** What somebody asks for, of one server: of which does not matter where nothing is left to be done after the decision. */
function* requests(state: State, rules: Rules): Generator<Step<State>> {
  const { left, runs, control } = state;
  const [server] = state.servers;
  const run = runs.length - left.creations.length;
  const [creation, ...creations] = left.creations;
  if (creation) {
    const after = [...runs.keys()].filter((other) => runs[other]!.creation === "answered");
    const isDelayed = creation.isDelayed === true;
    const begun = withFacts({ ...state, left: { ...left, creations } }, run, { creation: "begun", after, isDelayed });
    for (const strategy of creation.strategies) {
      const asking = withFacts(begun, run, { strategy });
      const process: Process = { kind: "create", server: server!, run, at: "put", made: 0, strategy, isSlow: false };
      yield step(`create ${nameOf(run)} with ${strategy}`, withProcesses(asking, process), false);
    }
  }
  for (const action of ["interrupt", "rollback"] as const) {
    const wish = { action, reason: "", by: "client" } as const;
    if (left.cancels > 0) {
      const asking = { ...state, left: { ...left, cancels: left.cancels - 1 } };
      for (const { run: name } of control.lane.entries) {
        const command = { kind: "requestCancel", server: server!, runs: [name], wish } as const;
        yield step(`${action} ${name}`, decide(asking, command, rules).state, false);
      }
    }
    if (left.cancelsOfAll > 0) {
      const asking = { ...state, left: { ...left, cancelsOfAll: left.cancelsOfAll - 1 } };
      const command = { kind: "requestCancel", server: server!, runs: "live", wish } as const;
      yield step(`${action} all`, decide(asking, command, rules).state, false);
    }
  }
  if (left.removals > 0) {
    const wish = { action: "interrupt", reason: "", by: "client" } as const;
    const asking = { ...state, left: { ...left, removals: left.removals - 1 } };
    const command = { kind: "change", server: server!, remove: { when: "stop", wish } } as const;
    yield step("delete the thread", decide(asking, command, rules).state, false);
  }
  for (const what of new Set(left.holds)) {
    const [asking, id] = named(
      { ...state, left: { ...left, holds: left.holds.toSpliced(left.holds.indexOf(what), 1) } },
      "h",
    );
    const { state: held, answer } = decide(asking, { kind: "hold", server: server!, id, what }, rules);
    if (answer)
      yield step(
        `hold for ${what}`,
        withProcesses(held, { kind: "hold", server: server!, id, what, at: "half" }),
        false,
      );
  }
}

/** Servers die, with all that was under way there; or they sleep through their death, and go on with one thing. */
function* misfortunes(state: State, rules: Rules): Generator<Step<State>> {
  const { left, servers, processes } = state;
  if (left.crashes === 0 && left.sleeps === 0) return;
  for (const server of servers) {
    const own = processes.filter((process) => process.server === server);
    const isNeeded = own.length > 0 || state.control.headServer === server || state.control.owes?.server === server;
    if (!isNeeded) continue;
    if (left.crashes > 0) {
      const dead = died({ ...state, left: { ...left, crashes: left.crashes - 1 } }, server);
      yield step(`${server} dies`, dead, false);
      yield* lateDecisions(dead, own, rules);
    }
    if (left.sleeps === 0) continue;
    const asleep = died(
      { ...state, left: { ...left, sleeps: left.sleeps - 1 }, unreachable: [...state.unreachable, server] },
      server,
    );
    if (own.length === 0) yield step(`${server} sleeps for long`, asleep, false);
    for (const process of own) {
      const woken: Process = process.kind === "create" ? { ...process, isSlow: true } : process;
      yield step(() => `${server} sleeps for long with: ${labelOf(woken)}`, withProcesses(asleep, woken), false);
    }
  }
}

function died(state: State, server: string): State {
  const [after, name] = named(state, "s");
  const dead: State = {
    ...after,
    servers: [...after.servers.filter((one) => one !== server), name],
    processes: after.processes.filter((process) => process.server !== server),
  };
  const creating = state.processes.filter((one) => one.kind === "create" && one.server === server) as Extract<
    Process,
    { kind: "create" }
  >[];
  return creating.reduce<State>((now, { run }) => {
    const isBegun = now.runs[run]!.creation === "begun";
    return isBegun ? withFacts(now, run, { creation: "broken" }) : now;
  }, dead);
}

/** One of its decisions was on its way, made on what is stored. */
function* lateDecisions(state: State, own: readonly Process[], rules: Rules): Generator<Step<State>> {
  if (state.left.lateDecisions === 0) return;
  for (const process of own) {
    if (process.kind !== "end" && !(process.kind === "create" && process.at === "enter")) continue;
    const left = { ...state.left, lateDecisions: state.left.lateDecisions - 1 };
    const [after, token] = named({ ...state, left }, "t");
    const command = process.kind === "end" ? endCommand(process, token) : enterCommand(after, process, token);
    const late = decide(after, command, rules, true).state.control;
    yield step(() => `its last decision is on its way: ${labelOf(process)}`, { ...after, late }, false);
  }
}
