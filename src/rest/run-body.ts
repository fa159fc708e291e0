import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import * as pb from "../../gen/reins/v1/run_pb.ts";
import { type CreateRunRequestSchema, IfNotExists } from "../../gen/reins/v1/run_service_pb.ts";
import { streamModes } from "../domain/transitions.ts";
import { fromStreamMode, toStreamMode } from "../services/convert/spec.ts";
import { RestError } from "./errors.ts";
import { enumNamed, jsonObject, lowerNames, optional } from "./json/body-shapes.ts";
import { checkpointBody, toCheckpoint } from "./json/checkpoint.ts";
import { configBody, ownSettings, placeIn, toConfig } from "./json/config.ts";
import { toPayload } from "./json/payload.ts";

/** Throws 422 for a name that is no mode. */
export function toStreamModes(names: readonly string[]): pb.StreamMode[] {
  return [...new Set(names)].map((name) => {
    const mode = streamModes.find((one) => one === name);
    if (mode !== undefined) return toStreamMode(mode);
    throw new RestError(422, `stream_mode ${JSON.stringify(name)} is unknown; there are ${streamModes.join(", ")}`);
  });
}

const oneOrMany = <T extends z.ZodType>(item: T) => z.union([item, z.array(item)]);
const nodes = optional(z.union([z.literal("*"), z.array(z.string())]));
const onDisconnect = z.enum(["cancel", "continue"]);

const longestDelayS = 315_360_000;
const delayRange = `must be from 0 to ${longestDelayS}, ten years`;

const command = z.object({
  resume: z.unknown().optional(),
  /** An object, or pairs of a channel and what it is updated with, each an update of its own. */
  update: optional(z.union([jsonObject, z.array(z.tuple([z.string(), z.unknown()]))])),
  goto: optional(oneOrMany(z.union([z.string(), z.object({ node: z.string(), input: z.unknown().optional() })]))),
});

const common = {
  assistant_id: z.string().min(1),
  input: z.unknown().optional(),
  command: optional(command),
  metadata: optional(jsonObject),
  config: optional(configBody),
  context: optional(jsonObject),
  webhook: optional(z.string()),
  interrupt_before: nodes,
  interrupt_after: nodes,
  stream_mode: optional(oneOrMany(z.enum(streamModes))),
  stream_subgraphs: optional(z.boolean()),
  stream_resumable: optional(z.boolean()),
  after_seconds: optional(z.number().min(0, delayRange).max(longestDelayS, delayRange)),
  durability: optional(z.enum(["sync", "async", "exit"])),
  checkpoint_during: optional(z.boolean()),
  on_disconnect: optional(onDisconnect),
  on_completion: optional(z.enum(["delete", "keep"])),
  multitask_strategy: optional(z.enum(["reject", "rollback", "interrupt", "enqueue"])),
  if_not_exists: optional(z.enum(["create", "reject"])),
  /** Refuses an answer to a question that is not open; false by default, as LangGraph's clients expect. */
  strict_resume: optional(z.boolean()),
  /** Reins' own: the id that the run is to have, and the client's name for the request; both make a repeat safe. */
  run_id: optional(z.guid()),
  request_id: optional(z.string()),
};

/** What of such a body is a payload, wherever it stands. */
export const runPayloads = ["input", "resume", "update", "context"];

export const statelessRunBody = z.object(common);
export const runBody = z.object({
  ...common,
  checkpoint: optional(checkpointBody),
  checkpoint_id: optional(z.guid({ error: "Invalid checkpoint ID" })),
});
export type RunBody = z.infer<typeof statelessRunBody> &
  Partial<Pick<z.infer<typeof runBody>, "checkpoint" | "checkpoint_id">>;

/** For a run on a thread, or without `threadId` for a stateless one, which has no thread for some of the fields to be about. */
export function toCreateRun(body: RunBody, threadId?: string): MessageInitShape<typeof CreateRunRequestSchema> {
  const { context } = body;
  if (isFilled(ownSettings(body.config?.configurable)) && isFilled(context)) {
    throw new RestError(400, "Cannot specify both configurable and context. Use context alone.");
  }
  if (threadId === undefined && isSet(body.command?.resume)) {
    throw new RestError(400, "You must provide a thread_id when resuming.");
  }
  return {
    threadId,
    runId: body.run_id,
    requestId: body.request_id,
    ifNotExists: threadId === undefined ? undefined : enumNamed(IfNotExists, body.if_not_exists),
    spec: {
      assistantId: body.assistant_id,
      input: isSet(body.input) ? toPayload(body.input) : undefined,
      command: body.command && toCommand(body.command),
      strictResume: body.strict_resume ?? false,
      config: body.config && toConfig(body.config),
      context: toPayload(context),
      metadata: body.metadata as MessageInitShape<typeof pb.RunSpecSchema>["metadata"],
      checkpointId: body.checkpoint_id ?? (body.checkpoint ? undefined : placeIn(body.config?.configurable)),
      checkpoint: body.checkpoint && toCheckpoint(body.checkpoint),
      streamModes: toStreamModes(listOf(body.stream_mode)),
      streamSubgraphs: body.stream_subgraphs,
      interruptBefore: nodesOf(body.interrupt_before),
      interruptAfter: nodesOf(body.interrupt_after),
      multitaskStrategy: threadId === undefined ? undefined : enumNamed(pb.MultitaskStrategy, body.multitask_strategy),
      durability: toDurability(body),
      after: body.after_seconds === undefined ? undefined : durationFromMs(body.after_seconds * 1000),
      onCompletion: threadId === undefined ? enumNamed(pb.OnCompletion, body.on_completion) : undefined,
      webhook: body.webhook,
    },
  };
}

const isFilled = (value: object | undefined): boolean => value !== undefined && Object.keys(value).length > 0;

const isSet = (value: unknown): boolean => value !== undefined && value !== null;

const listOf = <T>(value: T | T[] | undefined): T[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

const nodesOf = (nodes: "*" | string[] | undefined): string[] | undefined => (nodes === "*" ? ["*"] : nodes);

function toCommand({ resume, update, goto }: z.infer<typeof command>) {
  const targets = listOf(goto);
  return {
    resume: isSet(resume) ? toPayload(resume) : undefined,
    update: toPayload(update),
    goto: targets.filter((target) => typeof target === "string"),
    sends: targets.flatMap((target) =>
      typeof target === "string" ? [] : [{ node: target.node, input: toPayload(target.input) }],
    ),
  };
}

/** `checkpoint_during` is the older name for the two ends of durability. */
function toDurability({ durability, checkpoint_during: during }: RunBody): pb.Durability | undefined {
  if (durability !== undefined) return enumNamed(pb.Durability, durability);
  return during === undefined ? undefined : during ? pb.Durability.ASYNC : pb.Durability.EXIT;
}

/** Of the body, or of the query, which the guide's curl lines use; two that contradict each other are 422. */
export function toOnDisconnect(names: readonly (string | undefined)[]): pb.OnDisconnect {
  const given = new Set(names.filter((name) => name !== undefined));
  if (given.size > 1) throw new RestError(422, "on_disconnect of the body and of the query must not differ");
  return enumNamed(pb.OnDisconnect, [...given][0]) ?? pb.OnDisconnect.UNSPECIFIED;
}

export const durabilityName = lowerNames(pb.Durability);
export const strategyName = lowerNames(pb.MultitaskStrategy);
export const streamModeName = (mode: pb.StreamMode): string => fromStreamMode(mode)!;
