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

/** Without the keys that LangGraph keeps for itself. */
export function withoutInternals(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !key.startsWith("__")));
}
