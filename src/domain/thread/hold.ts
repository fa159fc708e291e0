import type { Handled, Hold, Release } from "./commands.ts";
import { lean, liveEntries, type ThreadControl, type Time, withLane } from "./entry.ts";
import { threadIsBusy, threadIsGone } from "./refusals.ts";

export function hold(control: ThreadControl, { id, what, server, target }: Hold, now: Time): Handled {
  const { lane } = control;
  if (lane.holder?.id === id) return { control, answer: { did: "again" } };
  if (control.removing) return { refusal: threadIsGone(control) };
  if (lane.holder || liveEntries(lane).length > 0) {
    return { refusal: threadIsBusy(control, "try again when that is over") };
  }
  const holder = lean({ kind: what, id, server, since: now, target });
  return { control: withLane(control, { holder }), answer: { did: "done" } };
}

export function release(control: ThreadControl, { id, state, last }: Release): Handled {
  if (control.lane.holder?.id !== id) return { control, answer: { did: "missed" } };
  const outcome = last === undefined ? control.last : (last ?? undefined);
  const changed = lean({
    ...withLane(control, { holder: undefined }),
    state: state === undefined ? control.state : (state ?? undefined),
    // What the last run has left is not looked for any more: the thread stands where the hold has left it.
    last: outcome && state !== undefined ? lean({ ...outcome, unread: undefined }) : outcome,
  });
  return { control: changed, answer: { did: "done" } };
}
