import * as pb from "../../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../../gen/reins/v1/thread_service_pb.ts";
import { isDomainError } from "../../domain/errors.ts";
import { streamModes } from "../../domain/transitions.ts";
import { RestError } from "../errors.ts";
import { enumNamed } from "../json/body-shapes.ts";
import { payloadFormat } from "../json/payload.ts";
import { runJson } from "../json/run.ts";
import { pageAt, select } from "../pages.ts";
import {
  type Answer,
  flagParameter,
  json,
  namesParameter,
  oneOfParameter,
  type RestRequest,
  type Route,
  route,
  wholeParameter,
} from "../route.ts";
import { joinedAt, sentEvents, streamedAt, streamQuery, waited, wishOf } from "../run-answers.ts";
import { toOnDisconnect, toStreamModes } from "../run-body.ts";
import { disconnectQuery, flagged } from "./create-runs.ts";

const methods = RunService.method;
const statuses = ["pending", "running", "success", "error", "timeout", "interrupted"] as const;
const runFields = [
  ...["run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status", "metadata", "kwargs"],
  ...["multitask_strategy", "attempt", "error", "cancellation", "cancel_reason"],
];

const nameOf = ({ params }: RestRequest) => ({ threadId: params.thread_id!, runId: params.run_id! });

const disconnectOf = ({ query }: RestRequest) =>
  toOnDisconnect([
    flagged(query.boolean("cancel_on_disconnect", { yes: "cancel", no: "continue" })),
    query.oneOf("on_disconnect", ["cancel", "continue"]),
  ]);

async function list(request: RestRequest): Promise<Answer> {
  const { params, query, invoke } = request;
  const limit = query.whole("limit", { least: 0, most: 1000 }) ?? 10;
  const offset = query.whole("offset", { least: 0, most: 1_000_000 }) ?? 0;
  const status = query.oneOf("status", statuses);
  const fields = query.list("select");
  const wanted = {
    threadId: params.thread_id!,
    statuses: status ? [enumNamed(pb.RunStatus, status)!] : [],
    includeInput: fields.length === 0 || fields.includes("kwargs"),
    payloadFormat,
  };
  // One run at least is asked for: the handler must look whether there is such a thread, also where no run is wanted.
  const { items } = await pageAt({ limit: Math.max(1, limit), offset }, async (page) => {
    const { runs, nextPageToken } = await invoke.call(methods.listRuns, { ...wanted, ...page });
    return { items: runs, nextPageToken };
  });
  return json(
    select(
      fields,
      runFields,
      items.slice(0, limit).map((run) => runJson(run)),
    ),
  );
}

/** The run. That its thread is missing is said of it in a read, and not that the run is. */
async function find({ invoke, params }: RestRequest): Promise<pb.Run> {
  const [threadId, runId] = [params.thread_id!, params.run_id!];
  try {
    return (await invoke.call(methods.getRun, { threadId, runId, includeInput: true, payloadFormat })).run!;
  } catch (error) {
    if (isDomainError(error, "RUN_NOT_FOUND")) {
      await invoke.call(ThreadService.method.getThread, { threadId, omitValues: true });
    }
    throw error;
  }
}

async function get(request: RestRequest): Promise<Answer> {
  const name = nameOf(request);
  if (request.query.boolean("wait")) {
    return {
      kind: "deferred",
      location: joinedAt,
      async body(onRunExists) {
        const wanted = { ...name, payloadFormat, omitValues: true, includeInput: true };
        const end = await request.invoke.call(methods.joinRun, wanted, onRunExists);
        return runJson(end.run!);
      },
    };
  }
  return json(runJson(await find(request)));
}

function join(request: RestRequest): Answer {
  const onDisconnect = disconnectOf(request);
  return {
    kind: "deferred",
    location: joinedAt,
    body: async (onRunExists) =>
      waited(
        await request.invoke.call(methods.joinRun, { ...nameOf(request), onDisconnect, payloadFormat }, onRunExists),
      ),
  };
}

type StreamStart = { fromNow: true } | { afterSequence: bigint } | { afterCheckpointId: string };

/** Where a stream begins: after the event or the checkpoint that the client has seen last, from the first event on, or now. */
function startOf(request: RestRequest): StreamStart {
  const last = request.header("last-event-id");
  const checkpoint = request.query.text("checkpoint_id");
  if (checkpoint !== undefined && (last === undefined || last === "" || last === "-1")) {
    return { afterCheckpointId: checkpoint };
  }
  if (last === undefined || last === "") return { fromNow: true };
  if (last === "-1") return { afterSequence: 0n };
  if (/^\d{1,15}$/.test(last)) return { afterSequence: BigInt(last) };
  throw new RestError(422, "Last-Event-ID must be the id of an event of this run, or -1 or 0 for all of them");
}

async function stream(request: RestRequest): Promise<Answer> {
  const { invoke, query } = request;
  const name = nameOf(request);
  const wanted = { onDisconnect: disconnectOf(request), streamModes: toStreamModes(query.list("stream_mode")) };
  const [start, wish] = [startOf(request), wishOf(request)];
  const { run } = await invoke.call(methods.getRun, { ...name, payloadFormat });
  return {
    kind: "events",
    location: streamedAt(wish),
    tellsErrors: true,
    events: (onRunExists) =>
      sentEvents(
        invoke.stream(methods.joinRunStream, { ...name, ...wanted, ...start, payloadFormat }, onRunExists),
        wish,
        run!.attempt || 1,
      ),
  };
}

/**
 * Routes of runs that there are.
 *
 * An event that is out of reach is 422 and not 416: LangGraph's JavaScript SDK repeats what it does not know as final, for 20 s.
 */
export const readRunRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/threads/:thread_id/runs",
    is: "Lists the runs of a thread, newest first.",
    query: {
      limit: wholeParameter("the most runs to answer; 10 by default", 0, 1000),
      offset: wholeParameter("how many to leave out", 0, 1_000_000),
      status: oneOfParameter("only runs in this status", statuses),
      select: namesParameter("only these fields", runFields),
    },
    handle: list,
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id/runs/:run_id",
    is: "Reads a run.",
    query: { wait: flagParameter("answer when the run is over") },
    handle: get,
  }),
  route({
    method: "DELETE",
    path: "/threads/:thread_id/runs/:run_id",
    is: "Removes a run with its events and checkpoints; a live one is stopped first.",
    errors: { RUN_NOT_FOUND: [404, () => "Run not found"] },
    async handle(request) {
      await request.invoke.call(methods.deleteRun, nameOf(request));
      return { kind: "empty", status: 204 };
    },
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id/runs/:run_id/join",
    is: "Answers the values at the run's end.",
    query: disconnectQuery,
    handle: join,
  }),
  route({
    method: "GET",
    path: "/threads/:thread_id/runs/:run_id/stream",
    is: "Streams a run's output as server-sent events: from now on, or after the event that Last-Event-ID names.",
    query: {
      ...disconnectQuery,
      ...streamQuery,
      stream_mode: namesParameter("only output of these modes", streamModes),
      checkpoint_id: "only what comes after this checkpoint, whose state is known, unless Last-Event-ID names an event",
    },
    errors: { SEQUENCE_OUT_OF_RANGE: [422, ({ message }) => message.replaceAll("after_sequence", "Last-Event-ID")] },
    handle: stream,
  }),
];
