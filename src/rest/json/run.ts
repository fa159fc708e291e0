import { durationMs } from "@bufbuild/protobuf/wkt";
import * as pb from "../../../gen/reins/v1/run_pb.ts";
import { durabilityName, strategyName, streamModeName } from "../run-body.ts";
import { lowerNames } from "./body-shapes.ts";
import { checkpointJson } from "./checkpoint.ts";
import { payloadJson, rawPayload } from "./payload.ts";
import { RawJson, stringify } from "./raw-json.ts";
import { latestOf, timeText } from "./time.ts";

export const statusName = lowerNames(pb.RunStatus);
const actionName = lowerNames(pb.CancelAction);
const webhookStateName = lowerNames(pb.WebhookState);
const outcomeName = lowerNames(pb.CancelOutcome);

/** A run as LangGraph's server shows it, with Reins' `attempt`, `error`, `cancellation` and `webhook_delivery` beside it. */
export function runJson(run: pb.Run) {
  const { spec } = run;
  const metadata = { ...spec?.metadata, graph_id: run.graphId, assistant_id: run.assistantId };
  return {
    run_id: run.runId,
    thread_id: run.threadId,
    assistant_id: run.assistantId,
    created_at: timeText(run.createdAt!),
    updated_at: timeText(latestOf(run.createdAt, run.startedAt, run.endedAt, run.cancellation?.requestedAt)!),
    status: statusName(run.status),
    metadata,
    kwargs: spec && kwargs(run, spec, metadata),
    multitask_strategy: strategyName(spec?.multitaskStrategy || pb.MultitaskStrategy.ENQUEUE),
    attempt: run.attempt,
    actor: run.actor || undefined,
    error: run.error ? errorJson(run.error) : undefined,
    cancellation: run.cancellation ? cancellationJson(run.cancellation) : undefined,
    cancel_reason: run.cancellation ? reasonOf(run.cancellation) : null,
    webhook_delivery: run.webhookDelivery && deliveryJson(run.webhookDelivery),
  };
}

const deliveryJson = (delivery: pb.WebhookDelivery) => ({
  state: webhookStateName(delivery.state),
  tries: delivery.tries,
  last_try_time: delivery.lastTryTime ? timeText(delivery.lastTryTime) : null,
  last_error: delivery.lastError || null,
  next_try_time: delivery.nextTryTime ? timeText(delivery.nextTryTime) : null,
});

/** In one sentence; what nobody has given a reason for says at least who wanted it. */
function reasonOf({ reason, requestedBy, causeRunId, action }: pb.Cancellation): string {
  if (reason !== "") return reason;
  const by = causeRunId === "" ? requestedBy : `${requestedBy} ${causeRunId}`;
  return `${actionName(action)} requested by ${by}`;
}

export const errorJson = ({ name, message }: pb.RunError) => ({ error: name, message });

export const cancellationJson = (cancellation: pb.Cancellation) => ({
  action: actionName(cancellation.action),
  reason: cancellation.reason,
  requested_by: cancellation.requestedBy,
  actor: cancellation.actor || undefined,
  requested_at: cancellation.requestedAt && timeText(cancellation.requestedAt),
  settled_at: cancellation.settledAt && timeText(cancellation.settledAt),
  outcome: outcomeName(cancellation.outcome),
});

function kwargs(run: pb.Run, spec: pb.RunSpec, metadata: object) {
  const ids = {
    run_id: run.runId,
    thread_id: run.threadId,
    graph_id: run.graphId,
    assistant_id: run.assistantId,
  };
  const given = JSON.parse(payloadJson(spec.config?.configurable) ?? "{}") as object;
  const durability = durabilityName(spec.durability);
  return {
    input: rawPayload(spec.input, null),
    command: spec.command
      ? {
          resume: rawPayload(spec.command.resume, undefined),
          update: rawPayload(spec.command.update, undefined),
          goto: gotoJson(spec.command),
        }
      : null,
    config: {
      tags: spec.config && spec.config.tags.length > 0 ? spec.config.tags : undefined,
      recursion_limit: spec.config?.recursionLimit || undefined,
      configurable: { ...given, ...ids },
      metadata: { ...spec.config?.metadata, ...metadata },
    },
    context: rawPayload(spec.context, {}),
    stream_mode: spec.streamModes.map(streamModeName),
    interrupt_before: spec.interruptBefore.length > 0 ? spec.interruptBefore : null,
    interrupt_after: spec.interruptAfter.length > 0 ? spec.interruptAfter : null,
    webhook: spec.webhook || null,
    feedback_keys: null,
    temporary: run.temporary,
    checkpoint: spec.checkpoint ? checkpointJson(run.threadId, spec.checkpoint) : undefined,
    checkpoint_id: spec.checkpointId || undefined,
    after_seconds: spec.after ? durationMs(spec.after) / 1000 : undefined,
    subgraphs: spec.streamSubgraphs,
    resumable: true,
    checkpoint_during: durability !== "exit",
    durability,
  };
}

const gotoJson = ({ goto, sends }: pb.Command) =>
  goto.length + sends.length === 0
    ? undefined
    : [...goto, ...sends.map(({ node, input }) => ({ node, input: rawPayload(input, null) }))];

/** How a wait ended: the values; with what was asked or cancelled beside them; or the error. */
export function outcomeJson(run: pb.Run, values: RawJson | undefined, interrupts: readonly object[]): RawJson {
  if (run.error) return new RawJson(stringify({ __error__: errorJson(run.error) }));
  const beside = {
    ...(interrupts.length > 0 && { __interrupt__: interrupts }),
    ...(run.cancellation &&
      run.status === pb.RunStatus.INTERRUPTED && {
        __cancelled__: { action: actionName(run.cancellation.action), reason: run.cancellation.reason },
      }),
  };
  if (Object.keys(beside).length === 0) return values ?? new RawJson("{}");
  const text = stringify(beside);
  if (!values?.text.startsWith("{") || values.text === "{}") return new RawJson(text);
  return new RawJson(`${values.text.slice(0, -1)},${text.slice(1)}`);
}
