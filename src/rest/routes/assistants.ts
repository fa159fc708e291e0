import type { JsonObject } from "@bufbuild/protobuf";
import { z } from "zod";
import type { Assistant } from "../../../gen/reins/v1/assistant_pb.ts";
import { AssistantService } from "../../../gen/reins/v1/assistant_service_pb.ts";
import { IfExists } from "../../../gen/reins/v1/thread_service_pb.ts";
import { assistantOrder, inOrder } from "../assistant-order.ts";
import { type ErrorAnswers, RestError } from "../errors.ts";
import { assistantJson, graphJson, schemaOf } from "../json/assistant.ts";
import { enumNamed, jsonObject, optional } from "../json/body-shapes.ts";
import { configBody, toConfig } from "../json/config.ts";
import { payloadFormat, toPayload } from "../json/payload.ts";
import { pageAt, pageHeaders, select } from "../pages.ts";
import { json, oneOfParameter, type RestRequest, type Route, route } from "../route.ts";

const methods = AssistantService.method;
const id = z.guid({ error: "Invalid assistant ID: must be a UUID" });

const settings = {
  config: optional(configBody),
  context: optional(jsonObject),
  metadata: optional(jsonObject),
  name: optional(z.string()),
  description: optional(z.string()),
};
const createBody = z.object({
  ...settings,
  assistant_id: optional(id),
  graph_id: z.string().min(1),
  if_exists: optional(z.enum(["raise", "do_nothing"])),
});
const patchBody = z.object({ ...settings, graph_id: optional(z.string().min(1)) });

const filterBody = { graph_id: optional(z.string()), name: optional(z.string()), metadata: optional(jsonObject) };
const searchBody = z.object({
  ...filterBody,
  ...assistantOrder,
  limit: optional(z.int().min(1).max(1000)),
  offset: optional(z.int().min(0)),
  select: optional(z.array(z.string())),
});
const fields = [
  ...["assistant_id", "graph_id", "name", "description", "config", "context", "created_at", "updated_at"],
  ...["metadata", "version"],
];

const toSettings = (body: z.infer<z.ZodObject<typeof settings>>) => ({
  name: body.name,
  description: body.description,
  config: body.config && toConfig(body.config),
  context: toPayload(body.context),
  metadata: body.metadata as JsonObject | undefined,
});

const toFilter = ({ graph_id: graphId, name, metadata }: z.infer<z.ZodObject<typeof filterBody>>) => ({
  graphId,
  name,
  metadata: metadata as JsonObject | undefined,
});

const errors: ErrorAnswers = {
  ASSISTANT_NOT_FOUND: [404, ({ metadata: { assistant_id: missing } }) => missing && `Assistant ${missing} not found`],
  ASSISTANT_EXISTS: [409, ({ metadata: { assistant_id: taken } }) => taken && `Assistant ${taken} already exists`],
  GRAPH_NOT_FOUND: [404],
};

const idOf = ({ params }: RestRequest<unknown>) => params.assistant_id!;

/** Routes of assistants. `since` is when this server has read its graphs. */
export function assistantRoutes(since: Date): Route[] {
  const shown = (assistant: Assistant | undefined) => json(assistantJson(assistant!, since));
  const get = async (request: RestRequest<unknown>) =>
    (await request.invoke.call(methods.getAssistant, { assistantId: idOf(request), payloadFormat })).assistant!;

  return [
    route({
      method: "POST",
      path: "/assistants",
      is: "Configures an assistant on a graph.",
      body: createBody,
      errors,
      async handle({ body, invoke }) {
        const { assistant } = await invoke.call(methods.createAssistant, {
          ...toSettings(body),
          assistantId: body.assistant_id,
          graphId: body.graph_id,
          ifExists: enumNamed(IfExists, body.if_exists),
        });
        return shown(assistant);
      },
    }),
    route({
      method: "POST",
      path: "/assistants/search",
      is: "Finds assistants.",
      body: searchBody,
      errors,
      async handle({ body, invoke }) {
        const page = { limit: body.limit ?? 10, offset: body.offset ?? 0 };
        const filter = toFilter(body);
        const find = async (wanted: typeof page) => {
          const { items, more } = await pageAt(wanted, async (part) => {
            const found = await invoke.call(methods.searchAssistants, { filter, ...part, payloadFormat });
            return { items: found.assistants, nextPageToken: found.nextPageToken };
          });
          return { items: items.map((one) => assistantJson(one, since)), more };
        };
        const { items, more } = await inOrder(body, page, find);
        return json(select(body.select ?? [], fields, items), pageHeaders(page, items.length, more));
      },
    }),
    route({
      method: "POST",
      path: "/assistants/count",
      is: "Counts assistants.",
      body: z.object(filterBody),
      errors,
      async handle({ body, invoke }) {
        return json(Number((await invoke.call(methods.countAssistants, { filter: toFilter(body) })).count));
      },
    }),
    route({
      method: "GET",
      path: "/assistants/:assistant_id",
      is: "Reads an assistant.",
      errors,
      handle: async (request) => shown(await get(request)),
    }),
    route({
      method: "PATCH",
      path: "/assistants/:assistant_id",
      is: "Changes an assistant, for runs that are created from then on.",
      body: patchBody,
      payloads: ["context"],
      errors,
      async handle({ params, body, invoke }) {
        const { assistant } = await invoke.call(methods.updateAssistant, {
          ...toSettings(body),
          assistantId: params.assistant_id!,
          graphId: body.graph_id,
          payloadFormat,
        });
        return shown(assistant);
      },
    }),
    route({
      method: "DELETE",
      path: "/assistants/:assistant_id",
      is: "Removes an assistant. Its runs and threads stay.",
      errors,
      query: { delete_threads: oneOfParameter("only false is offered", ["false", "0", "no"]) },
      async handle(request) {
        if (request.query.boolean("delete_threads")) {
          throw new RestError(422, "delete_threads is not offered; delete the threads themselves");
        }
        await request.invoke.call(methods.deleteAssistant, { assistantId: idOf(request) });
        return { kind: "empty", status: 204 };
      },
    }),
    route({
      method: "GET",
      path: "/assistants/:assistant_id/graph",
      is: "Reads the nodes and edges of an assistant's graph.",
      errors,
      query: { xray: "true, or how many levels of subgraphs to draw in place of their nodes" },
      async handle(request) {
        const { graph } = await request.invoke.call(methods.getAssistantGraph, {
          assistantId: idOf(request),
          subgraphDepth: depthOf(request),
          payloadFormat,
        });
        return json(graphJson(graph!));
      },
    }),
    route({
      method: "GET",
      path: "/assistants/:assistant_id/schemas",
      is: "Reads the JSON Schemas of an assistant's graph.",
      errors,
      async handle(request) {
        const assistant = await get(request);
        const wanted = { assistantId: assistant.assistantId, payloadFormat };
        const { schemas } = await request.invoke.call(methods.getAssistantSchemas, wanted);
        return json({
          graph_id: assistant.graphId,
          input_schema: schemaOf(schemas!.input),
          output_schema: schemaOf(schemas!.output),
          state_schema: schemaOf(schemas!.state),
          config_schema: schemaOf(schemas!.config),
          context_schema: schemaOf(schemas!.context),
        });
      },
    }),
    route({
      method: "POST",
      path: "/assistants/:assistant_id/versions",
      is: "Lists the versions of an assistant that are kept: its newest.",
      errors,
      body: z.object({ limit: optional(z.int()), offset: optional(z.int()), metadata: optional(jsonObject) }),
      handle: async (request) => json(request.body.offset ? [] : [assistantJson(await get(request), since)]),
    }),
    route({
      method: "POST",
      path: "/assistants/:assistant_id/latest",
      is: "Makes a version the one that is used; only the newest is kept.",
      errors,
      body: z.object({ version: z.int() }),
      async handle(request) {
        const assistant = await get(request);
        const { version } = request.body;
        if (version === assistant.version) return shown(assistant);
        throw new RestError(404, `Version ${version} is not kept; the newest is ${assistant.version}`);
      },
    }),
  ];
}

function depthOf({ query }: RestRequest<unknown>): number {
  const given = query.text("xray");
  if (given !== undefined && /^\d+$/.test(given)) return query.whole("xray", { least: 0, most: 100 })!;
  return query.boolean("xray") ? 100 : 0;
}
