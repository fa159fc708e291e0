import type { CancelAction } from "../../src/domain/transitions.ts";
import { allows, claimed, over, type Table } from "./lifecycle-guards.ts";
import {
  answered,
  deletion,
  type Holder,
  nextWaiting,
  outcomeOf,
  type RunRecord,
  type State,
  withBeside,
  withRun,
} from "./lifecycle-state.ts";

/** What a process does after a step: the steps that come now, before those that it had left. Undefined: it has to wait. */
export interface Done {
  readonly state: State;
  readonly then: readonly string[];
}

export interface Rules {
  readonly table: Table;
  /** A look is one step with the guarded update that follows, and sweeps begin only when nothing else is under way. */
  readonly isCoarse: boolean;
  /** What the storage asks for beside the table; a test takes one away to see that it is needed. */
  readonly without: ReadonlySet<
    | "n-guard of freeTurn"
    | "late release"
    | "look after freeTurn"
    | "turn-guard of takeTurn"
    | "fence at takeover"
    | "forbidden ids"
    | "attempt-guard of cancelWaiting"
    | "revision-guard of requestCancel"
  >;
}

type Operation = (state: State, rules: Rules, args: readonly number[]) => Done[];

/**
 * One database operation each, as the code does them, with what is done between two of them in the server's memory added to
 * the one before. `find...` operations read, and what they read is what the next step believes.
 */
export const operations: Readonly<Record<string, Operation>> = {
  // domain/create-run.ts
  enter(state, _, [run]) {
    const { n, turn } = state.thread;
    const hasTurn = turn === undefined;
    const entered = { ...state, thread: { n: n + 1, turn: hasTurn ? (run as Holder) : turn } };
    return [does(entered, `insert ${run} ${n + 1} ${Number(hasTurn)}`)];
  },
  insert(state, { table }, [run, n, hasTurn]) {
    if (state.beside[run!]!.isForbidden) return [does(state, ...(hasTurn ? release(run!) : []))];
    const waiting: RunRecord = {
      ...{ n: n!, phase: "waiting", status: "pending", ready: hasTurn === 1, attempt: 0, tokens: 0 },
      ...{ lease: undefined, cancel: undefined, cleanup: false },
    };
    // The caller hears of it a little later; a run that begins in between has still to be in order.
    const stored = (record: RunRecord) => answered(withRun(state, run!, record), run!);
    if (!hasTurn) return [does(stored(waiting), "promote")];
    // With a place at a worker it is stored as claimed.
    return [does(stored(waiting)), does(withData(stored(claimed(waiting, table)), run!), `execute ${run} 1 ${n} 0`)];
  },
  // worker/scheduler.ts
  claim(state, { table }, [run]) {
    const record = state.runs[run!];
    if (!allows(table.claim, record)) return [does(state)];
    const taken = claimed(record, table);
    const { n } = state.thread;
    return [does(withData(withRun(state, run!, taken), run!), `execute ${run} ${taken.tokens} ${n} 1`)];
  },
  /**
   * The child executes, and writes from its first moment on, until it hears of a stored cancel or comes to its end. Its server
   * knows the thread's number from when it began (`n`), and whether the run had waited before.
   */
  execute(state, _, [run, token, n, hasWaited]) {
    const record = state.runs[run!];
    const ends = [does(state, `settle ${run} ${token} ${results.success} ${n} ${hasWaited}`)];
    if (record?.cancel && record.lease?.token === token)
      ends.push(does(state, `findCancel ${run} ${token} ${results.displaced} ${n} ${hasWaited}`));
    return ends;
  },
  /** Its process is dead, as its lease was over; what it sent before may still be written. */
  late(state, _, [run, token, n, hasWaited]) {
    const { hasData, fenced } = state.beside[run!]!;
    const ends = [results.displaced, results.success].map(
      (result) => `settle ${run} ${token} ${result} ${n} ${hasWaited}`,
    );
    const written = !hasData && fenced < token! ? [withBeside(state, run!, { hasData: true })] : [];
    return [state, ...written].flatMap((now) => ends.map((settle) => does(now, settle)));
  },

  // worker/settle.ts
  settle(state, { table }, [run, token, result, n, hasWaited]) {
    const record = state.runs[run!];
    const held = { token };
    if (result === results.success && allows(table.finish, record, held)) {
      return [does(withRun(state, run!, over(record, table.finish)), ...finishRun(run!, true, { n, hasWaited }))];
    }
    if (result === results.displaced && allows(table.handBack, record, held)) {
      const back = {
        ...record,
        phase: table.handBack.to,
        status: table.handBack.status[0]!,
        ready: true,
        lease: undefined,
      };
      return [does(withRun(state, run!, back))];
    }
    return [does(state, ["findCancel", run, token, result, ...known(n, hasWaited)].join(" "))];
  },
  findCancel(state, _, [run, token, result, n, hasWaited]) {
    const record = state.runs[run!];
    // A late outcome is dropped.
    if (record?.lease?.token !== token) return [does(state)];
    const rest = [result!, ...known(n, hasWaited)].join(" ");
    if (!record?.cancel) return [does(state, `settle ${run} ${token} ${rest}`)];
    const { action, revision } = record.cancel;
    return [does(state, `settleCancelled ${run} ${token} ${revision} ${actions.indexOf(action)} ${rest}`)];
  },
  settleCancelled(state, { table }, [run, token, revision, action, result, n, hasWaited]) {
    const record = state.runs[run!];
    const transition = action === 0 ? table.settleInterrupt : table.settleRollback;
    if (!allows(transition, record, { token, revision }))
      return [does(state, `settle ${run} ${token} ${[result!, ...known(n, hasWaited)].join(" ")}`)];
    return [does(withRun(state, run!, over(record, transition)), ...end(run!, action!, true, { n, hasWaited }))];
  },

  // domain/cancel-runs.ts
  findToCancel(state, _, [run, action]) {
    const record = state.runs[run!];
    if (!record || record.phase === "over" || record.phase === "rolling_back") return [does(state)];
    const stored = record.cancel ? actions.indexOf(record.cancel.action) : -1;
    if (stored >= action!) return [does(state)];
    const seen = record.phase === "waiting" ? `cancelWaiting ${run} ${action} ${record.attempt}` : undefined;
    return [does(state, seen ?? `requestCancel ${run} ${action} ${record.cancel?.revision ?? 0}`)];
  },
  cancelWaiting(state, { table, without }, [run, action, attempt]) {
    const record = state.runs[run!];
    const transition = action === 0 ? table.cancelWaiting : table.rollBackWaiting;
    const isUnclaimed = record?.attempt === attempt || without.has("attempt-guard of cancelWaiting");
    if (!allows(transition, record) || !isUnclaimed) return [does(state, `findToCancel ${run} ${action}`)];
    const cancel = { action: actions[action!]!, revision: 1 };
    const ended = { ...over(record, transition), cancel };
    return [does(withRun(state, run!, ended), ...end(run!, action!, attempt! > 0))];
  },
  requestCancel(state, { table, without }, [run, action, seen]) {
    const record = state.runs[run!];
    const isUnchanged = (record?.cancel?.revision ?? 0) === seen || without.has("revision-guard of requestCancel");
    if (!allows(table.requestCancel, record) || !isUnchanged) return [does(state, `findToCancel ${run} ${action}`)];
    const cancel = { action: actions[action!]!, revision: seen! + 1 };
    return [does(withRun(state, run!, { ...record, phase: table.requestCancel.to, cancel }))];
  },

  // domain/finish-run.ts
  removeData: (state, _, [run]) => [does(withBeside(state, run!, { hasData: false }), `entomb ${run}`)],
  /** The first tombstone stays. */
  entomb(state, _, [run]) {
    const record = state.runs[run!];
    const outcome =
      record?.phase === "over" ? record.status : record?.phase === "rolling_back" ? "rolled back" : undefined;
    return [does(withBeside(state, run!, { tombstone: state.beside[run!]!.tombstone ?? outcome }))];
  },
  remove(state, _, [run]) {
    const phase = state.runs[run!]?.phase;
    return [does(phase === "over" || phase === "rolling_back" ? withRun(state, run!, undefined) : state)];
  },
  cleanupDone(state, _, [run]) {
    const record = state.runs[run!];
    return [does(record?.phase === "over" ? withRun(state, run!, { ...record, cleanup: false }) : state)];
  },
  findThread(state, _, [from]) {
    const { n, turn } = state.thread;
    return [does(state, ...(turn === from ? [`findNext ${from} ${n}`] : []))];
  },
  releaseLate(state, { without }, [run]) {
    const hasTurn = state.thread.turn === run && !without.has("late release");
    return [does(state, ...(hasTurn ? [`findNext ${run} ${state.thread.n}`] : []))];
  },
  /** Nobody is looked for beside the thread's only run. */
  findNext(state, _, [from, n]) {
    const next = isOnlyRun(from!, n!) ? undefined : nextWaiting(state);
    return [does(state, next === undefined ? `freeTurn ${from} ${n}` : `passTurn ${from} ${next}`)];
  },
  freeTurn(state, { without }, [from, n]) {
    const { thread } = state;
    const isUnchanged = thread.n === n || without.has("n-guard of freeTurn");
    if (thread.turn !== from || !isUnchanged) return [does(state, `findThread ${from}`)];
    const freed = { ...state, thread: { ...thread, turn: undefined } };
    const looks = !isOnlyRun(from!, n!) && !without.has("look after freeTurn");
    return [does(freed, ...(looks ? ["promote"] : []))];
  },
  passTurn(state, _, [from, next]) {
    if (state.thread.turn !== from) return [does(state, `findThread ${from}`)];
    return [does({ ...state, thread: { ...state.thread, turn: next as Holder } }, `markReady ${next}`)];
  },
  markReady(state, _, [run]) {
    const record = state.runs[run!];
    if (record?.phase === "waiting") return [does(withRun(state, run!, { ...record, ready: true }))];
    return [does(state, `findTaken ${run}`)];
  },
  /** One that was cancelled before it had the turn passes it on. */
  findTaken(state, _, [run]) {
    const now = state.runs[run!];
    const keeps =
      now &&
      (now.attempt > 0 ? now.phase !== "over" || now.cleanup : now.phase !== "over" && now.phase !== "rolling_back");
    return [does(state, ...(keeps ? [] : [`findThread ${run}`]))];
  },
  promote(state) {
    const next = nextWaiting(state);
    return [does(state, ...(next === undefined ? [] : [`takeTurn ${next}`]))];
  },
  takeTurn(state, { without }, [run]) {
    const { thread } = state;
    if (thread.turn !== undefined && !without.has("turn-guard of takeTurn")) return [does(state, `findTurn ${run}`)];
    return [does({ ...state, thread: { ...thread, turn: run as Holder } }, `markReady ${run}`)];
  },
  findTurn: (state, _, [run]) => [does(state, ...(state.thread.turn === run ? [`markReady ${run}`] : []))],

  // domain/threads.ts: deleteRun
  findToDelete(state, _, [run]) {
    const record = state.runs[run!];
    if (!record) return [does(state)];
    if (record.phase === "over" && !record.cleanup) return [does(state, `lockForDeletion ${run}`)];
    return [does(state, `findToCancel ${run} 1`, `awaitEnd ${run}`)];
  },
  awaitEnd(state, _, [run]) {
    if (outcomeOf(state, run!) === undefined) return [];
    return [does(state, ...(state.runs[run!] ? [`lockForDeletion ${run}`] : []))];
  },
  lockForDeletion(state, _, [run]) {
    if (state.thread.turn !== undefined) return [does(state)];
    const locked: State = { ...state, thread: { ...state.thread, turn: deletion } };
    return [does(locked, `removeData ${run}`, ...release(deletion), `remove ${run}`)];
  },

  // worker/sweep.ts
  takeOver(state, { without }, [run, token]) {
    const record = state.runs[run!];
    if (record?.lease?.token !== token) return [does(state)];
    const unfenced = [...record!.lease!.unfenced, token!];
    const tokens = record!.tokens + 1;
    const taken = { ...record!, tokens, lease: { token: tokens, isOver: false, unfenced } };
    const fences = without.has("fence at takeover") ? [] : unfenced.map((one) => `fence ${run} ${one}`);
    return [does(withRun(state, run!, taken), ...fences, `settle ${run} ${tokens} ${results.displaced}`)];
  },
  fence: (state, _, [run, token]) => [
    does(withBeside(state, run!, { fenced: Math.max(token!, state.beside[run!]!.fenced) })),
  ],
  findHolder(state, _, [holder]) {
    const record = state.runs[holder!];
    if (record?.phase === "waiting") return [does(state, `markWaitingReady ${holder}`)];
    if (record) return [does(state, ...(record.phase === "over" && !record.cleanup ? release(holder!) : []))];
    return [does(state, `forbid ${holder}`)];
  },
  markWaitingReady(state, _, [run]) {
    const record = state.runs[run!];
    return [does(record?.phase === "waiting" ? withRun(state, run!, { ...record, ready: true }) : state)];
  },
  forbid(state, { without }, [holder]) {
    if (state.runs[holder!]) return [does(state)];
    const isRun = holder !== deletion && !without.has("forbidden ids");
    return [does(isRun ? withBeside(state, holder!, { isForbidden: true }) : state, ...release(holder!))];
  },
};

/** The end of an execution, as a worker knows it. A stop for a stored cancel needs no result of its own: see findCancel. */
const results = { success: 0, displaced: 1 } as const;
export const actions: readonly CancelAction[] = ["interrupt", "rollback"];

/** What the server in which it executed knows. */
interface Known {
  readonly n?: number;
  readonly hasWaited?: number;
}
const known = (n?: number, hasWaited?: number): number[] => (n === undefined ? [] : [n, hasWaited!]);

const end = (run: number, action: number, isStarted: boolean, before?: Known) =>
  action === 0 ? finishRun(run, isStarted, before) : finishRollback(run, isStarted);
const isOnlyRun = (holder: number, n: number) => n === 1 && holder !== deletion;
const release = (from: number) => [`findThread ${from}`];

/** `isStarted`: the run had been claimed before, so that it may have had the turn. */
export const finishRun = (run: number, isStarted: boolean, { n, hasWaited }: Known = {}) => [
  ...(n === undefined ? release(run) : [`findNext ${run} ${n}`]),
  `cleanupDone ${run}`,
  ...(isStarted && hasWaited !== 0 ? [`releaseLate ${run}`] : []),
];
export const finishRollback = (run: number, isStarted: boolean) => [
  ...[`removeData ${run}`, ...release(run), `remove ${run}`],
  ...(isStarted ? [`releaseLate ${run}`] : []),
];

const withData = (state: State, run: number) => withBeside(state, run, { hasData: true });
export const does = (state: State, ...then: string[]): Done => ({ state, then });
