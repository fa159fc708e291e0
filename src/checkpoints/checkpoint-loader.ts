import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  Checkpoint,
  CheckpointPendingWrite,
  CheckpointTuple,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import type { JournalPort, SerializedValue, StoredCheckpoint } from "./journal-port.ts";
import { loadValue, type StoredValue } from "./segment-list.ts";

export interface LoaderParts {
  readonly checkpointModule: typeof import("@langchain/langgraph-checkpoint");
  readonly serde: SerializerProtocol;
  readonly port: JournalPort;
  firstVersion(): string;
}

export interface CheckpointLoader {
  /** Makes what LangGraph knows of what is stored. `each` is told how every value of a channel was stored. */
  load(
    stored: StoredCheckpoint,
    threadId: string | undefined,
    each?: (channel: string, version: string | number | undefined, value: StoredValue) => void,
  ): Promise<CheckpointTuple>;
}

export function createCheckpointLoader({ checkpointModule, serde, port, firstVersion }: LoaderParts): CheckpointLoader {
  const { compareWritesSortKeys, maxChannelVersion, TASKS } = checkpointModule;
  const loads = ({ type, bytes }: SerializedValue) => serde.loadsTyped(type, bytes);

  /** In the order in which a step applies them. */
  function loadWrites({ writes, segmentBytes }: StoredCheckpoint): Promise<CheckpointPendingWrite[]> {
    const ordered = writes.toSorted((a, b) =>
      compareWritesSortKeys([a.taskPath, a.taskId, a.index], [b.taskPath, b.taskId, b.index]),
    );
    return Promise.all(
      ordered.map(async ({ taskId, channel, value }): Promise<CheckpointPendingWrite> => {
        return [taskId, channel, await loads(loadValue(value, segmentBytes))];
      }),
    );
  }

  /** Before format 4, the sends of a step stood in its parent's pending writes and not in a channel. */
  async function migratePendingSends(checkpoint: Checkpoint, namespace: string, parentId: string): Promise<void> {
    const parent = await port.read({ namespace, checkpointId: parentId });
    const writes = parent ? await loadWrites(parent) : [];
    checkpoint.channel_values[TASKS] = writes.filter(([, channel]) => channel === TASKS).map(([, , value]) => value);
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : firstVersion();
  }

  return {
    async load(stored, threadId, each) {
      const { namespace, checkpointId, parentCheckpointId: parentId } = stored;
      const checkpoint: Checkpoint = { ...(await loads(stored.checkpoint)), channel_values: {} };
      for (const [channel, value] of Object.entries(stored.values)) {
        const serialized = loadValue(value, stored.segmentBytes);
        checkpoint.channel_values[channel] = await loads(serialized);
        each?.(channel, checkpoint.channel_versions[channel], { serialized, value });
      }
      if (checkpoint.v < 4 && parentId !== undefined) await migratePendingSends(checkpoint, namespace, parentId);
      return {
        config: checkpointConfig(threadId, namespace, checkpointId),
        checkpoint,
        metadata: await loads(stored.metadata),
        ...(parentId !== undefined && { parentConfig: checkpointConfig(threadId, namespace, parentId) }),
        pendingWrites: await loadWrites(stored),
      };
    },
  };
}

export const checkpointConfig = (
  thread_id: string | undefined,
  checkpoint_ns: string,
  checkpoint_id: string,
): RunnableConfig => ({ configurable: { thread_id, checkpoint_ns, checkpoint_id } });
