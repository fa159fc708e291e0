import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/reins/v1/assistant_pb.ts";
import type { AssistantFilter as FilterMessage } from "../../../gen/reins/v1/assistant_service_pb.ts";
import type { Assistant, AssistantFilter } from "../../domain/assistant.ts";
import type { Json } from "../../domain/run/run.ts";
import type { GraphDrawing, GraphSchemas } from "../../worker/protocol.ts";
import { type PayloadWriter, structOf } from "./payload.ts";
import { toConfig } from "./spec.ts";
import { toTime } from "./time.ts";

export function toAssistant(assistant: Assistant, write: PayloadWriter): pb.Assistant {
  return create(pb.AssistantSchema, {
    assistantId: assistant.assistantId,
    graphId: assistant.graph,
    name: assistant.name,
    description: assistant.description,
    config: toConfig(assistant.config, write),
    context: payload(assistant.context, write),
    metadata: structOf(assistant.metadata),
    version: assistant.version,
    createdAt: toTime(assistant.createdAt),
    updatedAt: toTime(assistant.updatedAt),
    system: assistant.system,
  });
}

export const fromFilter = (owner: string, filter: FilterMessage | undefined): AssistantFilter => ({
  owner,
  graph: filter?.graphId || undefined,
  name: filter?.name || undefined,
  metadata: filter?.metadata,
});

export function toGraph({ nodes, edges }: GraphDrawing, write: PayloadWriter): pb.AssistantGraph {
  return create(pb.AssistantGraphSchema, {
    nodes: nodes.map((node) => ({ ...node, metadata: payload(node.metadata, write) })),
    edges: edges.map((edge) => ({ ...edge })),
  });
}

export function toSchemas(schemas: GraphSchemas, write: PayloadWriter): pb.AssistantSchemas {
  return create(pb.AssistantSchemasSchema, {
    input: payload(schemas.input, write),
    output: payload(schemas.output, write),
    state: payload(schemas.state, write),
    config: payload(schemas.config, write),
    context: payload(schemas.context, write),
  });
}

const payload = (text: Json | undefined, write: PayloadWriter) => (text === undefined ? undefined : write(text));
