import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { Checkpoint } from "../../../gen/reins/v1/checkpoint_pb.ts";
import * as pb from "../../../gen/reins/v1/run_pb.ts";
import { withoutCallersNames } from "../../domain/run/callers-names.ts";
import type { CheckpointName, Json, RunSpec } from "../../domain/run/run.ts";
import type { Durability, MultitaskStrategy, StreamMode } from "../../domain/transitions.ts";
import { type PayloadWriter, payloadText, structOf } from "./payload.ts";

const protoModes: Record<StreamMode, pb.StreamMode> = {
  values: pb.StreamMode.VALUES,
  updates: pb.StreamMode.UPDATES,
  messages: pb.StreamMode.MESSAGES,
  "messages-tuple": pb.StreamMode.MESSAGES_TUPLE,
  custom: pb.StreamMode.CUSTOM,
  tasks: pb.StreamMode.TASKS,
  checkpoints: pb.StreamMode.CHECKPOINTS,
  debug: pb.StreamMode.DEBUG,
  events: pb.StreamMode.EVENTS,
  tools: pb.StreamMode.TOOLS,
};
const durabilities: Record<Durability, pb.Durability> = {
  sync: pb.Durability.SYNC,
  async: pb.Durability.ASYNC,
  exit: pb.Durability.EXIT,
};
const strategies: Record<MultitaskStrategy, pb.MultitaskStrategy> = {
  enqueue: pb.MultitaskStrategy.ENQUEUE,
  reject: pb.MultitaskStrategy.REJECT,
  interrupt: pb.MultitaskStrategy.INTERRUPT,
  rollback: pb.MultitaskStrategy.ROLLBACK,
};
const completions: Record<RunSpec["onCompletion"], pb.OnCompletion> = {
  delete: pb.OnCompletion.DELETE,
  keep: pb.OnCompletion.KEEP,
};

/** The name that an enum's number stands for; undefined for none of them, which validation has refused. */
export const nameOf = <Name extends string>(table: Record<Name, number>, value: number): Name | undefined =>
  (Object.keys(table) as Name[]).find((name) => table[name] === value);

export const toStreamMode = (mode: StreamMode): pb.StreamMode => protoModes[mode];

export const fromStreamMode = (value: pb.StreamMode): StreamMode | undefined => nameOf(protoModes, value);

export const fromStreamModes = (values: readonly pb.StreamMode[]): StreamMode[] =>
  values.map(fromStreamMode).filter((mode) => mode !== undefined);

/** `path` is where the spec stands in the request. */
export function fromSpec(spec: pb.RunSpec, path: string): RunSpec {
  const { command, config } = spec;
  return {
    assistantId: spec.assistantId,
    input: payloadText(spec.input, `${path}.input`),
    command: command && {
      resume: payloadText(command.resume, `${path}.command.resume`),
      update: payloadText(command.update, `${path}.command.update`),
      goto: command.goto,
      ...(command.sends.length > 0 && {
        sends: command.sends.map(({ node, input }, place) => ({
          node,
          input: payloadText(input, `${path}.command.sends[${place}].input`),
        })),
      }),
    },
    ...(command?.resume && { strictResume: spec.strictResume ?? true }),
    config: fromConfig(config, `${path}.config`),
    context: payloadText(spec.context, `${path}.context`),
    metadata: spec.metadata ?? {},
    checkpointId: spec.checkpointId.toLowerCase() || undefined,
    streamModes: spec.streamModes.length > 0 ? fromStreamModes(spec.streamModes) : ["values"],
    streamSubgraphs: spec.streamSubgraphs,
    interruptBefore: spec.interruptBefore,
    interruptAfter: spec.interruptAfter,
    multitaskStrategy: nameOf(strategies, spec.multitaskStrategy) ?? "enqueue",
    durability: nameOf(durabilities, spec.durability) ?? "sync",
    timeoutMs: spec.timeout && durationMs(spec.timeout),
    checkpoint: spec.checkpoint && fromCheckpoint(spec.checkpoint),
    afterMs: spec.after && (durationMs(spec.after) || undefined),
    onCompletion: nameOf(completions, spec.onCompletion) ?? "delete",
    webhook: spec.webhook || undefined,
  };
}

/** Without `write` all that may be large is left out. */
export function toSpec(spec: RunSpec, write?: PayloadWriter): pb.RunSpec {
  const init: MessageInitShape<typeof pb.RunSpecSchema> = {
    ...(write && toGiven(spec, write)),
    assistantId: spec.assistantId,
    strictResume: spec.strictResume,
    metadata: structOf(spec.metadata),
    checkpointId: spec.checkpointId,
    streamModes: spec.streamModes.map(toStreamMode),
    streamSubgraphs: spec.streamSubgraphs,
    interruptBefore: [...spec.interruptBefore],
    interruptAfter: [...spec.interruptAfter],
    multitaskStrategy: strategies[spec.multitaskStrategy],
    durability: durabilities[spec.durability],
    timeout: spec.timeoutMs === undefined ? undefined : durationFromMs(spec.timeoutMs),
    checkpoint: spec.checkpoint && toCheckpoint(spec.checkpoint),
    after: spec.afterMs === undefined ? undefined : durationFromMs(spec.afterMs),
    onCompletion: completions[spec.onCompletion],
    webhook: spec.webhook,
  };
  return create(pb.RunSpecSchema, init);
}

/** What the run was given: its input, or what stands for it, and its settings. */
function toGiven({ input, command, config, context }: RunSpec, write: PayloadWriter) {
  const payload = (text: string | undefined) => (text === undefined ? undefined : write(text));
  return {
    input: payload(input),
    command: command && {
      resume: payload(command.resume),
      update: payload(command.update),
      goto: [...command.goto],
      sends: command.sends?.map(({ node, input }) => ({ node, input: payload(input) })),
    },
    config: toConfig(config, write),
    context: payload(context),
  };
}

export const fromConfig = (config: pb.RunConfig | undefined, path: string): RunSpec["config"] =>
  config && {
    tags: config.tags,
    recursionLimit: config.recursionLimit || undefined,
    configurable: ownConfigurable(payloadText(config.configurable, `${path}.configurable`)),
    metadata: config.metadata && JSON.stringify(config.metadata),
  };

const ownConfigurable = (text: Json | undefined) => (text === undefined ? undefined : withoutCallersNames(text));

export const toConfig = (config: RunSpec["config"], write: PayloadWriter): pb.RunConfig | undefined =>
  config &&
  create(pb.RunConfigSchema, {
    tags: [...config.tags],
    recursionLimit: config.recursionLimit,
    configurable: config.configurable === undefined ? undefined : write(config.configurable),
    metadata: config.metadata === undefined ? undefined : (JSON.parse(config.metadata) as JsonObject),
  });

export function fromCheckpoint({ checkpointId, checkpointNs, checkpointMap }: Checkpoint): CheckpointName {
  const map = Object.entries(checkpointMap);
  return {
    checkpointId: checkpointId.toLowerCase() || undefined,
    checkpointNs,
    ...(map.length > 0 && { checkpointMap: Object.fromEntries(map.map(([ns, id]) => [ns, id.toLowerCase()])) }),
  };
}

export const toCheckpoint = ({ checkpointId, checkpointNs, checkpointMap }: CheckpointName) => ({
  checkpointId,
  checkpointNs,
  checkpointMap: { ...checkpointMap },
});
