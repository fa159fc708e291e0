import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type * as pb from "../../gen/reins/v1/assistant_service_pb.ts";
import { type Payload, PayloadFormat } from "../../gen/reins/v1/payload_pb.ts";
import { IfExists } from "../../gen/reins/v1/thread_service_pb.ts";
import { ownerOf } from "../access/identity.ts";
import type { AssistantFilter } from "../domain/assistant.ts";
import type { EditAssistants } from "../domain/edit-assistants.ts";
import { newId } from "../domain/ids.ts";
import type { ReadAssistants } from "../domain/read-assistants.ts";
import type { GraphDrawing, GraphSchemas } from "../worker/protocol.ts";
import { fromFilter, toAssistant, toGraph, toSchemas } from "./convert/assistant.ts";
import { payloadText, payloadWriter } from "./convert/payload.ts";
import { fromConfig } from "./convert/spec.ts";
import { sightKey } from "./sight.ts";

export interface AssistantServiceParts {
  readonly edit: EditAssistants;
  readonly read: ReadAssistants<GraphDrawing, GraphSchemas>;
}

/** A handler converts, makes one domain call, and converts back. */
export function createAssistantService(parts: AssistantServiceParts): ServiceImpl<typeof pb.AssistantService> {
  const { edit, read } = parts;
  return {
    async createAssistant(request, context) {
      const assistant = await edit.create({
        owner: ownerOf(context),
        assistantId: request.assistantId.toLowerCase() || newId(),
        graph: request.graphId,
        name: request.name || request.graphId,
        description: request.description,
        config: fromConfig(request.config, "config"),
        context: payloadText(request.context, "context"),
        metadata: request.metadata ?? {},
        ifExists: request.ifExists === IfExists.DO_NOTHING ? "do_nothing" : "raise",
      });
      return {
        assistant: toAssistant(assistant, payloadWriter(formatOf(request.context, request.config?.configurable))),
      };
    },

    async getAssistant(request, context) {
      return { assistant: toAssistant(await read.get(named(context, request)), writer(request)) };
    },

    async updateAssistant(request, context) {
      const assistant = await edit.update({
        owner: ownerOf(context),
        assistantId: request.assistantId.toLowerCase(),
        graph: request.graphId,
        name: request.name,
        description: request.description,
        config: fromConfig(request.config, "config"),
        context: payloadText(request.context, "context"),
        metadata: request.metadata,
        removeMetadata: request.removeMetadata,
      });
      return { assistant: toAssistant(assistant, writer(request)) };
    },

    async deleteAssistant(request, context) {
      await edit.remove({ owner: ownerOf(context), assistantId: request.assistantId.toLowerCase() });
      return {};
    },

    async searchAssistants(request, context) {
      const { pageSize: size, pageToken: token } = request;
      const page = await read.search(filterOf(context, request), { size, token });
      const write = writer(request);
      return { assistants: page.assistants.map((one) => toAssistant(one, write)), nextPageToken: page.nextPageToken };
    },

    async countAssistants(request, context) {
      return { count: BigInt(await read.count(filterOf(context, request))) };
    },

    async getAssistantGraph(request, context) {
      return { graph: toGraph(await read.graph(named(context, request), request.subgraphDepth), writer(request)) };
    },

    async getAssistantSchemas(request, context) {
      return { schemas: toSchemas(await read.schemas(named(context, request)), writer(request)) };
    },
  };
}

/** With what the caller's sight is limited to. */
function filterOf(context: HandlerContext, { filter }: { filter?: pb.AssistantFilter }): AssistantFilter {
  const { within, withGraphs } = context.values.get(sightKey);
  return { ...fromFilter(ownerOf(context), filter), within, withGraphs };
}

/** By id, or by a graph's name, whose letters count. */
const named = (context: HandlerContext, { assistantId }: { assistantId: string }) => ({
  owner: ownerOf(context),
  assistantId,
});

const writer = (request: { payloadFormat: PayloadFormat }) => payloadWriter(request.payloadFormat);

/** An answer that echoes the request does so in the encoding that the request used. */
const formatOf = (...payloads: (Payload | undefined)[]): PayloadFormat =>
  payloads.some((payload) => payload?.encoding.case === "json") ? PayloadFormat.JSON : PayloadFormat.VALUE;
