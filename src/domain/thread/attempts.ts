import type { RunError } from "../run/run.ts";
import { maxLostAttempts } from "../transitions.ts";
import type { Claim, Delivered, HandBack, Handled, Settle } from "./commands.ts";
import {
  type Entry,
  type EntryEnd,
  entryOf,
  firstInTurn,
  lean,
  type ThreadControl,
  type Time,
  withEntry,
} from "./entry.ts";
import { shortError } from "./entry-text.ts";
import { mayMove, moved } from "./move.ts";

/** The run that a worker may take: the first in turn, unless something stands before it. */
export function claimable({ lane, removing }: ThreadControl): Entry | undefined {
  if (lane.holder || lane.hold || removing) return undefined;
  const first = firstInTurn(lane);
  return first && mayMove(first, "claim") ? first : undefined;
}

export function claim(control: ThreadControl, { run, token, server, parentIsLive }: Claim, now: Time): Handled {
  const entry = entryOf(control, run);
  if (entry && (entry.lease?.token === token || entry.end?.token === token)) {
    return { control, answer: { did: "again", entry } };
  }
  const isFree = entry !== undefined && claimable(control) === entry && (!entry.parent || parentIsLive === true);
  if (!isFree) return { control, answer: { did: "missed", entry } };
  return withClaim(control, entry, token, server, now);
}

/** Claims for a free slot what is in turn after another decision. */
export function claimNext(control: ThreadControl, token: string, server: string, now: Time): ThreadControl {
  const entry = claimable(control);
  if (!entry || entry.parent) return control;
  return withClaim(control, entry, token, server, now).control;
}

function withClaim(control: ThreadControl, entry: Entry, token: string, server: string, now: Time) {
  const claimed = moved(entry, "claim", {
    lease: { token, server },
    first: entry.first ?? now,
    attempt: (entry.attempt ?? 0) + 1,
    left: undefined,
  });
  return { control: withEntry(control, claimed), answer: { did: "done" as const, entry: claimed } };
}

export function delivered(control: ThreadControl, { run, token, deliveredAt }: Delivered): Handled {
  const entry = entryOf(control, run);
  if (entry?.lease?.token !== token || !entry.cancel) return { control, answer: { did: "missed", entry } };
  const told = withDelivery(entry, deliveredAt);
  if (told === entry) return { control, answer: { did: "again", entry } };
  return { control: withEntry(control, told), answer: { did: "done", entry: told } };
}

function withDelivery(entry: Entry, deliveredAt: Time | undefined): Entry {
  const { cancel } = entry;
  if (!cancel || cancel.deliveredAt !== undefined || deliveredAt === undefined) return entry;
  return { ...entry, cancel: { ...cancel, deliveredAt } };
}

export function settle(control: ThreadControl, command: Settle, now: Time): Handled {
  const { run, token, result, error } = command;
  const entry = entryOf(control, run);
  if (entry?.lease?.token !== token) return { control, answer: { did: isEndOf(entry, token), entry } };
  if (entry.cancel) return endAsCancelled(control, entry, command, now);
  return result === "stopped"
    ? backToQueue(control, entry, command)
    : finish(control, entry, command, result, error, now);
}

export function handBack(control: ThreadControl, command: HandBack, now: Time): Handled {
  const { run, token } = command;
  const entry = entryOf(control, run);
  if (entry?.lease?.token !== token) return { control, answer: { did: isEndOf(entry, token), entry } };
  if (entry.cancel) return endAsCancelled(control, entry, command, now);
  if (!command.lost) return backToQueue(control, entry, command);
  const lost = (entry.lost ?? 0) + 1;
  const counted: Entry = { ...entry, lost };
  if (lost >= maxLostAttempts) return finish(control, counted, command, "error", attemptsLost(command.error), now);
  return backToQueue(control, command.alone ? { ...counted, alone: true } : counted, command);
}

const isEndOf = (entry: Entry | undefined, token: string) => (entry?.end?.token === token ? "again" : "missed");

const attemptsLost = (cause: RunError | undefined): RunError => ({
  name: "AttemptsLostError",
  message: `${maxLostAttempts} attempts were lost${cause ? `: ${cause.name}: ${cause.message}` : ""}`,
});

function backToQueue(
  control: ThreadControl,
  entry: Entry,
  { token, sequence, checkpoint }: Settle | HandBack,
): Handled {
  const back = moved(entry, "handBack", { lease: undefined, left: lean({ sequence, checkpoint }) }, token);
  return { control: withEntry(control, back), answer: { did: "done", entry: back } };
}

function finish(
  control: ThreadControl,
  entry: Entry,
  command: Settle | HandBack,
  status: EntryEnd["status"],
  error: RunError | undefined,
  now: Time,
): Handled {
  const ended = moved(
    entry,
    "finish",
    atEnd(entry, command, { status, error: error && shortError(error) }, now),
    command.token,
  );
  return {
    control: withStateOf(withEntry(control, ended), ended, command.state),
    answer: { did: "done", entry: ended },
  };
}

/** An interrupted run is over; of one that is rolled back everything is still to be removed, before the next may begin. */
function endAsCancelled(control: ThreadControl, before: Entry, command: Settle | HandBack, now: Time): Handled {
  const entry = withDelivery(before, command.deliveredAt);
  const end = atEnd(entry, command, { status: "interrupted", outcome: outcomeOf(entry, command.killed === true) }, now);
  if (entry.cancel!.action === "rollback") {
    const rolling = moved(entry, "settleRollback", end, command.token);
    return { control: withEntry(control, rolling), answer: { did: "done", entry: rolling } };
  }
  const ended = moved(entry, "settleInterrupt", end, command.token);
  return {
    control: withStateOf(withEntry(control, ended), ended, command.state),
    answer: { did: "done", entry: ended },
  };
}

/** What every end changes in an entry. */
function atEnd(
  { first }: Entry,
  command: Settle | HandBack,
  { status, error, outcome }: Pick<EntryEnd, "status" | "error" | "outcome">,
  now: Time,
): Pick<Partial<Entry>, "end" | "owed" | "lease" | "first"> {
  const { token, sequence, checkpoint, server } = command;
  const neverStarted = command.kind === "settle" && command.neverStarted;
  return {
    lease: undefined,
    first: neverStarted ? undefined : first,
    end: lean({ status, error, outcome, sequence, checkpoint, at: now, token }),
    owed: { server, since: now },
  };
}

/** How it was stopped, as far as anybody knows. */
function outcomeOf({ lease, unreachable }: Entry, killed: boolean): EntryEnd["outcome"] {
  if (unreachable) return "fenced";
  return killed || lease!.tokensToFence ? "killed" : "stopped";
}

/** The thread remembers the state that a run has left; one that has not started has left none. */
export function withStateOf(control: ThreadControl, { n, first }: Entry, state: Settle["state"]): ThreadControl {
  if (!state || first === undefined) return control;
  const last = control.last?.n === n ? lean({ ...control.last, unread: undefined }) : control.last;
  return lean({ ...control, state: { ...state, n }, last });
}
