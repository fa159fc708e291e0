import type { CancelAction } from "../transitions.ts";
import { type Entry, firstInTurn, isEnded, type ThreadControl, type Time } from "./entry.ts";

/**
 * What a decision makes necessary beside what its sender does with the answer. A crash loses them; who looks at the control finds
 * each again, by the field named here.
 */
export type Effect =
  /** A run that executes is to stop, on that server. By `phase`. */
  | {
      readonly kind: "stop";
      readonly run: string;
      readonly server: string;
      readonly action: CancelAction;
      readonly reason: string;
    }
  /** A run is cancelled, and so are those that its nodes have created. By `cancel` of what is still owed. */
  | { readonly kind: "cancelChildren"; readonly run: string; readonly action: CancelAction }
  /** The run's record is to say what the entry says. An end by `owes`; anything before it comes with the next change. */
  | { readonly kind: "project"; readonly run: string; readonly changes: number }
  /** A run may be claimed. By `head`. */
  | { readonly kind: "offer"; readonly run: string }
  /** A delay ends then. By `due`. */
  | { readonly kind: "wait"; readonly due: Time };

/** Found in the difference, so that no command can forget one. */
export function effectsOf(before: ThreadControl, after: ThreadControl): Effect[] {
  if (after === before) return [];
  const earlier = new Map(before.lane.entries.map((entry) => [entry.run, entry]));
  const effects = after.lane.entries.flatMap((entry) => {
    const was = earlier.get(entry.run);
    return was === entry ? [] : effectsOfEntry(was, entry);
  });
  const ready = after.head === "ready" ? firstInTurn(after.lane)!.run : undefined;
  const wasReady = before.head === "ready" ? firstInTurn(before.lane)!.run : undefined;
  if (ready !== undefined && ready !== wasReady) effects.push({ kind: "offer", run: ready });
  if (after.due !== undefined && after.due !== before.due) effects.push({ kind: "wait", due: after.due });
  return effects;
}

function effectsOfEntry(was: Entry | undefined, entry: Entry): Effect[] {
  const { run, lease, cancel, phase, changes } = entry;
  const effects: Effect[] = [];
  if (cancel && cancel.action !== was?.cancel?.action) {
    const { action, reason } = cancel;
    if (lease) effects.push({ kind: "stop", run, server: lease.server, action, reason });
    effects.push({ kind: "cancelChildren", run, action });
  }
  // The record of a new run says by itself that it waits.
  if (was || phase !== "waiting") effects.push({ kind: "project", run, changes });
  return effects;
}

/** What is still to be done before an entry may leave, in this order; each step is repeatable, and anybody may do it. */
export type Duty =
  | "cancelChildren"
  | "removeData"
  | "finishRollback"
  | "readState"
  | "storeTombstone"
  | "storeProjection";

export function dutiesOf({ last }: ThreadControl, entry: Entry): Duty[] {
  const duties: Duty[] = entry.cancel ? ["cancelChildren"] : [];
  if (entry.phase === "rolling_back") return [...duties, "removeData", "finishRollback"];
  if (!isEnded(entry)) return [];
  if (entry.cancel?.action === "rollback") return [...duties, "storeTombstone"];
  if (last?.unread && last.n === entry.n) duties.push("readState");
  return [...duties, "storeProjection"];
}
