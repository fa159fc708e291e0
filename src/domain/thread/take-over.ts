import type { Handled, TakeOver } from "./commands.ts";
import { type Entry, type Holder, lean, type ThreadControl, type Time, withEntry, withLane } from "./entry.ts";

export function takeOver(control: ThreadControl, command: TakeOver, now: Time): Handled {
  const { server, dead, token } = command;
  const taken = control.lane.entries.find((entry) => entry.lease?.token === token);
  if (taken || control.lane.holder?.id === token) return { control, answer: { did: "again", entry: taken } };
  const freed = withoutServer(control, dead);
  const owing = withDebtsOf(freed, dead, server);
  const held = withHolderOf(owing, command, now);
  const leased = held.lane.entries.find(({ lease }) => lease?.server === dead);
  const entry = leased && takenEntry(leased, command);
  const after = entry ? withEntry(held, entry) : held;
  return { control: after, answer: { did: after === control ? "missed" : "done", entry } };
}

/** What is not known to be dead stays unknown, whoever takes the run over after that. */
function takenEntry(entry: Entry, { token, server, reachable }: TakeOver): Entry {
  const { lease, unreachable } = entry;
  const tokensToFence = [...(lease!.tokensToFence ?? []), lease!.token];
  return lean({ ...entry, lease: { token, server, tokensToFence }, unreachable: reachable ? unreachable : true });
}

/** It writes nothing here and waits for nothing any more. */
function withoutServer(control: ThreadControl, dead: string): ThreadControl {
  const { marks, watchedBy } = control;
  const isKnown = marks.some(({ server }) => server === dead) || watchedBy?.includes(dead);
  if (!isKnown) return control;
  return lean({
    ...control,
    marks: marks.filter(({ server }) => server !== dead),
    watchedBy: watchedBy?.filter((server) => server !== dead),
  });
}

function withDebtsOf(control: ThreadControl, dead: string, server: string): ThreadControl {
  const owes = ({ owed }: Entry) => owed?.server === dead;
  if (!control.lane.entries.some(owes)) return control;
  const entries = control.lane.entries.map((entry) =>
    owes(entry) ? { ...entry, owed: { server, since: entry.owed!.since } } : entry,
  );
  return withLane(control, { entries });
}

/** A copy has changed nothing here and finds itself dropped at its end. The others must be fenced, or completed. */
function withHolderOf(control: ThreadControl, { dead, server, token }: TakeOver, now: Time): ThreadControl {
  const { holder } = control.lane;
  if (holder?.server !== dead) return control;
  if (holder.kind === "copy") return withLane(control, { holder: undefined });
  const tokensToFence = [...(holder.tokensToFence ?? []), holder.id];
  const taken: Holder = { ...holder, id: token, server, since: now, tokensToFence };
  return withLane(control, { holder: taken });
}
