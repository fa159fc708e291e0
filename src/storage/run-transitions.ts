import type { Filter, UpdateFilter } from "mongodb";
import { boundedError } from "../domain/bounded.ts";
import type { CancelRequest, RunEnd, RunStore } from "../domain/ports.ts";
import type { Run, RunName } from "../domain/run.ts";
import { shortened } from "../domain/shortened.ts";
import type { CancelOutcome } from "../domain/transitions.ts";
import type { Collections } from "./collections.ts";
import { type CancelDocument, type RunDocument, runKey, threadKey, toLeaseDocument, toRun } from "./run-document.ts";
import { expiry, type RetentionOptions } from "./run-expiry.ts";
import { guard } from "./run-guard.ts";

export type RunTransitions = Pick<
  RunStore,
  | "markReady"
  | "joinOrder"
  | "cleared"
  | "claim"
  | "finish"
  | "handBack"
  | "requestCancel"
  | "cancelWaiting"
  | "markDelivered"
  | "settleCancelled"
  | "cleanupDone"
>;

/** Every change of a run: one guarded update each, found by shard key and `_id`. */
export function createRunTransitions(
  { runs }: Pick<Collections, "runs">,
  { now, ...retention }: RetentionOptions,
): RunTransitions {
  const byName = (name: RunName): Filter<RunDocument> => ({ _id: runKey(name), thread_id: threadKey(name) });

  async function update(filter: Filter<RunDocument>, change: UpdateFilter<RunDocument>): Promise<Run | undefined> {
    const doc = await runs.findOneAndUpdate(filter, change, { returnDocument: "after" });
    return doc ? toRun(doc) : undefined;
  }

  /** What every end writes. The thread's status and turn follow from it, repeatably: see finish-run.ts. */
  const over = (end: RunEnd) =>
    ({
      phase: "over",
      ready: false,
      due_at: null,
      clearing: false,
      lease: null,
      ended_at: now(),
      last_sequence: end.lastSequence,
      end_checkpoint_id: end.endCheckpointId ?? null,
      cleanup: "pending",
      ...expiry(retention, now()),
    }) as const;

  return {
    async markReady(name) {
      const filter: Filter<RunDocument> = { ...byName(name), phase: "waiting", ...notClearing };
      return (await runs.updateOne(filter, { $set: { ready: true, due_at: null } })).matchedCount === 1;
    },

    /** waiting → waiting, no longer delayed. Guard: still delayed as it was read. */
    joinOrder(run, n, { ready }) {
      const filter: Filter<RunDocument> = { ...byName(run), phase: "waiting", due_at: run.dueAt! };
      return update(filter, { $set: { n, ready, due_at: null } });
    },

    async cleared(name) {
      const filter: Filter<RunDocument> = { ...byName(name), phase: "waiting", clearing: true };
      return (await runs.updateOne(filter, { $set: { clearing: false } })).matchedCount === 1;
    },

    /** waiting → running. The turn need not be asked for again: only the run's own end takes it away. */
    claim(run, lease) {
      const claimable = { ...guard("claim", run), ...notClearing };
      return update(claimable, {
        $set: {
          status: "running",
          phase: "running",
          ready: false,
          lease: toLeaseDocument(lease),
          started_at: run.startedAt ?? new Date(),
        },
        $inc: { attempt: 1 },
      });
    },

    /** running → over. Guard: our lease, no cancel stored. */
    finish(name, token, end) {
      return update(guard("finish", name, { token }), {
        $set: {
          ...over(end),
          status: end.status,
          error: end.error ? boundedError(end.error) : null,
          ...(end.neverStarted && { started_at: null }),
        },
      });
    },

    /** running → waiting, still with the turn. Guard: our lease, no cancel stored. */
    handBack(name, token, { lost, suspect, lastSequence }) {
      return update(guard("handBack", name, { token }), {
        $set: {
          status: "pending",
          phase: "waiting",
          ready: true,
          lease: null,
          last_sequence: lastSequence,
          ...(suspect ? { suspect } : {}),
        },
        ...(lost ? { $inc: { lost_attempts: 1 } } : {}),
      });
    },

    /** running, stopping → stopping. Guard: nobody wrote the request since it was read. */
    requestCancel(name, seen, request) {
      const unchanged: Filter<RunDocument> = seen === 0 ? { cancel: null } : { "cancel.revision": seen };
      const change: UpdateFilter<RunDocument> =
        seen === 0
          ? { $set: { phase: "stopping", cancel: newCancel(request, "requested") } }
          : { $set: upgraded(request, seen + 1) };
      return update({ ...guard("requestCancel", name), ...unchanged }, change);
    },

    /** waiting → over, or rolling back. Guard: not claimed since it was read, so that the outcome is true. */
    cancelWaiting(run, request, endCheckpointId) {
      const outcome: CancelOutcome = run.startedAt === undefined ? "never_started" : "stopped";
      const cancel = { ...newCancel(request, outcome), settled_at: new Date() };
      const end: RunEnd = { lastSequence: run.lastSequence ?? 1, endCheckpointId };
      return request.action === "interrupt"
        ? update(
            { ...guard("cancelWaiting", run), attempt: run.attempt },
            { $set: { ...over(end), status: "interrupted", cancel } },
          )
        : update({ ...guard("rollBackWaiting", run), attempt: run.attempt }, { $set: { ...rollingBack(end), cancel } });
    },

    async markDelivered(name, token) {
      const filter = { ...byName(name), "lease.token": token, phase: "stopping", "cancel.delivered_at": null };
      await runs.updateOne(filter as Filter<RunDocument>, { $set: { "cancel.delivered_at": new Date() } });
    },

    /** stopping → over or rolling back. Guard: our lease, and the request as it was read. */
    settleCancelled(run, token, end) {
      const { revision, action } = run.cancellation!;
      const settled = { "cancel.outcome": end.outcome, "cancel.settled_at": new Date() };
      return action === "interrupt"
        ? update(guard("settleInterrupt", run, { token, revision }), {
            $set: { ...over(end), ...settled, status: "interrupted" },
          })
        : update(guard("settleRollback", run, { token, revision }), { $set: { ...rollingBack(end), ...settled } });
    },

    async cleanupDone(name) {
      await runs.updateOne({ ...byName(name), phase: "over" }, { $set: { cleanup: null } });
    },
  };
}

/** What requests allow, and more than the server's own words take. */
const reasonCharacters = 2000;

const newCancel = (request: CancelRequest, outcome: CancelOutcome): CancelDocument => ({
  revision: 1,
  action: request.action,
  requested_by: request.requestedBy,
  reason: shortened(request.reason, reasonCharacters),
  cause: request.causeRunId ?? null,
  requested_at: new Date(),
  delivered_at: null,
  settled_at: null,
  outcome,
});

/** The stronger request takes the place of the weaker one; when the first one came, and was told, stays. */
const upgraded = (request: CancelRequest, revision: number) => ({
  "cancel.action": request.action,
  "cancel.revision": revision,
  "cancel.reason": shortened(request.reason, reasonCharacters),
  "cancel.requested_by": request.requestedBy,
  "cancel.cause": request.causeRunId ?? null,
});

/** A run that waits until those before it are cancelled is nobody's to start. */
const notClearing: Filter<RunDocument> = { clearing: { $ne: true } };

const rollingBack = (end: RunEnd) =>
  ({
    phase: "rolling_back",
    ready: false,
    due_at: null,
    clearing: false,
    lease: null,
    last_sequence: end.lastSequence,
    cleanup: "pending",
  }) as const;
