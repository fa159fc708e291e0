import { create, type JsonObject } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import * as checkpointPb from "../../../gen/reins/v1/checkpoint_pb.ts";
import * as pb from "../../../gen/reins/v1/thread_pb.ts";
import { graphOfThread, type Thread, type ThreadInterrupt } from "../../domain/thread.ts";
import type { ThreadStatus } from "../../domain/transitions.ts";
import type { StateReport } from "../../worker/protocol.ts";
import { type PayloadWriter, structOf } from "./payload.ts";
import { toRunError } from "./run.ts";
import { toTime } from "./time.ts";

export const threadStatusNumbers: Record<ThreadStatus, pb.ThreadStatus> = {
  idle: pb.ThreadStatus.IDLE,
  busy: pb.ThreadStatus.BUSY,
  interrupted: pb.ThreadStatus.INTERRUPTED,
  error: pb.ThreadStatus.ERROR,
};

export function toThread(thread: Thread, write: PayloadWriter, omitValues: boolean): pb.Thread {
  const { state } = thread;
  return create(pb.ThreadSchema, {
    threadId: thread.threadId,
    status: threadStatusNumbers[thread.status],
    metadata: structOf(thread.metadata),
    createdAt: toTime(thread.createdAt),
    updatedAt: toTime(thread.updatedAt),
    values: omitValues || state?.values === undefined ? undefined : write(state.values),
    interrupts: toInterrupts(state?.interrupts ?? [], write),
    error: toRunError(thread.error),
    graphId: graphOfThread(thread),
    assistantId: state?.assistantId,
    ttl: thread.ttlMs === undefined ? undefined : durationFromMs(thread.ttlMs),
    temporary: thread.temporary,
  });
}

export const toInterrupts = (interrupts: readonly ThreadInterrupt[], write: PayloadWriter): checkpointPb.Interrupt[] =>
  interrupts.map(({ id, taskId, value }) => create(checkpointPb.InterruptSchema, { id, taskId, value: write(value) }));

export function toThreadState(state: StateReport, write: PayloadWriter): checkpointPb.ThreadState {
  const at = (
    checkpointId: string | undefined,
    checkpointNs = "",
    checkpointMap: Readonly<Record<string, string>> = {},
  ) =>
    checkpointId === undefined
      ? undefined
      : create(checkpointPb.CheckpointSchema, { checkpointId, checkpointNs, checkpointMap: { ...checkpointMap } });
  return create(checkpointPb.ThreadStateSchema, {
    values: state.values === undefined ? undefined : write(state.values),
    next: [...state.next],
    tasks: state.tasks.map((task) => ({
      id: task.id,
      name: task.name,
      error: task.error,
      interrupts: toInterrupts(task.interrupts, write),
      checkpoint: at(task.checkpoint?.checkpointId, task.checkpoint?.checkpointNs, task.checkpoint?.checkpointMap),
      result: task.result === undefined ? undefined : write(task.result),
      state: task.state && toThreadState(task.state, write),
    })),
    checkpoint: at(state.checkpointId, state.checkpointNs, state.checkpointMap),
    parentCheckpoint: at(state.parentCheckpointId, state.parentCheckpointNs),
    metadata: state.metadata === undefined ? undefined : (JSON.parse(state.metadata) as JsonObject),
    createdAt: toTime(state.createdAt === undefined ? undefined : new Date(state.createdAt)),
    interrupts: toInterrupts(state.interrupts, write),
  });
}
