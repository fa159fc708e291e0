import { type Entry, newControl, type ThreadControl } from "../../src/domain/thread/entry.ts";
import type { CancelAction, MultitaskStrategy, RunStatus } from "../../src/domain/transitions.ts";

/** Everything that is stored of one thread and its runs, and everything that is under way in the servers. */
export interface State {
  readonly control: ThreadControl;
  readonly runs: readonly RunFacts[];
  /** Sorted, since their order means nothing. */
  readonly processes: readonly Process[];
  /** The servers that live. Whoever dies is replaced at once. */
  readonly servers: readonly string[];
  /** Of servers that died: those whose processes nobody can know to be dead. */
  readonly unreachable: readonly string[];
  /** What a dead server has decided, on its way to the database: it lands unless somebody else has decided since. */
  readonly late: ThreadControl | undefined;
  /** Tokens whose writes fail; those that nobody has any more are left out. */
  readonly fenced: readonly string[];
  /** What the deletion of an earlier run has removed; or an edit was written by who did not hold the thread. */
  readonly upkeep: "none" | "half" | "whole" | "astray";
  /** 1 when delays have ended. */
  readonly clock: number;
  /** Names that were given. */
  readonly names: number;
  readonly left: Bounds;
}

/** What can still happen. */
export interface Bounds {
  /** Runs that are still to be created, in this order. */
  readonly creations: readonly NewRun[];
  readonly cancels: number;
  /** The live runs are cancelled with one call. */
  readonly cancelsOfAll: number;
  readonly holds: readonly ("edit" | "delete" | "copy")[];
  /** Child processes that die, and runs that are displaced. */
  readonly losses: number;
  readonly displacements: number;
  /** Servers that die, and such that sleep through their death and go on with one thing that they had under way. */
  readonly crashes: number;
  readonly sleeps: number;
  /** The decision of a server that dies may land later. */
  readonly lateDecisions: number;
  /** Claims whose answer is lost. */
  readonly lostAnswers: number;
  /** Servers that pay what is owed at the same time. */
  readonly payers: number;
  /** Each change of a run is written to its record, and may be late. */
  readonly projects: boolean;
  /** The thread is deleted. */
  readonly removals: number;
  /** Once no server can die any more, those that live do what they create, pay or sweep in one step. */
  readonly isCoarse: boolean;
}

export interface NewRun {
  readonly strategies: readonly MultitaskStrategy[];
  readonly isDelayed?: boolean;
}

/** What is stored of a run beside its entry, and what people know of it. */
export interface RunFacts {
  readonly creation: "none" | "begun" | "answered" | "refused" | "broken";
  readonly isDelayed: boolean;
  readonly strategy: MultitaskStrategy;
  /** The runs whose creation had been answered when this one's began. */
  readonly after: readonly number[];
  readonly record: { readonly made: number; readonly changes: number; readonly status: RunStatus } | undefined;
  readonly hasTombstone: boolean;
  /** Checkpoints or events of it are there. */
  readonly hasData: boolean;
  /** The strongest cancel that was answered OK. */
  readonly asked: CancelAction | undefined;
  /** What the thread would have returned to when it began to execute. */
  readonly before: string | undefined;
  /** Executions that were lost. */
  readonly losses: number;
  /** An execution of it was on a server whose processes may still be there. */
  readonly isUnreachable: boolean;
}

export type Process = { readonly server: string } & (
  | ({
      readonly kind: "create";
      readonly run: number;
      readonly at: "put" | "enter" | "unput";
      readonly made: number;
    } & Creating)
  | { readonly kind: "execute"; readonly run: number; readonly token: string }
  | { readonly kind: "end"; readonly run: number; readonly token: string; readonly result: Result }
  | { readonly kind: "fence"; readonly run: number; readonly token: string; readonly tokens: readonly string[] }
  | { readonly kind: "project"; readonly run: number; readonly changes: number; readonly status: RunStatus }
  | { readonly kind: "pay"; readonly run: number; readonly at: Payment; readonly changes: number }
  | {
      readonly kind: "hold";
      readonly id: string;
      readonly what: string;
      readonly at: "fence" | "half" | "whole" | "release";
      readonly tokens?: readonly string[];
    }
  | { readonly kind: "sweep"; readonly run: number; readonly at: "forget" | "remove"; readonly made: number }
);

interface Creating {
  readonly strategy: MultitaskStrategy;
  /** Its server slept meanwhile. */
  readonly isSlow: boolean;
}

export type Result = "success" | "stopped" | "lost" | "displaced";
export type Payment = "removeData" | "finishRollback" | "tombstone" | "removeRecord" | "store" | "projected";

const newFacts: RunFacts = {
  creation: "none",
  isDelayed: false,
  strategy: "enqueue",
  after: [],
  record: undefined,
  hasTombstone: false,
  hasData: false,
  asked: undefined,
  before: undefined,
  losses: 0,
  isUnreachable: false,
};

export const noBounds: Bounds = {
  creations: [],
  cancels: 0,
  cancelsOfAll: 0,
  holds: [],
  losses: 0,
  displacements: 0,
  crashes: 0,
  sleeps: 0,
  lateDecisions: 0,
  lostAnswers: 0,
  payers: 1,
  projects: false,
  removals: 0,
  isCoarse: false,
};

export const initialState = (left: Bounds): State => ({
  control: newControl({ threadId: "thread", rev: "", metadata: {} }, 0),
  runs: left.creations.map(() => newFacts),
  processes: [],
  servers: ["s0", "s1"],
  unreachable: [],
  late: undefined,
  fenced: [],
  upkeep: "none",
  clock: 0,
  names: 2,
  left,
});

/** Runs are named r0, r1, r2 in the control. */
export const nameOf = (run: number): string => `r${run}`;
export const runOf = (name: string): number => Number(name.slice(1));

export const isLive = ({ servers }: State, { server }: { server: string }): boolean => servers.includes(server);

export const withFacts = (state: State, run: number, change: Partial<RunFacts>): State => ({
  ...state,
  runs: state.runs.with(run, { ...state.runs[run]!, ...change }),
});

export const withProcesses = (state: State, ...more: readonly Process[]): State =>
  more.length === 0 ? state : { ...state, processes: [...state.processes, ...more] };

export const without = (state: State, process: Process): State => ({
  ...state,
  processes: state.processes.filter((one) => one !== process),
});

/** The same with a name that nobody has. */
export function named(state: State, letter: "s" | "t" | "h"): [State, string] {
  return [{ ...state, names: state.names + 1 }, letter + state.names];
}

/** Times change nothing in the model, and names are as good as others. */
export function keyOf(state: State): string {
  const { control, runs, processes, servers, unreachable, late, fenced, upkeep, clock, left } = state;
  const main = [
    ...[textOfControl(control), late ? textOfControl(late) : "", upkeep, clock, textOf(left, textOfBounds)],
    ...runs.map((facts) => textOf(facts, JSON.stringify)),
    ...processes.map((process) => textOf(process, (one) => Object.values(one).join(" "))).sort(),
  ];
  const names = new Map<string, string>();
  const rename = (name: string) => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const made = name[0]! + names.size;
    names.set(name, made);
    return made;
  };
  const text = main.join("\n").replace(/\b[sth]\d+\b/g, rename);
  const known = (list: readonly string[]) =>
    list
      .filter((name) => names.has(name))
      .map(rename)
      .sort();
  return `${text}\n${known(servers)}\n${known(unreachable)}\n${known(fenced)}`;
}

/** Nothing is ever changed in place, so that the texts can be kept. */
const texts = new WeakMap<object, string>();

function textOf<T extends object>(value: T, make: (value: T) => string): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  const made = make(value);
  texts.set(value, made);
  return made;
}

/** All that decides about what comes: what is computed follows from it. */
function textOfControl({ lane, state, last, removing }: ThreadControl): string {
  const { n, entries, holder } = lane;
  const held = holder ? `${holder.kind} ${holder.id} ${holder.server} ${holder.tokensToFence}` : "";
  const facts = `${n} ${held} ${state?.n} ${last?.n} ${last?.status} ${last?.unread} ${removing}`;
  return facts + entries.map((entry) => textOf(entry, textOfEntry)).join("");
}

function textOfEntry(entry: Entry): string {
  const { run, n, changes, phase, due, first, attempt, lost, unreachable, lease, cancel, end, owed } = entry;
  const life = `${run} ${n} ${changes} ${phase} ${due} ${first !== undefined} ${attempt} ${lost} ${unreachable}`;
  const held = lease ? `${lease.token} ${lease.server} ${lease.tokensToFence}` : "";
  const asked = cancel ? `${cancel.action} ${cancel.by} ${cancel.cause}` : "";
  const ended = end ? `${end.status} ${end.outcome} ${end.token}` : "";
  return `\n${life}|${held}|${asked}|${ended}|${owed?.server}`;
}

/** What has no part in it never changes. */
const textOfBounds = (left: Bounds): string => Object.values(left).join(" ");
