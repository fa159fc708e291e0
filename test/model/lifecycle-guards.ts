import type { Transition, TransitionName } from "../../src/domain/transitions.ts";
import type { RunRecord } from "./lifecycle-state.ts";

export type Table = Readonly<Record<TransitionName, Transition>>;

/** What storage/run-guard.ts makes of a row of the table, for a record instead of a query. */
export function allows(
  { from, cancel, lease }: Transition,
  record: RunRecord | undefined,
  held: { readonly token?: number; readonly revision?: number } = {},
): record is RunRecord {
  if (!record || !from.includes(record.phase)) return false;
  if (lease === "held" && record.lease?.token !== held.token) return false;
  if (cancel === "absent" && record.cancel) return false;
  return cancel !== "present" || record.cancel?.revision === held.revision;
}

/** The end of a run, or the beginning of its rollback. */
export const over = (record: RunRecord, { to, status }: Transition): RunRecord => ({
  ...record,
  ...{ phase: to, status: status[0] ?? record.status, ready: false, lease: undefined, cleanup: true },
  // Of no importance any more.
  ...{ n: 0, tokens: 0, attempt: Math.min(record.attempt, 1) },
});

export function claimed(record: RunRecord, { claim }: Table): RunRecord {
  const token = record.tokens + 1;
  return {
    ...record,
    ...{ phase: claim.to, status: claim.status[0]!, ready: false, attempt: record.attempt + 1, tokens: token },
    lease: { token, isOver: false, unfenced: [] },
  };
}
