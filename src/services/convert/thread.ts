import { create, type JsonObject } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import * as checkpointPb from "../../../gen/reins/v1/checkpoint_pb.ts";
import type { Payload } from "../../../gen/reins/v1/payload_pb.ts";
import * as pb from "../../../gen/reins/v1/thread_pb.ts";
import type { Json } from "../../domain/run/run.ts";
import { shortened } from "../../domain/shortened.ts";
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

/** How values and questions go into one answer. */
export interface StateWriter {
  /** Absent where values are left out. */
  readonly values?: PayloadWriter;
  /** Undefined for a question that is left out. */
  readonly question: (text: Json) => Payload | undefined;
  /** A state's, from its text. */
  readonly metadata: (text: Json) => JsonObject;
  /** What a task has failed with. */
  readonly error: (text: string) => string;
}

/** The most that the questions of an answer without values have together. */
const questionBytes = 256 * 1024;

/** The most that the metadata of a state in such an answer has, and of all of them: LangGraph puts the run's `configurable` there, too. */
const metadataBytes = 128 * 1024;
const allMetadataBytes = 1024 * 1024;

/** The most that the errors of its tasks have together. */
const errorCharacters = 64 * 1024;
const allErrorCharacters = 256 * 1024;

/** An answer without values is to fit what a gRPC client takes: all else stays only as far as it is small. */
export function stateWriter(write: PayloadWriter, omitValues: boolean): StateWriter {
  const parse = (text: Json) => JSON.parse(text) as JsonObject;
  if (!omitValues) return { values: write, question: write, metadata: parse, error: (text) => text };
  let left = questionBytes;
  let metadataLeft = allMetadataBytes;
  let errorsLeft = allErrorCharacters;
  return {
    question(text) {
      if (text.length > left) return undefined;
      left -= text.length;
      return write(text);
    },
    metadata(text) {
      const most = Math.min(metadataBytes, metadataLeft);
      const kept = text.length <= most ? parse(text) : smallFields(parse(text), most);
      metadataLeft -= Math.min(most, text.length);
      return kept;
    },
    error(text) {
      const short = shortened(text, Math.max(100, Math.min(errorCharacters, errorsLeft)));
      errorsLeft -= short.length;
      return short;
    },
  };
}

function smallFields(metadata: JsonObject, most: number): JsonObject {
  let left = most;
  const fits = ([, value]: [string, unknown]): boolean => {
    const { length } = JSON.stringify(value);
    if (length > left) return false;
    left -= length;
    return true;
  };
  return Object.fromEntries(Object.entries(metadata).filter(fits));
}

export function toThread(thread: Thread, { values, question }: StateWriter): pb.Thread {
  const { state } = thread;
  return create(pb.ThreadSchema, {
    threadId: thread.threadId,
    status: threadStatusNumbers[thread.status],
    metadata: structOf(thread.metadata),
    createdAt: toTime(thread.createdAt),
    updatedAt: toTime(thread.updatedAt),
    values: state?.values === undefined ? undefined : values?.(state.values),
    interrupts: toInterrupts(state?.interrupts ?? [], question),
    error: toRunError(thread.error),
    graphId: graphOfThread(thread),
    assistantId: state?.assistantId,
    ttl: thread.ttlMs === undefined ? undefined : durationFromMs(thread.ttlMs),
    temporary: thread.temporary,
  });
}

export const toInterrupts = (
  interrupts: readonly ThreadInterrupt[],
  question: StateWriter["question"],
): checkpointPb.Interrupt[] =>
  interrupts.map(({ id, taskId, value }) =>
    create(checkpointPb.InterruptSchema, { id, taskId, value: value === undefined ? undefined : question(value) }),
  );

export function toThreadState(state: StateReport, write: StateWriter): checkpointPb.ThreadState {
  const { values, question, metadata, error } = write;
  const written = (text: Json | undefined) => (text === undefined ? undefined : values?.(text));
  const at = (
    checkpointId: string | undefined,
    checkpointNs = "",
    checkpointMap: Readonly<Record<string, string>> = {},
  ) =>
    checkpointId === undefined
      ? undefined
      : create(checkpointPb.CheckpointSchema, { checkpointId, checkpointNs, checkpointMap: { ...checkpointMap } });
  return create(checkpointPb.ThreadStateSchema, {
    values: written(state.values),
    next: [...state.next],
    tasks: state.tasks.map((task) => ({
      id: task.id,
      name: task.name,
      error: task.error === undefined ? undefined : error(task.error),
      interrupts: toInterrupts(task.interrupts, question),
      checkpoint: at(task.checkpoint?.checkpointId, task.checkpoint?.checkpointNs, task.checkpoint?.checkpointMap),
      result: written(task.result),
      state: task.state && toThreadState(task.state, write),
    })),
    checkpoint: at(state.checkpointId, state.checkpointNs, state.checkpointMap),
    parentCheckpoint: at(state.parentCheckpointId, state.parentCheckpointNs),
    metadata: state.metadata === undefined ? undefined : metadata(state.metadata),
    createdAt: toTime(state.createdAt === undefined ? undefined : new Date(state.createdAt)),
    interrupts: toInterrupts(state.interrupts, question),
  });
}
