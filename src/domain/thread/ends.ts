import { withStateOf } from "./attempts.ts";
import type { FinishRollback, Handled, ToldEnd } from "./commands.ts";
import { entryOf, isEnded, lean, type ThreadControl, type Time, withEntry, withoutEntry } from "./entry.ts";
import { mayMove, moved } from "./move.ts";

export function finishRollback(control: ThreadControl, { run, checkpoint }: FinishRollback, now: Time): Handled {
  const entry = entryOf(control, run);
  if (!entry || !mayMove(entry, "finishRollback")) {
    const isRolledBack = entry?.phase === "over" && entry.cancel?.action === "rollback";
    return { control, answer: { did: isRolledBack ? "again" : "missed", entry } };
  }
  const end = lean({ ...entry.end!, at: now, checkpoint });
  const ended = moved(entry, "finishRollback", { end });
  return { control: withEntry(control, ended), answer: { did: "done", entry: ended } };
}

/** The control without the entries of ends that have been told. */
export function withoutTold(control: ThreadControl, told: readonly ToldEnd[] = []): ThreadControl {
  return told.reduce((before, one) => {
    const handled = projected(before, one);
    return "refusal" in handled ? before : handled.control;
  }, control);
}

export function projected(control: ThreadControl, { run, changes, state }: ToldEnd): Handled {
  const entry = entryOf(control, run);
  if (!entry) return { control, answer: { did: "again" } };
  if (!isEnded(entry) || entry.changes !== changes) return { control, answer: { did: "missed", entry } };
  // As long as this run's end is what the thread returns to, the state that it left is owed as well.
  const owesState = control.last?.unread === true && control.last.n === entry.n;
  if (owesState && !state) return { control, answer: { did: "missed", entry } };
  const told = owesState ? withStateOf(control, entry, state) : control;
  return { control: withoutEntry(told, run), answer: { did: "done" } };
}
