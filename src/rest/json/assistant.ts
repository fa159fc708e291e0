import type { Assistant, AssistantGraph } from "../../../gen/reins/v1/assistant_pb.ts";
import { type payloadJson, rawPayload } from "./payload.ts";
import { dateText, timeText } from "./time.ts";

/** `since` stands for the time of a graph's own assistant, which is not stored: when this server read its graphs. */
export function assistantJson(assistant: Assistant, since: Date) {
  const { config } = assistant;
  return {
    assistant_id: assistant.assistantId,
    graph_id: assistant.graphId,
    config: {
      tags: config && config.tags.length > 0 ? config.tags : undefined,
      recursion_limit: config?.recursionLimit || undefined,
      configurable: rawPayload(config?.configurable, undefined),
      metadata: config?.metadata,
    },
    context: rawPayload(assistant.context, {}),
    metadata: assistant.metadata ?? {},
    name: assistant.name,
    description: assistant.description || null,
    created_at: assistant.createdAt ? timeText(assistant.createdAt) : dateText(since),
    updated_at: assistant.updatedAt ? timeText(assistant.updatedAt) : dateText(since),
    version: assistant.version,
  };
}

/** What a node is made of is not told: its name, and what LangGraph says of it. */
export const graphJson = ({ nodes, edges }: AssistantGraph) => ({
  nodes: nodes.map(({ id, name, metadata }) => ({
    id,
    type: "runnable",
    data: { name },
    metadata: rawPayload(metadata, undefined),
  })),
  edges: edges.map(({ source, target, label, conditional }) => ({
    source,
    target,
    data: label || undefined,
    conditional: conditional || undefined,
  })),
});

export const schemaOf = (payload: Parameters<typeof payloadJson>[0]) => rawPayload(payload, null);
