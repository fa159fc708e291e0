import { idleStatus } from "../thread.ts";
import { claimable } from "./attempts.ts";
import {
  type ComputedControl,
  type Entry,
  firstInTurn,
  isDelayed,
  isEnded,
  type LastOutcome,
  lean,
  liveEntries,
  type ThreadControl,
  type Time,
  withLane,
} from "./entry.ts";

/**
 * The control with all that follows from its facts. `before` is the control that the decision began with; `touches` is whether
 * the decision is a change of the thread that its users would call one, which begins its time to live anew.
 */
export function computed(before: ThreadControl, after: ThreadControl, now: Time, touches: boolean): ThreadControl {
  const facts = withLast(before, withCounts(before, after));
  const updatedAt = touches ? now : before.updatedAt;
  return lean({ ...facts, updatedAt, ...computedFields(before, { ...facts, updatedAt }, now) });
}

/** Each entry that the decision has changed counts one more change. */
function withCounts(before: ThreadControl, after: ThreadControl): ThreadControl {
  if (after.lane.entries === before.lane.entries) return after;
  const earlier = new Map(before.lane.entries.map((entry) => [entry.run, entry]));
  const entries = after.lane.entries.map((entry) => {
    const was = earlier.get(entry.run);
    return was === entry ? entry : { ...entry, changes: (was?.changes ?? 0) + 1 };
  });
  return withLane(after, { entries });
}

/** A run that has started and is over is what the thread returns to, unless it is rolled back. */
function withLast(before: ThreadControl, after: ThreadControl): ThreadControl {
  const ended = after.lane.entries.filter((entry) => isOutcome(entry) && !wasEnded(before, entry));
  const entry = ended.at(-1);
  if (!entry) return after;
  const { status, error } = entry.end!;
  const unread = after.state?.n === entry.n ? undefined : (true as const);
  const last: LastOutcome = lean({ n: entry.n, status, error, unread });
  return { ...after, last };
}

const isOutcome = (entry: Entry): boolean =>
  isEnded(entry) && entry.first !== undefined && entry.cancel?.action !== "rollback";

const wasEnded = ({ lane }: ThreadControl, { run }: Entry): boolean =>
  lane.entries.some((entry) => entry.run === run && isEnded(entry));

/** Exported for the tests, which hold what is stored against it. */
export function computedFields(before: ThreadControl, control: ThreadControl, now: Time): ComputedControl {
  const { lane, ttlMs, updatedAt, last, removing } = control;
  const head = headOf(control);
  const isSame = head.head !== null && keyOfHead(before) === keyOfHead(control);
  const status = threadStatus(control);
  const isIdle = status !== "busy" && !lane.holder && !removing;
  const dues = lane.entries.filter(isDelayed).map(({ due }) => due!);
  return {
    head: head.head,
    headServer: head.server,
    headSince: head.head === null ? undefined : isSame ? before.headSince : now,
    owes: oldestDebt(lane.entries),
    due: dues.length > 0 ? Math.min(...dues) : undefined,
    status,
    error: status === "error" ? last?.error : undefined,
    expireAt: isIdle && ttlMs !== undefined ? updatedAt + ttlMs : undefined,
  };
}

function headOf(control: ThreadControl): { head: ThreadControl["head"]; server?: string } {
  const { holder, hold } = control.lane;
  if (holder) return { head: "held", server: holder.server };
  const first = firstInTurn(control.lane);
  if (first?.lease) return { head: "leased", server: first.lease.server };
  if (claimable(control)) return { head: "ready" };
  return { head: hold && first ? "held" : null };
}

/** Names what the head is, so that it is known how long it has been the same. */
function keyOfHead(control: ThreadControl): string {
  const { head, server } = headOf(control);
  return `${head} ${server} ${control.lane.holder?.id ?? firstInTurn(control.lane)?.run}`;
}

function oldestDebt(entries: readonly Entry[]): ComputedControl["owes"] {
  const debts = entries.flatMap(({ owed }) => owed ?? []);
  return debts.reduce<ComputedControl["owes"]>(
    (oldest, one) => (oldest && oldest.since <= one.since ? oldest : one),
    undefined,
  );
}

/** A live run makes it busy; else what the last run that started has left. */
function threadStatus({ lane, last, state }: ThreadControl): ComputedControl["status"] {
  if (liveEntries(lane).length > 0) return "busy";
  const known = last?.unread ? { next: [], interrupts: [], unread: true } : state;
  return idleStatus({ lastStarted: last?.status, state: known });
}
