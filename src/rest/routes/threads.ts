import type { JsonObject } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import { ThreadStatus } from "../../../gen/reins/v1/thread_pb.ts";
import * as pb from "../../../gen/reins/v1/thread_service_pb.ts";
import { RestError } from "../errors.ts";
import { extractBody, toExtract } from "../extract.ts";
import { enumNamed, jsonObject, optional } from "../json/body-shapes.ts";
import { payloadFormat } from "../json/payload.ts";
import { threadJson } from "../json/thread.ts";
import { pageAt, pageHeaders, select } from "../pages.ts";
import { json, type Route, route } from "../route.ts";

const methods = pb.ThreadService.method;

const ttl = optional(
  z.union([z.number(), z.object({ ttl: optional(z.number()), strategy: optional(z.enum(["delete", "keep_latest"])) })]),
);

const longestTtl = 5_256_000;

/** In minutes, as LangGraph counts it. */
function toTtl(value: z.infer<typeof ttl>) {
  const { ttl: minutes, strategy } = typeof value === "number" ? { ttl: value, strategy: undefined } : (value ?? {});
  if (strategy === "keep_latest")
    throw new RestError(422, 'ttl.strategy "keep_latest" is not offered; there is delete');
  if (minutes === undefined) return undefined;
  if (minutes < 0 || minutes > longestTtl)
    throw new RestError(422, `ttl: must be from 0 to ${longestTtl} minutes, ten years`);
  return durationFromMs(minutes * 60_000);
}

const metadata = optional(jsonObject);
/** Ids that LangGraph's server keeps for itself, and takes out without a word. */
const reserved = new Set(["thread_id", "assistant_id", "run_id", "cron_id"]);
const toMetadata = (fields: Record<string, unknown> | undefined) =>
  fields && (Object.fromEntries(Object.entries(fields).filter(([name]) => !reserved.has(name))) as JsonObject);

const createBody = z.object({
  thread_id: optional(z.guid({ error: "Invalid thread ID: must be a UUID" })),
  metadata,
  if_exists: optional(z.enum(["raise", "do_nothing"])),
  ttl,
  supersteps: optional(z.array(z.unknown())),
});

const anyMetadata = jsonObject.refine((fields) => Object.keys(fields).length > 0, "must name a field");

const filterBody = {
  ids: optional(z.array(z.guid())),
  metadata,
  /** An object, or several: what has all fields of one of them is left out. */
  exclude_metadata: optional(z.union([anyMetadata, z.array(anyMetadata).min(1)])),
  values: optional(jsonObject),
  status: optional(z.enum(["idle", "busy", "interrupted", "error"])),
};
const sortFields = ["thread_id", "status", "created_at", "updated_at", "state_updated_at"] as const;
const searchBody = z.object({
  ...filterBody,
  limit: optional(z.int().min(1).max(1000)),
  offset: optional(z.int().min(0)),
  sort_by: optional(z.enum(sortFields)),
  sort_order: optional(z.enum(["asc", "desc"])),
  select: optional(z.array(z.string())),
  extract: extractBody,
});
const threadFields = [
  ...["thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "context", "status"],
  ...["values", "interrupts", "error", "ttl"],
];

/** What the server itself shows in the metadata is no part of it, and is found by fields of its own. */
function toFilter(body: z.infer<z.ZodObject<typeof filterBody>>) {
  const { ids, exclude_metadata: excluded = [], values, status } = body;
  return {
    ...ownersOf(body.metadata ?? {}, "metadata"),
    threadIds: ids && [...new Set(ids)],
    exclude: (Array.isArray(excluded) ? excluded : [excluded]).map((one) => ownersOf(one, "exclude_metadata")),
    values: values as JsonObject | undefined,
    statuses: status ? [enumNamed(ThreadStatus, status)!] : [],
  };
}

function ownersOf({ graph_id: graphId, assistant_id: assistantId, ...others }: Record<string, unknown>, field: string) {
  for (const [name, id] of Object.entries({ graph_id: graphId, assistant_id: assistantId })) {
    if (id !== undefined && typeof id !== "string") throw new RestError(422, `${field}.${name}: must be a text`);
  }
  return {
    graphId: graphId as string | undefined,
    assistantId: assistantId as string | undefined,
    metadata: others as JsonObject,
  };
}

const sortBy = (name: (typeof sortFields)[number] = "updated_at") =>
  enumNamed(pb.ThreadSortBy, name === "state_updated_at" ? "updated_at" : name);

/** Routes of threads, but for their state and their runs. */
export const threadRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/threads",
    is: "Creates a thread.",
    body: createBody,
    async handle({ body, invoke }) {
      if (body.supersteps && body.supersteps.length > 0) {
        throw new RestError(422, "supersteps are not offered; edit the state with POST /threads/{thread_id}/state");
      }
      const { thread } = await invoke.call(methods.createThread, {
        threadId: body.thread_id,
        metadata: toMetadata(body.metadata),
        ifExists: enumNamed(pb.IfExists, body.if_exists),
        ttl: toTtl(body.ttl),
      });
      return json(threadJson(thread!));
    },
  }),
  route({
    method: "POST",
    path: "/threads/search",
    is: "Finds threads; last changed first, if nothing else is said.",
    body: searchBody,
    async handle({ body, invoke }) {
      const page = { limit: body.limit ?? 10, offset: body.offset ?? 0 };
      const fields = body.select ?? [];
      select(fields, threadFields, []);
      const extract = toExtract(body.extract, [...threadFields, "extracted"]);
      const wanted = {
        filter: toFilter(body),
        sortBy: sortBy(body.sort_by),
        payloadFormat,
        sortOrder: body.sort_order === "asc" ? pb.SortOrder.ASCENDING : pb.SortOrder.DESCENDING,
        omitValues: fields.length > 0 && !fields.includes("values") && !fields.includes("interrupts") && !extract,
      };
      const { items, more } = await pageAt(page, async (part) => {
        const { threads, nextPageToken } = await invoke.call(methods.searchThreads, { ...wanted, ...part });
        return { items: threads, nextPageToken };
      });
      const found = items.map(threadJson);
      const shown = select(fields, threadFields, found);
      const extracted = extract ? shown.map((one, i) => ({ ...one, extracted: extract.of(found[i]!) })) : shown;
      return json(extracted, pageHeaders(page, items.length, more));
    },
  }),
  route({
    method: "POST",
    path: "/threads/count",
    is: "Counts threads.",
    body: z.object(filterBody),
    async handle({ body, invoke }) {
      return json(Number((await invoke.call(methods.countThreads, { filter: toFilter(body) })).count));
    },
  }),
  route({
    method: "POST",
    path: "/threads/prune",
    is: "Removes threads, or all but their newest state; busy ones are passed over.",
    body: z.object({
      thread_ids: z.array(z.guid({ error: "Invalid thread ID: must be a UUID" })),
      strategy: optional(z.enum(["delete", "keep_latest"])),
    }),
    async handle({ body, invoke }) {
      const threadIds = [...new Set(body.thread_ids)];
      if (threadIds.length === 0) return json({ pruned_count: 0 });
      const strategy = enumNamed(pb.PruneStrategy, body.strategy ?? "delete")!;
      const { prunedThreadIds } = await invoke.call(methods.pruneThreads, { threadIds, strategy });
      return json({ pruned_count: prunedThreadIds.length });
    },
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id",
    is: "Reads a thread.",
    async handle({ params, invoke }) {
      const { thread } = await invoke.call(methods.getThread, { threadId: params.thread_id!, payloadFormat });
      return json(threadJson(thread!));
    },
  }),
  route({
    method: "PATCH",
    path: "/threads/:thread_id",
    is: "Puts fields over a thread's metadata, or changes how long it is kept.",
    body: z.object({ metadata, ttl }),
    async handle({ params, body, invoke, header }) {
      const { thread } = await invoke.call(methods.updateThread, {
        threadId: params.thread_id!,
        metadata: toMetadata(body.metadata),
        ttl: toTtl(body.ttl),
        payloadFormat,
      });
      const isMinimal = header("prefer")?.toLowerCase().includes("return=minimal");
      return isMinimal ? { kind: "empty", status: 204 } : json(threadJson(thread!));
    },
  }),
  route({
    method: "DELETE",
    path: "/threads/:thread_id",
    is: "Stops a thread's live runs, then removes it with all that belongs to it.",
    async handle({ params, invoke }) {
      await invoke.call(methods.deleteThread, { threadId: params.thread_id! });
      return { kind: "empty", status: 204 };
    },
  }),
  route({
    method: "POST",
    path: "/threads/:thread_id/copy",
    is: "Copies a thread with its checkpoints, without its runs.",
    async handle({ params, invoke }) {
      const { thread } = await invoke.call(methods.copyThread, { threadId: params.thread_id!, payloadFormat });
      return json(threadJson(thread!));
    },
  }),
];
