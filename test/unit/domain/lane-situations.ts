import type { Answer, Command, Reduction } from "../../../src/domain/thread/commands.ts";
import { newControl, type ThreadControl } from "../../../src/domain/thread/entry.ts";
import { reduce } from "../../../src/domain/thread/lane.ts";

/** A command without what most of them do not care about. */
export type Given = Command extends infer C
  ? C extends Command
    ? Omit<C, "server"> & { server?: string }
    : never
  : never;

export const commandOf = (given: Given): Command => ({ server: "s0", ...given }) as Command;

export const fresh = newControl({ threadId: "thread", rev: "0", metadata: {} }, 0);

/** What the decision makes of the thread. Throws when it is refused. */
export function decided(control: ThreadControl, given: Given, now = 1): Extract<Reduction, { answer: Answer }> {
  const reduction = reduce(control, commandOf(given), now);
  if ("refusal" in reduction) throw new Error(reduction.refusal.message);
  return reduction;
}

export const threadAfter = (...commands: Given[]): ThreadControl =>
  commands.reduce((control, one) => decided(control, one).control, fresh);

export const interrupt = { action: "interrupt", reason: "because", by: "client" } as const;
export const rollback = { action: "rollback", reason: "because", by: "client" } as const;
export const state = { graph: "graph", next: [], interrupts: [] };

export const enter = { kind: "enter", run: "a", strategy: "enqueue" } as const;
export const start = { ...enter, next: "t0" } as const;
const ended = { run: "a", token: "t0", sequence: 7 } as const;
export const success = { kind: "settle", ...ended, result: "success", state } as const;
export const stopped = { kind: "settle", ...ended, result: "stopped", state } as const;
export const handBack = { kind: "handBack", ...ended } as const;
const cancel = (wish: typeof interrupt | typeof rollback) => ({ kind: "requestCancel", runs: ["a"], wish }) as const;
export const takeOver = { kind: "takeOver", server: "s1", dead: "s0", token: "t1", reachable: true } as const;

/** A thread with one run in each situation that a run can be in, by how it comes to it. */
export const situations = {
  none: [],
  waiting: [enter],
  delayed: [{ ...enter, due: 10 }],
  back: [start, handBack],
  running: [start],
  taken: [start, takeOver],
  stopping: [start, cancel(interrupt)],
  undoing: [start, cancel(rollback)],
  rolling: [start, cancel(rollback), stopped],
  success: [start, success],
  cancelled: [start, cancel(interrupt), stopped],
  undone: [start, cancel(rollback), stopped, { kind: "finishRollback", run: "a" }],
} as const satisfies Record<string, readonly Given[]>;

export const commands = {
  enter,
  claim: { kind: "claim", run: "a", token: "t9" },
  interrupt: cancel(interrupt),
  rollback: cancel(rollback),
  success,
  stopped,
  late: { ...success, token: "t9" },
  handBack,
  lost: { ...handBack, lost: true },
  delivered: { kind: "delivered", run: "a", token: "t0", deliveredAt: 1 },
  takeOver,
  due: { kind: "due" },
  hold: { kind: "hold", id: "h0", what: "edit" },
  finish: { kind: "finishRollback", run: "a" },
  confirm: { kind: "confirm", run: "a" },
  noEntry: { kind: "forget", run: "a", lacks: "entry" },
  noRecord: { kind: "forget", run: "a", lacks: "record" },
  remove: { kind: "change", remove: { when: "stop", wish: interrupt } },
} as const satisfies Record<string, Given>;
