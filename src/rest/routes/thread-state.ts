import type { JsonObject } from "@bufbuild/protobuf";
import { z } from "zod";
import { ThreadService } from "../../../gen/reins/v1/thread_service_pb.ts";
import { type ErrorAnswers, RestError } from "../errors.ts";
import { jsonObject, optional } from "../json/body-shapes.ts";
import { checkpointBody, checkpointJson, toCheckpoint } from "../json/checkpoint.ts";
import { payloadFormat, toPayload } from "../json/payload.ts";
import { stateJson } from "../json/thread.ts";
import { type Answer, flagParameter, json, type RestRequest, type Route, route, wholeParameter } from "../route.ts";
import { selectState } from "../select-state.ts";

const methods = ThreadService.method;

/** The texts of LangGraph's server, without the runs that it prints. */
const updateErrors: ErrorAnswers = {
  THREAD_BUSY: [409, ({ run, message }) => (run ? `Thread ${run.threadId} has in-flight runs: ${run.runId}` : message)],
};

const updateBody = z.object({
  values: z.unknown().optional(),
  as_node: optional(z.string()),
  checkpoint: optional(checkpointBody),
  checkpoint_id: optional(z.guid({ error: "Invalid checkpoint ID" })),
  /** Reins' own: whose state it is, on a thread that no run has started on. */
  assistant_id: optional(z.string()),
  metadata: optional(jsonObject),
});

/** A checkpoint's id, or the configuration or checkpoint that LangGraph's SDKs have sent for it over the years. */
const before = optional(
  z.union([
    z.string(),
    z.object({
      checkpoint_id: optional(z.string()),
      configurable: optional(z.object({ checkpoint_id: optional(z.string()) })),
    }),
  ]),
);

const beforeId = (value: z.infer<typeof before>): string | undefined =>
  typeof value === "string" ? value : (value?.checkpoint_id ?? value?.configurable?.checkpoint_id);

const selectBody = optional(z.array(z.string()));

const historyBody = z.object({
  limit: optional(z.int().min(1).max(1000)),
  before,
  metadata: optional(jsonObject),
  checkpoint: optional(checkpointBody),
  select: selectBody,
});

const stateQuery = {
  subgraphs: flagParameter("also the states of subgraphs"),
  select: "only these fields, with values.name one of the values; may be repeated",
};

const subgraphsOf = ({ query }: RestRequest) => ({ subgraphs: query.boolean("subgraphs") });

async function readState<Body>(
  { params, invoke }: RestRequest<Body>,
  select: readonly string[] | undefined,
  at: { checkpointId?: string; checkpoint?: ReturnType<typeof toCheckpoint>; subgraphs?: boolean },
): Promise<Answer> {
  const threadId = params.thread_id!;
  const { omitValues, of } = selectState(select);
  const { state } = await invoke.call(methods.getThreadState, { threadId, ...at, omitValues, payloadFormat });
  return json(of(stateJson(threadId, state!)));
}

async function readHistory<Body>(
  { params, invoke }: RestRequest<Body>,
  select: readonly string[] | undefined,
  which: { limit: number; beforeCheckpointId?: string; metadata?: JsonObject; checkpointNs?: string },
): Promise<Answer> {
  const threadId = params.thread_id!;
  const { omitValues, of } = selectState(select);
  const wanted = { threadId, ...which, omitValues, payloadFormat };
  const { states } = await invoke.call(methods.listThreadHistory, wanted);
  return json(states.map((one) => of(stateJson(threadId, one))));
}

/** Routes of threads' states. */
export const threadStateRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/threads/:thread_id/state",
    is: "Reads the state at the newest checkpoint.",
    query: stateQuery,
    handle: (request) => readState(request, request.query.list("select"), subgraphsOf(request)),
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id/state/:checkpoint",
    is: "Reads the state at a checkpoint.",
    query: stateQuery,
    handle: (request) =>
      readState(request, request.query.list("select"), {
        ...subgraphsOf(request),
        checkpointId: request.params.checkpoint,
      }),
  }),
  route({
    method: "POST",
    path: "/threads/:thread_id/state/checkpoint",
    is: "Reads the state at a checkpoint, which may be a subgraph's.",
    body: z.object({ checkpoint: checkpointBody, subgraphs: optional(z.boolean()), select: selectBody }),
    handle: (request) =>
      readState(request, request.body.select, {
        checkpoint: toCheckpoint(request.body.checkpoint),
        subgraphs: request.body.subgraphs,
      }),
  }),
  route({
    method: "POST",
    path: "/threads/:thread_id/state",
    is: "Edits the state as if a node had returned the values; at a checkpoint, which forks the thread there.",
    body: updateBody,
    payloads: ["values"],
    errors: updateErrors,
    async handle({ params, body, invoke }) {
      const threadId = params.thread_id!;
      if (body.checkpoint && body.checkpoint_id !== undefined) {
        throw new RestError(422, "checkpoint must not be set together with checkpoint_id");
      }
      const named = body.checkpoint ?? (body.checkpoint_id ? { checkpoint_id: body.checkpoint_id } : undefined);
      const { checkpoint } = await invoke.call(methods.updateThreadState, {
        threadId,
        values: body.values === null ? undefined : toPayload(body.values),
        asNode: body.as_node,
        checkpoint: named && toCheckpoint(named as z.infer<typeof checkpointBody>),
        assistantId: body.assistant_id,
        metadata: body.metadata as JsonObject | undefined,
      });
      const made = checkpointJson(threadId, checkpoint)!;
      return json({ checkpoint: made, configurable: made, checkpoint_id: made.checkpoint_id });
    },
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id/history",
    is: "Lists the states of a thread, newest first.",
    query: {
      limit: wholeParameter("the most states to answer; 10 by default", 1, 1000),
      before: { is: "only older than this checkpoint", schema: { type: "string", format: "uuid" } },
      select: stateQuery.select,
    },
    handle: (request) =>
      readHistory(request, request.query.list("select"), {
        limit: request.query.whole("limit", { least: 1, most: 1000 }) ?? 10,
        beforeCheckpointId: request.query.text("before"),
      }),
  }),
  route({
    method: "POST",
    path: "/threads/:thread_id/history",
    is: "Lists the states of a thread, newest first, by what their metadata holds.",
    body: historyBody,
    handle: (request) =>
      readHistory(request, request.body.select, {
        limit: request.body.limit ?? 10,
        beforeCheckpointId: beforeId(request.body.before),
        metadata: request.body.metadata as JsonObject | undefined,
        checkpointNs: request.body.checkpoint?.checkpoint_ns,
      }),
  }),
];
