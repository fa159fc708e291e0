import type { CancelAction } from "../transitions.ts";
import { type Entry, firstInTurn, type Holder, isEnded, liveEntries, type ThreadControl, type Time } from "./entry.ts";

/** What a decision makes necessary. A crash loses them; who looks at the control finds each again, by the field named here. */
export type Effect =
  /** A run was claimed for this server: execute it. By `lease`. */
  | { readonly kind: "execute"; readonly run: string; readonly token: string }
  /** A run was taken over: fence the tokens, then hand it back. By `lease.tokensToFence`. */
  | { readonly kind: "fence"; readonly run: string; readonly token: string; readonly tokens: readonly string[] }
  /** A hold was taken over: fence its tokens, complete it if it removes something, release it. By `holder`. */
  | { readonly kind: "completeHold"; readonly holder: Holder }
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
  /** What a run has stored is to be removed. By `owes`. */
  | { readonly kind: "rollBack"; readonly run: string }
  /** The run's record is to say what the entry says. An end by `owes`; anything before it comes with the next change. */
  | { readonly kind: "project"; readonly run: string; readonly changes: number }
  /** A run may be claimed. By `head`. */
  | { readonly kind: "offer"; readonly run: string }
  /** A delay ends then. By `due`. */
  | { readonly kind: "wait"; readonly due: Time }
  /** Nothing is live in a thread that is to be deleted. By `removing`. */
  | { readonly kind: "removeThread" };

/** The effects of a decision by the server: found in the difference, so that no command can forget one. */
export function effectsOf(before: ThreadControl, after: ThreadControl, server: string): Effect[] {
  if (after === before) return [];
  const earlier = new Map(before.lane.entries.map((entry) => [entry.run, entry]));
  const effects = after.lane.entries.flatMap((entry) => {
    const was = earlier.get(entry.run);
    return was === entry ? [] : effectsOfEntry(was, entry, server);
  });
  const { holder } = after.lane;
  if (holder?.tokensToFence && holder.id !== before.lane.holder?.id) effects.push({ kind: "completeHold", holder });
  const ready = after.head === "ready" ? firstInTurn(after.lane)!.run : undefined;
  const wasReady = before.head === "ready" ? firstInTurn(before.lane)!.run : undefined;
  if (ready !== undefined && ready !== wasReady) effects.push({ kind: "offer", run: ready });
  if (after.due !== undefined && after.due !== before.due) effects.push({ kind: "wait", due: after.due });
  if (isRemovable(after) && !isRemovable(before)) effects.push({ kind: "removeThread" });
  return effects;
}

function effectsOfEntry(was: Entry | undefined, entry: Entry, server: string): Effect[] {
  const { run, lease, cancel, phase, changes } = entry;
  const effects: Effect[] = [];
  if (lease?.server === server && lease.token !== was?.lease?.token) {
    const { token, tokensToFence: tokens } = lease;
    effects.push(tokens ? { kind: "fence", run, token, tokens } : { kind: "execute", run, token });
  }
  if (cancel && cancel.action !== was?.cancel?.action) {
    const { action, reason } = cancel;
    if (lease) effects.push({ kind: "stop", run, server: lease.server, action, reason });
    effects.push({ kind: "cancelChildren", run, action });
  }
  if (phase === "rolling_back" && was?.phase !== phase) effects.push({ kind: "rollBack", run });
  // The record of a new run says by itself that it waits.
  if (was || phase !== "waiting") effects.push({ kind: "project", run, changes });
  return effects;
}

const isRemovable = ({ removing, lane }: ThreadControl): boolean =>
  removing === true && !lane.holder && liveEntries(lane).length === 0;

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
