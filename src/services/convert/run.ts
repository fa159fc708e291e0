import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/reins/v1/run_pb.ts";
import type { Cancellation, Run, RunError, WebhookDelivery } from "../../domain/run/run.ts";
import type { CancelAction, CancelOutcome, RunStatus } from "../../domain/transitions.ts";
import type { PayloadWriter } from "./payload.ts";
import { nameOf, toSpec } from "./spec.ts";
import { toTime } from "./time.ts";

const statuses: Record<RunStatus, pb.RunStatus> = {
  pending: pb.RunStatus.PENDING,
  running: pb.RunStatus.RUNNING,
  success: pb.RunStatus.SUCCESS,
  error: pb.RunStatus.ERROR,
  timeout: pb.RunStatus.TIMEOUT,
  interrupted: pb.RunStatus.INTERRUPTED,
};
const outcomes: Record<CancelOutcome, pb.CancelOutcome> = {
  requested: pb.CancelOutcome.REQUESTED,
  never_started: pb.CancelOutcome.NEVER_STARTED,
  stopped: pb.CancelOutcome.STOPPED,
  killed: pb.CancelOutcome.KILLED,
  fenced: pb.CancelOutcome.FENCED,
};
const actions: Record<CancelAction, pb.CancelAction> = {
  interrupt: pb.CancelAction.INTERRUPT,
  rollback: pb.CancelAction.ROLLBACK,
};
const webhookStates: Record<WebhookDelivery["state"], pb.WebhookState> = {
  pending: pb.WebhookState.PENDING,
  done: pb.WebhookState.DELIVERED,
  failed: pb.WebhookState.FAILED,
};

export const toStatus = (status: RunStatus): pb.RunStatus => statuses[status];
export const toOutcome = (outcome: CancelOutcome): pb.CancelOutcome => outcomes[outcome];
export const fromAction = (action: pb.CancelAction): CancelAction => nameOf(actions, action) ?? "interrupt";
export const fromStatuses = (values: readonly pb.RunStatus[]): RunStatus[] =>
  values.map((value) => nameOf(statuses, value)).filter((status) => status !== undefined);

export const toRunError = (error: RunError | undefined): pb.RunError | undefined =>
  error && create(pb.RunErrorSchema, error);

/** Without `write` what the run was given is left out of its spec. */
export function toRun(run: Run, write?: PayloadWriter): pb.Run {
  const answer = toRunWithoutSpec(run);
  answer.spec = toSpec(run.spec, write);
  return answer;
}

export function toRunWithoutSpec(run: Run): pb.Run {
  return create(pb.RunSchema, {
    runId: run.runId,
    threadId: run.threadId,
    graphId: run.graph,
    status: statuses[run.status],
    attempt: run.attempt,
    createdAt: toTime(run.createdAt),
    startedAt: toTime(run.startedAt),
    endedAt: toTime(run.endedAt),
    error: toRunError(run.error),
    cancellation: toCancellation(run.cancellation),
    endCheckpointId: run.endCheckpointId,
    assistantId: run.assistant.assistantId,
    assistantVersion: run.assistant.version,
    dueAt: toTime(run.dueAt),
    parent: run.parent,
    actor: run.actor,
    temporary: run.stateless?.temporary ?? false,
    webhookDelivery: toDelivery(run.webhook),
  });
}

function toDelivery(webhook: WebhookDelivery | undefined): pb.WebhookDelivery | undefined {
  if (!webhook) return undefined;
  return create(pb.WebhookDeliverySchema, {
    state: webhookStates[webhook.state],
    tries: webhook.tries,
    lastTryTime: toTime(webhook.lastTryAt),
    lastError: webhook.lastError,
    nextTryTime: toTime(webhook.nextTryAt),
  });
}

export function toCancellation(cancellation: Cancellation | undefined): pb.Cancellation | undefined {
  if (!cancellation) return undefined;
  return create(pb.CancellationSchema, {
    action: actions[cancellation.action],
    reason: cancellation.reason,
    requestedBy: cancellation.requestedBy,
    causeRunId: cancellation.causeRunId,
    actor: cancellation.actor,
    requestedAt: toTime(cancellation.requestedAt),
    deliveredAt: toTime(cancellation.deliveredAt),
    settledAt: toTime(cancellation.settledAt),
    outcome: outcomes[cancellation.outcome],
  });
}
