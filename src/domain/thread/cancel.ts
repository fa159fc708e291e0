import type { CancelAction } from "../transitions.ts";
import type { CancelAnswer, CancelWish, Handled, RequestCancel } from "./commands.ts";
import { type Entry, entryOf, isEnded, lean, liveEntries, type ThreadControl, type Time, withLane } from "./entry.ts";
import { shortReason } from "./entry-text.ts";
import { moved } from "./move.ts";

const strength: Record<CancelAction, number> = { interrupt: 1, rollback: 2 };

/** Whether a stored cancel does all that another one asks for: nothing weakens a rollback. */
export const isAsStrong = (stored: CancelAction | undefined, action: CancelAction): boolean =>
  stored !== undefined && strength[stored] >= strength[action];

export function requestCancel(control: ThreadControl, { runs, wish, server }: RequestCancel, now: Time): Handled {
  const named = runs === "live" ? liveEntries(control.lane).map(({ run }) => run) : runs;
  const asked = cancelRuns(control, named, wish, server, now);
  const { cancels } = asked;
  const did =
    asked.control !== control ? "done" : cancels.some(({ result }) => result === "already") ? "again" : "missed";
  const entry = named.length === 1 ? entryOf(asked.control, named[0]!) : undefined;
  return { control: asked.control, answer: { did, entry, cancels } };
}

/** The same as part of another decision. */
export function cancelRuns(
  control: ThreadControl,
  runs: readonly string[],
  wish: CancelWish,
  server: string,
  now: Time,
): { control: ThreadControl; cancels: CancelAnswer[] } {
  const entries = new Map(control.lane.entries.map((entry) => [entry.run, entry]));
  const cancels = runs.map((run): CancelAnswer => {
    const entry = entries.get(run);
    if (!entry) return { run, result: "unknown" };
    const decided = alreadyDecided(entry, wish.action);
    if (decided) return { run, result: decided, entry };
    const cancelled = withWish(entry, wish, server, now);
    entries.set(run, cancelled);
    return { run, result: cancelled.phase === "stopping" ? "stopping" : "ended", entry: cancelled };
  });
  const isChanged = cancels.some(({ result }) => result === "stopping" || result === "ended");
  return { control: isChanged ? withLane(control, { entries: [...entries.values()] }) : control, cancels };
}

/** Why a request changes nothing: the run is over, or a request as strong is stored. */
function alreadyDecided(entry: Entry, action: CancelAction): "already" | "refused" | "unknown" | undefined {
  const stored = entry.cancel?.action;
  if (isEnded(entry)) {
    if (entry.end!.status !== "interrupted") return "refused";
    if (stored === action) return "already";
    // A run that was rolled back is all but gone: what a repeat is answered stands in its tombstone.
    return stored === "rollback" ? "unknown" : "refused";
  }
  return isAsStrong(stored, action) ? "already" : undefined;
}

/** When it was first asked for, and told, stays where a stronger request takes the place of a weaker one. */
function withWish(entry: Entry, wish: CancelWish, server: string, now: Time): Entry {
  const cancel = lean({
    action: wish.action,
    reason: shortReason(wish.reason),
    by: wish.by,
    actor: wish.actor || undefined,
    cause: wish.cause,
    at: entry.cancel?.at ?? now,
    deliveredAt: entry.cancel?.deliveredAt,
  });
  if (entry.phase !== "waiting") return moved(entry, "requestCancel", { cancel });
  const hasStarted = entry.first !== undefined;
  const end = lean({
    status: "interrupted" as const,
    outcome: !hasStarted ? ("never_started" as const) : entry.unreachable ? ("fenced" as const) : ("stopped" as const),
    sequence: entry.left?.sequence ?? 1,
    checkpoint: entry.left?.checkpoint,
    at: now,
  });
  // Of a run that never started nothing is stored that could be rolled back.
  const name = wish.action === "rollback" && hasStarted ? "rollBackWaiting" : "cancelWaiting";
  return moved(entry, name, { cancel, end, owed: { server, since: now }, due: undefined, left: undefined });
}
