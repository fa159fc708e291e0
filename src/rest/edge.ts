import { randomUUID } from "node:crypto";
import createRouter from "find-my-way";
import type { Logger } from "pino";
import type { Audit } from "../access/audit.ts";
import type { Policy } from "../access/authorize.ts";
import { whoAsks } from "../access/identity.ts";
import type { CallLimits } from "../access/limits.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { readTarget } from "../server/admit.ts";
import type { Fallback, RequestFacts } from "../server/node-handler.ts";
import type { NodeServerRequest, NodeServerResponse } from "../server/node-messages.ts";
import { RestError, toRestError } from "./errors.ts";
import { type CreateInvoke, createInvokers, type Services } from "./invoke.ts";
import { readBody } from "./read-body.ts";
import { readQuery } from "./read-query.ts";
import type { Route } from "./route.ts";
import { createRoutes, type RoutesParts } from "./routes.ts";
import { sendAnswer, sendJson } from "./send-answer.ts";
import { createRunCreated, notifying } from "./thread-stream/run-created.ts";

export interface RestEdgeOptions extends RoutesParts {
  readonly services: Services;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly limits: CallLimits;
  /** The services' errors as those of the domain, also a database that is away. */
  readonly nameError: (error: unknown) => unknown;
  readonly shutdownSignal: AbortSignal;
  readonly maxBodyBytes: number;
  readonly large: LargeBodies;
  /** See SendOptions. */
  readonly beatMs: number;
  readonly log: Logger;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The HTTP API of LangGraph's server over the handlers of the RPCs: routes convert, call and convert back, so that
 * validation, meaning, errors and leavers are the same as over gRPC.
 */
export function createRestEdge(options: RestEdgeOptions): Fallback {
  const { log } = options;
  const router = createRouter({ ignoreTrailingSlash: true, maxParamLength: 500 });
  const runCreated = createRunCreated();
  const services = { ...options.services, runs: notifying(options.services.runs, runCreated) };
  const createInvoke = createInvokers(services, options.shutdownSignal);
  const routes = createRoutes({ ...options, runCreated });
  for (const one of routes) router.on(one.method, one.path, () => {}, one);
  const methods = [...new Set(routes.map((one) => one.method))];

  /**
   * The routes of a path, at most one a method. Where one of them spells out a segment that another takes for an id, only the former
   * is meant: /threads/search is no thread with the id "search", whatever the method.
   */
  function routesOf(path: string): { route: Route; params: Record<string, string> }[] {
    const found = methods.flatMap((method) => {
      const one = router.find(method, path);
      return one ? [{ route: one.store as Route, params: one.params as Record<string, string> }] : [];
    });
    const ids = ({ params }: (typeof found)[number]) => Object.keys(params).length;
    const fewest = Math.min(...found.map(ids));
    return found.filter((one) => ids(one) === fewest);
  }

  /** The route and the parts of its path. Throws 404, or 405 for a path that has other methods. */
  function find(method: string, path: string): { route: Route; params: Record<string, string> } {
    const all = routesOf(path);
    const found = all.find(({ route }) => route.method === method);
    if (found) return found;
    if (all.length === 0) throw new RestError(404, "Not Found");
    throw new RestError(405, "Method Not Allowed", { allow: all.map(({ route }) => route.method).join(", ") });
  }

  async function answer(request: NodeServerRequest, response: NodeServerResponse, facts: RequestFacts): Promise<void> {
    const startedAt = performance.now();
    const gone = new AbortController();
    let route: Route | undefined;
    response.once("close", () => {
      // What was ended was answered, though perhaps not received: only whoever leaves before that has left.
      if (!response.writableEnded) gone.abort(new Error("the client has left"));
      const { requestId, peer } = facts;
      const outcome = response.writableEnded ? response.statusCode : "left";
      log[route?.probe !== undefined && outcome === 200 ? "debug" : "info"](
        { method: request.method, route: route?.path, status: outcome, ms: elapsed(startedAt), requestId, peer },
        "request",
      );
    });
    try {
      const { path, query } = readTarget(request.url ?? "");
      const found = find(request.method ?? "", path);
      route = found.route;
      await handle(found.route, found.params, query, {
        request,
        response,
        gone,
        createInvoke,
        options,
        facts,
      });
    } catch (error) {
      fail(error, route, { request, response, gone, facts });
    }
  }

  function fail(
    error: unknown,
    route: Route | undefined,
    call: Pick<HandledCall, "request" | "response" | "gone" | "facts">,
  ) {
    const { request, response, gone, facts } = call;
    if (gone.signal.aborted || isConnectionLost(error, request)) return;
    const told = toRestError(options.nameError(error), route?.errors) ?? internalError(error, facts);
    // A stream that stops early must not look like one that has ended: its reader then comes back for the rest. Without an
    // error it would look so over HTTP/2, where it then ends with NO_ERROR.
    if (response.headersSent) return void response.destroy(new Error("the answer was broken off"));
    // What is left of a refused body would block the connection.
    request.resume();
    sendJson(response, told.status, { detail: told.message }, told.headers);
  }

  function internalError(error: unknown, { requestId }: RequestFacts): RestError {
    const errorId = randomUUID();
    log.error({ err: error, errorId, requestId }, "a request failed unexpectedly");
    return new RestError(500, `Internal error ${errorId}.`);
  }

  return {
    answer: (request, response, facts) => void answer(request, response, facts),
    find: (method, path) => routesOf(path).find(({ route }) => route.method === method)?.route,
  };
}

/** The client's reset may be told as a failed read before it is told as the end of the connection. */
const isConnectionLost = (error: unknown, request: NodeServerRequest): boolean =>
  request.destroyed && error instanceof Error && lostCodes.has((error as NodeJS.ErrnoException).code ?? "");

const lostCodes = new Set([
  ...["ECONNRESET", "EPIPE", "ABORT_ERR", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED"],
  ...["ERR_HTTP2_STREAM_ERROR", "ERR_HTTP2_INVALID_STREAM", "ERR_HTTP2_SESSION_ERROR"],
]);

const elapsed = (startedAt: number): number => Math.round(performance.now() - startedAt);

interface HandledCall {
  readonly request: NodeServerRequest;
  readonly response: NodeServerResponse;
  readonly gone: AbortController;
  readonly createInvoke: CreateInvoke;
  readonly options: RestEdgeOptions;
  readonly facts: RequestFacts;
}

async function handle(route: Route, params: Record<string, string>, search: URLSearchParams, call: HandledCall) {
  const { policy, limits } = call.options;
  const { identity, requestId } = call.facts;
  policy.check(identity, route, requestId);
  const end = route.lasts && limits.stream(identity.owner);
  try {
    await answerRoute(route, params, search, call);
  } finally {
    end?.();
  }
}

async function answerRoute(route: Route, params: Record<string, string>, search: URLSearchParams, call: HandledCall) {
  const { request, response, gone, options } = call;
  if (call.facts.isDraining() && route.probe !== "alive") {
    throw new RestError(503, "The server is shutting down; repeat the request later.", { "retry-after": "1" });
  }
  checkIds(params);
  const { maxBodyBytes: maxBytes, large } = options;
  const reading = { maxBytes, large, payloads: route.payloads ?? [] };
  const body = route.body && (await readBody(request, route.body, reading));
  if (!route.body) request.resume();
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const { identity, requestId } = call.facts;
  const answer = await route.handle({
    params,
    query: readQuery(search),
    header,
    body,
    signal: gone.signal,
    identity,
    invoke: call.createInvoke({ ...call.facts, isCounted: route.lasts }, gone.signal),
  });
  if (route.deletes) {
    const asked = { ...whoAsks(identity), call: `${route.method} ${route.path}`, requestId };
    await options.audit.write({ ...asked, targets: [route.deletes(body)], decision: "allowed", outcome: "done" });
  }
  const tell = (error: unknown) => toRestError(options.nameError(error), route.errors);
  await sendAnswer(response, answer, { tell, beatMs: options.beatMs, signal: gone.signal });
}

function checkIds(params: Record<string, string>): void {
  for (const [name, what] of [
    ["thread_id", "thread"],
    ["run_id", "run"],
  ] as const) {
    const id = params[name];
    if (id !== undefined && !uuid.test(id)) throw new RestError(422, `Invalid ${what} ID: must be a UUID`);
  }
}
