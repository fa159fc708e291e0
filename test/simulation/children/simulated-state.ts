import { randomUUID } from "node:crypto";
import type { CheckpointRecord, StoredCheckpoint } from "../../../src/checkpoints/journal-port.ts";
import type { AttemptSpec, StateReport } from "../../../src/worker/protocol.ts";
import type { Plan } from "./plan.ts";

/**
 * The state of a simulated thread is the list of all steps that have been taken on it, so that what is missing of it, and what is
 * there twice or should be gone, can be read off.
 */
export type Steps = readonly string[];

export const stepName = (runId: string, step: number): string => `${runId}/${step}`;

const bytesOf = (value: unknown) => ({ type: "json", bytes: new TextEncoder().encode(JSON.stringify(value)) });

export function stepsOf(checkpoint: Pick<CheckpointRecord, "values"> | undefined): Steps {
  const value = checkpoint?.values.steps;
  return value && "inline" in value ? JSON.parse(new TextDecoder().decode(value.inline.bytes)) : [];
}

export function checkpointAfter(
  before: StoredCheckpoint | undefined,
  { runId }: Pick<AttemptSpec, "runId">,
  step: number,
  plan: Plan,
): CheckpointRecord {
  const isLast = step === plan.steps.length - 1;
  return checkpointOf(before, stepName(runId, step), { run_id: runId, step, asks: isLast && plan.end === "ask" });
}

export function checkpointOf(
  before: StoredCheckpoint | undefined,
  step: string,
  fields: Readonly<Record<string, unknown>>,
): CheckpointRecord {
  const metadataFields = { ...fields, graph_id: "graph" };
  return {
    namespace: "",
    checkpointId: randomUUID(),
    parentCheckpointId: before?.checkpointId,
    checkpoint: bytesOf(null),
    metadata: bytesOf(metadataFields),
    metadataFields,
    values: { steps: { inline: bytesOf([...stepsOf(before), step]) } },
  };
}

/** As its graph reports it. */
export function stateReport(checkpoint: StoredCheckpoint | undefined): StateReport {
  const none = { checkpointNs: "", next: [], tasks: [], interrupts: [] };
  if (!checkpoint) return none;
  const { checkpointId, parentCheckpointId, metadataFields } = checkpoint;
  const interrupts = metadataFields.asks ? [{ id: "question", taskId: "task", value: "null" }] : [];
  const values = JSON.stringify({ steps: stepsOf(checkpoint) });
  return { ...none, checkpointId, parentCheckpointId, values, interrupts, next: interrupts.map(() => "node") };
}
