import { type TransitionName, transitions } from "../transitions.ts";
import { type Entry, lean } from "./entry.ts";

/** Whether the table of transitions allows the change; `token` is the lease token of whoever asks for it. */
export function mayMove(entry: Entry, name: TransitionName, token?: string): boolean {
  const { from, cancel, lease } = transitions[name];
  if (!(from as readonly string[]).includes(entry.phase)) return false;
  if (lease === "held" && (token === undefined || entry.lease?.token !== token)) return false;
  return cancel === "any" || (cancel === "present") === (entry.cancel !== undefined);
}

/** The only place that changes a phase. Throws when the table does not allow it, which is a fault of the caller's. */
export function moved(
  entry: Entry,
  name: TransitionName,
  change: Omit<Partial<Entry>, "phase">,
  token?: string,
): Entry {
  if (!mayMove(entry, name, token)) throw new Error(`run ${entry.run} is ${entry.phase}, which forbids ${name}`);
  const { to, status } = transitions[name];
  const ends = change.end?.status;
  if (ends !== undefined && to === "over" && !(status as readonly string[]).includes(ends)) {
    throw new Error(`${name} does not end run ${entry.run} as ${ends}`);
  }
  return lean({ ...entry, ...change, phase: to });
}
