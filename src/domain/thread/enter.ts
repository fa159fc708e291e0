import { cancelRuns } from "./cancel.ts";
import type { CancelWish, Confirm, Enter, Forget, Handled } from "./commands.ts";
import {
  type Entry,
  entryOf,
  lean,
  liveEntries,
  type ThreadControl,
  type Time,
  withEntry,
  withLane,
  withoutEntry,
} from "./entry.ts";
import { takesNoOtherRun, threadIsBusy, threadIsGone, tooManyRuns } from "./refusals.ts";

/** So long a lane is still rewritten in a millisecond or two. */
export const maxLiveEntries = 1000;

export function enter(control: ThreadControl, command: Enter, now: Time): Handled {
  const { run, strategy, server, parent } = command;
  const there = entryOf(control, run);
  if (there) return { control, answer: { did: "again", entry: there } };
  if (control.removing) return { refusal: threadIsGone(control) };
  if (command.once && control.lane.n > 0) return { control, answer: { did: "missed" } };
  if (control.watchedBy && control.lane.n > 0) return { refusal: takesNoOtherRun(control) };
  const live = liveEntries(control.lane);
  if (strategy === "reject" && (live.length > 0 || control.lane.holder)) {
    return { refusal: threadIsBusy(control, "wait for it or use ENQUEUE") };
  }
  const limit = Math.min(command.limit ?? maxLiveEntries, maxLiveEntries);
  if (live.length >= limit) return { refusal: tooManyRuns(control, limit) };
  const cleared =
    strategy === "interrupt" || strategy === "rollback"
      ? cancelRuns(
          control,
          live.map((entry) => entry.run),
          supersedes(command, strategy),
          server,
          now,
        )
      : { control, cancels: [] };
  const n = control.lane.n + 1;
  const entry: Entry = lean({
    run,
    n,
    changes: 0,
    phase: "waiting" as const,
    // A delay that is over already is none.
    due: command.due !== undefined && command.due > now ? command.due : undefined,
    parent,
  });
  const entries = [...cleared.control.lane.entries, entry];
  return {
    control: withLane(cleared.control, { n, entries }),
    answer: { did: "done", entry, cancels: cleared.cancels },
  };
}

const supersedes = ({ run, actor }: Enter, action: CancelWish["action"]): CancelWish => ({
  action,
  reason: `superseded by run ${run}`,
  by: "multitask",
  actor,
  cause: run,
});

export function confirm(control: ThreadControl, { run }: Confirm): Handled {
  const entry = entryOf(control, run);
  if (!entry) return { control, answer: { did: "missed" } };
  if (entry.confirmed) return { control, answer: { did: "again", entry } };
  const confirmed: Entry = { ...entry, confirmed: true };
  return { control: withEntry(control, confirmed), answer: { did: "done", entry: confirmed } };
}

export function forget(control: ThreadControl, { run, lacks }: Forget): Handled {
  const entry = entryOf(control, run);
  // Written although nothing changes: the new revision is what keeps a late entry out.
  if (!entry) return { control: { ...control }, answer: { did: "done" } };
  const isFresh = entry.phase === "waiting" && entry.attempt === undefined && !entry.confirmed;
  if (lacks === "entry" || !isFresh) return { control, answer: { did: "missed", entry } };
  return { control: withoutEntry(control, run), answer: { did: "done" } };
}

/** Runs whose delay has ended join the order, in the order in which their delays have ended. */
export function joinDue(control: ThreadControl, now: Time): ThreadControl {
  const due = control.lane.entries.filter((entry) => entry.phase === "waiting" && entry.due! <= now);
  if (due.length === 0) return control;
  due.sort((a, b) => a.due! - b.due! || a.n - b.n);
  const joined = due.map((entry, i) => lean({ ...entry, due: undefined, n: control.lane.n + 1 + i }));
  const others = control.lane.entries.filter((entry) => !due.includes(entry));
  return withLane(control, { n: control.lane.n + due.length, entries: [...others, ...joined] });
}
