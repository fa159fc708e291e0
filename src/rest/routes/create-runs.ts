import { z } from "zod";
import { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import type { DomainError } from "../../domain/errors.ts";
import type { ErrorAnswers } from "../errors.ts";
import { payloadFormat } from "../json/payload.ts";
import { runJson } from "../json/run.ts";
import { type Answer, flagParameter, json, oneOfParameter, type RestRequest, type Route, route } from "../route.ts";
import { createdAt, joinedAt, sentEvents, streamedAt, streamQuery, waited, wishOf } from "../run-answers.ts";
import {
  runPayloads as payloads,
  type RunBody,
  runBody,
  statelessRunBody,
  toCreateRun,
  toOnDisconnect,
} from "../run-body.ts";

const methods = RunService.method;

/** The texts of LangGraph's server, version 0.16.7. */
export function createErrors(graphs: readonly string[]): ErrorAnswers {
  const missing = () => "Thread or assistant not found.";
  return {
    THREAD_NOT_FOUND: [404, missing],
    ASSISTANT_NOT_FOUND: [404, missing],
    THREAD_BUSY: [
      409,
      () => "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.",
    ],
    GRAPH_NOT_FOUND: [422, (error) => invalidAssistant(error, graphs)],
  };
}

function invalidAssistant({ metadata }: DomainError, graphs: readonly string[]): string {
  const [name] = Object.values(metadata);
  return (
    `Invalid assistant: '${name}'. Must be either:\n- A valid assistant UUID, or\n` +
    `- One of the registered graphs: ${graphs.join(", ")}`
  );
}

const disconnectOf = ({ body, query }: RestRequest<RunBody>) =>
  toOnDisconnect([
    body.on_disconnect,
    query.oneOf("on_disconnect", ["cancel", "continue"]),
    flagged(query.boolean("cancel_on_disconnect", { yes: "cancel", no: "continue" })),
  ]);

/** What `cancel_on_disconnect` means in the words of `on_disconnect`. */
export const flagged = (cancel: boolean | undefined) =>
  cancel === undefined ? undefined : cancel ? "cancel" : "continue";

export const disconnectQuery = {
  on_disconnect: oneOfParameter("what the client's leaving means for the run", ["cancel", "continue"]),
  cancel_on_disconnect: flagParameter("the same", ["cancel", "continue"]),
};

/** Routes that create runs: on a thread, and without one. */
export function createRunRoutes(graphs: readonly string[]): Route[] {
  const errors = createErrors(graphs);

  const wait = (request: RestRequest<RunBody>): Answer => {
    const create = toCreateRun(request.body, request.params.thread_id);
    const onDisconnect = disconnectOf(request);
    return {
      kind: "deferred",
      location: joinedAt,
      body: async (onRunExists) =>
        waited(await request.invoke.call(methods.waitRun, { create, onDisconnect, payloadFormat }, onRunExists)),
    };
  };

  const stream = (request: RestRequest<RunBody>): Answer => {
    const create = toCreateRun(request.body, request.params.thread_id);
    const onDisconnect = disconnectOf(request);
    const wish = wishOf(request);
    return {
      kind: "events",
      location: streamedAt(wish),
      tellsErrors: true,
      events: (onRunExists) =>
        sentEvents(
          request.invoke.stream(methods.streamRun, { create, onDisconnect, payloadFormat }, onRunExists),
          wish,
        ),
    };
  };

  const create = async ({ body, params, invoke }: RestRequest<RunBody>): Promise<Answer> => {
    const wanted = { ...toCreateRun(body, params.thread_id), includeInput: true };
    const { run } = await invoke.call(methods.createRun, wanted);
    return json(runJson(run!), createdAt(run!));
  };

  /** A run is created, waited for or streamed, on a thread or without one. */
  const routesOf = (path: string, body: typeof statelessRunBody, what: string): Route[] => {
    const common = { method: "POST", body, payloads, errors } as const;
    return [
      route({ ...common, path, is: `Creates ${what}.`, handle: create }),
      route({
        ...common,
        path: `${path}/wait`,
        is: `Creates ${what} and answers the values at its end.`,
        query: disconnectQuery,
        handle: wait,
      }),
      route({
        ...common,
        path: `${path}/stream`,
        is: `Creates ${what} and streams its output as server-sent events.`,
        query: { ...disconnectQuery, ...streamQuery },
        handle: stream,
      }),
    ];
  };

  return [
    ...routesOf("/threads/:thread_id/runs", runBody, "a run on a thread"),
    ...routesOf("/runs", statelessRunBody, "a stateless run"),
    route({
      method: "POST",
      path: "/runs/batch",
      is: "Creates stateless runs, all of them or none.",
      body: z.array(statelessRunBody).min(1),
      payloads,
      errors,
      async handle({ body, invoke }) {
        const requests = body.map((one) => toCreateRun(one));
        const { runs } = await invoke.call(methods.batchCreateRuns, { runs: requests, includeInput: true });
        return json(runs.map(runJson));
      },
    }),
  ];
}
