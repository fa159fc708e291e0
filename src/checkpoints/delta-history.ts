import type { CheckpointPendingWrite, CheckpointTuple, DeltaChannelHistory } from "@langchain/langgraph-checkpoint";
import type { JournalReadQuery } from "./journal-port.ts";

/**
 * What LangGraph rebuilds a DeltaChannel from: for each channel the writes on the checkpoint's ancestors, oldest first, since
 * the nearest ancestor that holds a value (the seed). Follows parents, so that other branches of the thread stay out.
 */
export async function deltaChannelHistory(request: {
  readonly namespace: string;
  /** Without it: the newest. */
  readonly checkpointId: string | undefined;
  readonly channels: readonly string[];
  /** Must also find ancestors whose run was deleted. */
  load(query: JournalReadQuery): Promise<CheckpointTuple | undefined>;
}): Promise<Record<string, DeltaChannelHistory>> {
  const { namespace, load } = request;
  const histories: Record<string, DeltaChannelHistory> = {};
  for (const channel of request.channels) histories[channel] = { writes: [] };
  const open = new Set(request.channels);

  let tuple = await load({ namespace, checkpointId: request.checkpointId });
  while (open.size > 0) {
    const parentId: string | undefined = tuple?.parentConfig?.configurable?.checkpoint_id;
    tuple = parentId === undefined ? undefined : await load({ namespace, checkpointId: parentId });
    if (!tuple) break;
    for (const channel of open) {
      const history = histories[channel]!;
      const writes = tuple.pendingWrites?.filter((write: CheckpointPendingWrite) => write[1] === channel) ?? [];
      history.writes.unshift(...writes);
      if (!Object.hasOwn(tuple.checkpoint.channel_values, channel)) continue;
      history.seed = tuple.checkpoint.channel_values[channel];
      open.delete(channel);
    }
  }
  return histories;
}
