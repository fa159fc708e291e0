import { isObject } from "../../domain/is-object.ts";
import { callersNames } from "../../domain/run/callers-names.ts";
import type { GraphConfig } from "./graph-types.ts";

interface CheckpointPayload {
  readonly config?: GraphConfig;
  readonly parentConfig?: GraphConfig;
  readonly metadata?: Record<string, unknown>;
  readonly tasks: readonly { readonly state?: GraphConfig }[];
}

/**
 * A payload of mode `checkpoints`: LangGraph puts the run's whole configuration in it, with callbacks and its own internals;
 * left is what names the checkpoint.
 */
export function cleanCheckpoint(payload: unknown): object {
  const { config, parentConfig, metadata, tasks, ...rest } = payload as CheckpointPayload;
  const checkpoint = checkpointOf(config);
  const parent = checkpointOf(parentConfig);
  return {
    ...rest,
    config: checkpoint && { configurable: checkpoint },
    parent_config: parent && { configurable: parent },
    checkpoint,
    parent_checkpoint: parent,
    metadata: withoutInternals(metadata ?? {}),
    tasks: tasks.map(({ state, ...task }) =>
      state === undefined ? task : { ...task, checkpoint: checkpointOf(state) },
    ),
  };
}

function checkpointOf(config: GraphConfig | undefined): object | null {
  const { thread_id, checkpoint_ns = "", checkpoint_id, checkpoint_map } = config?.configurable ?? {};
  if (thread_id === undefined) return null;
  return {
    thread_id,
    checkpoint_ns,
    checkpoint_id: checkpoint_id ?? null,
    ...(checkpoint_map !== undefined && { checkpoint_map }),
  };
}

/**
 * A chunk as the library yields it, without what only the graph is to know of its run's caller: of what tells of a checkpoint, its
 * configuration holds that.
 */
export function withoutCaller(chunk: unknown): unknown {
  if (Array.isArray(chunk)) return chunk.map(withoutCaller);
  if (!isObject(chunk)) return chunk;
  if (isObject(chunk.payload)) return { ...chunk, payload: withoutCaller(chunk.payload) };
  const configs = ["config", "parentConfig"].filter((name) => namesCaller(chunk[name]));
  if (configs.length === 0) return chunk;
  return { ...chunk, ...Object.fromEntries(configs.map((name) => [name, bare(chunk[name] as GraphConfig)])) };
}

const namesCaller = (config: unknown): boolean =>
  isObject(config) &&
  isObject(config.configurable) &&
  callersNames.some((name) => name in (config.configurable as object));

function bare({ configurable = {}, ...config }: GraphConfig): object {
  const isOwn = ([name]: [string, unknown]) => !callersNames.some((one) => one === name);
  return { ...config, configurable: Object.fromEntries(Object.entries(configurable).filter(isOwn)) };
}

/** Without the keys that LangGraph keeps for itself. */
export function withoutInternals(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !key.startsWith("__")));
}
