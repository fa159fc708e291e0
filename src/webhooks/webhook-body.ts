import type { Json, Run } from "../domain/run/run.ts";

/**
 * What a webhook is told of a run's end, in the words of LangGraph's server. `values` is null after a rollback, and when the
 * state was too large to be remembered.
 */
export function webhookBody(run: Run, values: Json | undefined, sentAt: Date): Json {
  const { cancellation, error } = run;
  const fields = {
    run_id: run.runId,
    thread_id: run.threadId,
    assistant_id: run.assistant.assistantId,
    graph_id: run.graph,
    status: isRolledBack(run) ? "rollback" : run.status,
    metadata: run.webhook?.kept?.metadata ?? run.spec.metadata,
    created_at: run.createdAt,
    run_started_at: run.startedAt ?? null,
    run_ended_at: run.endedAt ?? null,
    webhook_sent_at: sentAt,
    ...(error && { error: { error: error.name, message: error.message } }),
    ...(cancellation && {
      cancellation: {
        action: cancellation.action,
        reason: cancellation.reason,
        requested_by: cancellation.requestedBy,
        ...(cancellation.actor && { actor: cancellation.actor }),
      },
    }),
  };
  // The values are JSON text already, and may be long.
  return `${JSON.stringify(fields).slice(0, -1)},"values":${values ?? "null"}}`;
}

/** A run that is over with a stored rollback has been rolled back: its outcome was decided with it. */
const isRolledBack = ({ cancellation }: Run): boolean => cancellation?.action === "rollback";
