import type { CancelAction, Phase, RunStatus } from "../../src/domain/transitions.ts";

/** Everything that is stored of one thread with two runs, and everything that is under way in the servers. */
export interface State {
  readonly thread: { readonly n: number; readonly turn: Holder | undefined };
  readonly runs: readonly (RunRecord | undefined)[];
  /** What is stored beside the records: one entry a run. */
  readonly beside: readonly Beside[];
  /** Processes in servers, each the list of the steps that it still has to do; sorted, since their order means nothing. */
  readonly actors: readonly Actor[];
  readonly left: Bounds;
  /** Servers sweep after a crash: when nothing else is under way but executions, or at any time. */
  readonly sweeping: "never" | "at rest" | "always";
}

/** What can still happen. */
export interface Bounds {
  readonly cancels: number;
  readonly deletes: number;
  /** All servers die. */
  readonly crashes: number;
  /** A server sleeps for longer than a lease. */
  readonly sleeps: number;
}

/** A run, by its position, or the deletion of one. */
export type Holder = 0 | 1 | typeof deletion;
export const deletion = 2;

export interface RunRecord {
  readonly n: number;
  readonly phase: Phase;
  readonly status: RunStatus;
  readonly ready: boolean;
  readonly attempt: number;
  /** Counts the leases; the newest is the one that is held. */
  readonly tokens: number;
  readonly lease:
    | { readonly token: number; readonly isOver: boolean; readonly unfenced: readonly number[] }
    | undefined;
  readonly cancel: { readonly action: CancelAction; readonly revision: number } | undefined;
  readonly cleanup: boolean;
}

export interface Beside {
  readonly creation: "none" | "begun" | "answered";
  /** The creation of the run before it had been answered when this one's began. */
  readonly isAfter: boolean;
  /** The id cannot be stored any more. */
  readonly isForbidden: boolean;
  /** Checkpoints or events of the run are there. */
  readonly hasData: boolean;
  /** Leases up to this one can write no data any more. */
  readonly fenced: number;
  readonly tombstone: Outcome | undefined;
}

export type Outcome = RunStatus | "rolled back";

/** Steps, parted by ";", each a name and what the process knows, parted by blanks: "freeTurn 0 2;cleanupDone 0". */
export type Actor = string;

const newBeside: Beside = {
  ...{ creation: "none", isAfter: false, isForbidden: false, hasData: false, fenced: 0, tombstone: undefined },
};

export const initialState = (left: Bounds): State => ({
  thread: { n: 0, turn: undefined },
  runs: [undefined, undefined],
  beside: [newBeside, newBeside],
  actors: [],
  left,
  sweeping: "never",
});

export function keyOf({ thread, runs, beside, actors, left, sweeping }: State): string {
  const counters = `${thread.n} ${thread.turn} ${left.cancels} ${left.deletes} ${left.crashes} ${left.sleeps} ${sweeping}`;
  const parts = [counters, ...runs.map(codeOfRecord), ...beside.map(codeOfRecord), ...actors];
  return parts.map((part) => (part.length === 1 ? part : codeOf(part))).join("");
}

/** One character for each text that occurs in keys. */
const codes = new Map<string, string>();

function codeOf(text: string): string {
  const known = codes.get(text);
  if (known !== undefined) return known;
  const made = String.fromCharCode(codes.size);
  codes.set(text, made);
  return made;
}

/** Records are never changed, so that their codes can be kept. */
const codesOfRecords = new WeakMap<object, string>();

function codeOfRecord(record: object | undefined): string {
  if (!record) return codeOf("none");
  const known = codesOfRecords.get(record);
  if (known !== undefined) return known;
  const made = codeOf(JSON.stringify(record));
  codesOfRecords.set(record, made);
  return made;
}

/** What somebody who asks for the run's outcome is told; undefined while it lives. */
export function outcomeOf(state: State, run: number): Outcome | undefined {
  const record = state.runs[run];
  if (record) return record.phase === "over" && !record.cleanup ? record.status : undefined;
  return state.beside[run]!.tombstone;
}

/** The runs whose nodes execute, with those whose process has just been killed left out. */
export function executing({ actors }: State): number[] {
  return actors.flatMap((actor) => (actor.startsWith("execute ") ? [Number(actor.charAt(8))] : []));
}

/** The waiting run with the smallest number. */
export function nextWaiting({ runs }: State): number | undefined {
  const waiting = [0, 1].filter((run) => runs[run]?.phase === "waiting");
  return waiting.sort((a, b) => runs[a]!.n - runs[b]!.n)[0];
}

export const withRun = (state: State, run: number, record: RunRecord | undefined): State => ({
  ...state,
  runs: state.runs.with(run, record),
});

export const withBeside = (state: State, run: number, change: Partial<Beside>): State => ({
  ...state,
  beside: state.beside.with(run, { ...state.beside[run]!, ...change }),
});

/** The caller knows that its run is created. */
export const answered = (state: State, run: number): State => withBeside(state, run, { creation: "answered" });
