import type { JsonObject } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as pb from "../../../gen/reins/v1/assistant_service_pb.ts";
import { IfExists } from "../../../gen/reins/v1/thread_service_pb.ts";
import { makersField } from "../../access/langgraph/auth-file.ts";
import { type Judge, metadataOf } from "../../access/langgraph/judge.ts";
import { isDomainError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { matchesMetadata } from "../../domain/metadata-filter.ts";
import { payloadText } from "../convert/payload.ts";
import { fromConfig } from "../convert/spec.ts";
import { sightKey } from "../sight.ts";
import { judged } from "./judged.ts";
import { configJson } from "./run-question.ts";

type Assistants = ServiceImpl<typeof pb.AssistantService>;

/** The handlers of assistants, which ask an auth file what its users may do. */
export function judgedAssistants(assistants: Assistants, judge: Judge): Assistants {
  async function limited(
    context: HandlerContext,
    filter: pb.AssistantFilter | undefined,
    limit: number | undefined,
  ): Promise<pb.AssistantFilter | undefined> {
    const { graphId, name, metadata } = filter ?? {};
    const value = { graph_id: graphId || undefined, name: name || undefined, metadata, limit, offset: 0 };
    const ruling = await judge.rule(context, "assistants:search", { value });
    context.values.set(sightKey, { within: ruling.within, withGraphs: ruling.isOwn });
    const wanted = ruling.value.metadata as JsonObject | undefined;
    if (!wanted) return filter;
    return { $typeName: "reins.v1.AssistantFilter", graphId: "", name: "", ...filter, metadata: wanted };
  }

  const read = (context: HandlerContext, { assistantId }: { assistantId: string }) =>
    judge.onAssistant(context, "assistants:read", assistantId);

  return judged(pb.AssistantService, assistants, {
    async createAssistant(request, context) {
      const assistantId = request.assistantId.toLowerCase() || newId();
      const mayBeThere = request.ifExists === IfExists.DO_NOTHING;
      const ruling = await judge.rule(context, "assistants:create", {
        value: {
          assistant_id: assistantId,
          graph_id: request.graphId,
          name: request.name || request.graphId,
          description: request.description,
          metadata: request.metadata ?? {},
          if_exists: mayBeThere ? "do_nothing" : "raise",
        },
        texts: settingsOf(request),
      });
      const wanted = { ...request, assistantId, metadata: metadataOf(ruling) as JsonObject };
      if (!mayBeThere || ruling.within.length === 0) return assistants.createAssistant(wanted, context);
      try {
        return await assistants.createAssistant({ ...wanted, ifExists: IfExists.RAISE }, context);
      } catch (error) {
        const there = isDomainError(error, "ASSISTANT_EXISTS") && (await judge.assistant(context, assistantId));
        if (!there || !matchesMetadata(there.metadata, ruling.within)) throw error;
        return assistants.createAssistant(wanted, context);
      }
    },

    async getAssistant(request, context) {
      await read(context, request);
      return assistants.getAssistant(request, context);
    },

    async updateAssistant(request, context) {
      const { graphId: graph_id, name, description, metadata } = request;
      const ruling = await judge.onAssistant(
        context,
        "assistants:update",
        request.assistantId,
        { graph_id, name, description, metadata },
        settingsOf(request),
      );
      const changed = ruling.value.metadata && metadataOf({ ...ruling, stamp: {} });
      const removeMetadata = request.removeMetadata.filter((one) => one !== makersField);
      return assistants.updateAssistant({ ...request, metadata: changed as JsonObject, removeMetadata }, context);
    },

    async deleteAssistant(request, context) {
      await judge.onAssistant(context, "assistants:delete", request.assistantId);
      return assistants.deleteAssistant(request, context);
    },

    async searchAssistants(request, context) {
      const filter = await limited(context, request.filter, request.pageSize || undefined);
      return assistants.searchAssistants({ ...request, filter }, context);
    },

    async countAssistants(request, context) {
      return assistants.countAssistants(
        { ...request, filter: await limited(context, request.filter, undefined) },
        context,
      );
    },

    async getAssistantGraph(request, context) {
      await read(context, request);
      return assistants.getAssistantGraph(request, context);
    },

    async getAssistantSchemas(request, context) {
      await read(context, request);
      return assistants.getAssistantSchemas(request, context);
    },
  });
}

/** Whoever uses an assistant that somebody has configured must be allowed to read it. The graphs themselves are there for all. */
export async function checkAssistant(judge: Judge, context: HandlerContext, assistantId: string): Promise<string> {
  const found = await judge.assistant(context, assistantId);
  if (found && !found.system) await judge.onAssistant(context, "assistants:read", assistantId);
  return found?.assistantId ?? assistantId;
}

const settingsOf = ({ config, context }: Pick<pb.CreateAssistantRequest, "config" | "context">) => ({
  config: config && configJson(fromConfig(config, "config")),
  context: payloadText(context, "context"),
});
