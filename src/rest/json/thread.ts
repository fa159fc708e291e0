import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Interrupt, StateTask, ThreadState } from "../../../gen/reins/v1/checkpoint_pb.ts";
import * as pb from "../../../gen/reins/v1/thread_pb.ts";
import { lowerNames } from "./body-shapes.ts";
import { checkpointJson } from "./checkpoint.ts";
import { rawPayload } from "./payload.ts";
import { errorJson } from "./run.ts";
import { timeText } from "./time.ts";

const threadStatusName = lowerNames(pb.ThreadStatus);

/** A thread as LangGraph's server shows it. */
export function threadJson(thread: pb.Thread) {
  const { graphId, assistantId } = thread;
  return {
    thread_id: thread.threadId,
    created_at: timeText(thread.createdAt!),
    updated_at: timeText(thread.updatedAt!),
    state_updated_at: timeText(thread.updatedAt!),
    metadata: {
      ...(assistantId && { assistant_id: assistantId }),
      ...thread.metadata,
      // The graph that it is found by, whatever it was made for.
      ...(graphId && { graph_id: graphId }),
    },
    status: threadStatusName(thread.status),
    config: {},
    values: rawPayload(thread.values, null),
    interrupts: byTask(thread.interrupts),
    error: thread.error ? errorJson(thread.error) : null,
    ttl: thread.ttl ? { strategy: "delete", ttl_minutes: durationMs(thread.ttl) / 60_000 } : undefined,
  };
}

/** Each task that asks, with what it asks. */
const byTask = (interrupts: readonly Interrupt[]) =>
  Object.fromEntries(
    [...Map.groupBy(interrupts, ({ id, taskId }) => taskId || id)].map(([task, asked]) => [
      task,
      asked.map(interruptJson),
    ]),
  );

export const interruptJson = ({ id, value }: Interrupt) => ({ id, value: rawPayload(value, null) });

export function stateJson(threadId: string, state: ThreadState): Record<string, unknown> {
  const { checkpoint, parentCheckpoint } = state;
  return {
    values: rawPayload(state.values, {}),
    next: state.next,
    tasks: state.tasks.map((task) => taskJson(threadId, task)),
    metadata: state.metadata ?? null,
    created_at: state.createdAt ? timeText(state.createdAt) : null,
    checkpoint: checkpointJson(threadId, checkpoint),
    parent_checkpoint: checkpointJson(threadId, parentCheckpoint),
    interrupts: state.interrupts.map(interruptJson),
    checkpoint_id: checkpoint?.checkpointId ?? null,
    parent_checkpoint_id: parentCheckpoint?.checkpointId ?? null,
  };
}

const taskJson = (threadId: string, task: StateTask) => ({
  id: task.id,
  name: task.name,
  path: ["__pregel_pull", task.name],
  error: task.error || null,
  interrupts: task.interrupts.map(interruptJson),
  checkpoint: checkpointJson(threadId, task.checkpoint),
  state: task.state ? stateJson(threadId, task.state) : null,
  result: rawPayload(task.result, null),
});
