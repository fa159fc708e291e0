import { randomUUID } from "node:crypto";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import { type Caller, callerKey, type Identify } from "../access/caller.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { objection, pathAndQuery } from "./admit.ts";
import { alive, sayAlive } from "./alive.ts";
import { type Call, callKey } from "./call-gate.ts";
import { clientGone } from "./client-gone.ts";
import type { Cors } from "./cors.ts";
import { findErrorInfo } from "./error-info.ts";
import { dropFarDeadline } from "./far-deadline.ts";
import type { HostCheck } from "./host-check.ts";
import { heldKey, putHeldPayloads } from "./large-answers.ts";
import { readLargeElsewhere } from "./large-requests.ts";
import type { NodeHandlerFn, NodeServerRequest, NodeServerResponse } from "./node-messages.ts";
import { refuse, refuseForNow } from "./refuse.ts";
import { sendRpcAnswer } from "./send-rpc-answer.ts";
import { limitBody } from "./slow-clients.ts";
import { describeMismatch, isRpcRequest, unknownMethod, unknownPath } from "./unserved.ts";

/** What is known of a request that is no RPC. */
export interface RequestFacts {
  /** As in Call. */
  readonly requestId: string;
  readonly peer: string;
  readonly caller: Caller;
  /** True once no new calls are taken. */
  readonly isDraining: () => boolean;
}

/** Answers every request that is no RPC, after the checks of host and origin. */
export type FallbackFn = (request: NodeServerRequest, response: NodeServerResponse, facts: RequestFacts) => void;

export interface NodeHandlerOptions {
  /** One for each RPC. */
  readonly handlers: readonly UniversalHandler[];
  readonly isAllowedHost: HostCheck;
  readonly cors: Cors;
  readonly identify: Identify;
  /** Gets every request that is no RPC. */
  readonly fallback: FallbackFn | undefined;
  /** The services are still to come: whatever else is asked is told to come back. */
  readonly isStarting: boolean;
  /** True once HTTP/1.1 connections are to close after their answer. */
  readonly isDraining: () => boolean;
  /** Reads the large messages; Connect reads all of them where it is absent. */
  readonly large: LargeBodies | undefined;
  readonly readMaxBytes: number;
  readonly bodyTimeoutMs: number;
  readonly log: Logger;
}

/** The way of every request: from where, to whom, for which RPC. */
export function createNodeHandler(options: NodeHandlerOptions): NodeHandlerFn {
  const rpcs = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const call = describeCall(request);
    response.setHeader("x-request-id", call.requestId);
    if (options.isDraining() && request.httpVersionMajor === 1) {
      response.setHeader("connection", "close");
    }
    if (!admit(request, response, options) || answerPreflight(request, response, options.cors)) {
      return;
    }
    request.url = pathAndQuery(request.url ?? "");
    const path = request.url.split("?", 1)[0] ?? "";
    const rpc = rpcs.get(path);
    const { methodKind } = rpc?.method ?? {};
    if (methodKind !== "bidi_streaming" && methodKind !== "client_streaming") limitBody(request, options.bodyTimeoutMs);
    if (rpc) {
      const values = createContextValues()
        .set(callKey, call)
        .set(callerKey, options.identify(request))
        .set(heldKey, new Map());
      handleRpc(rpc, request, response, { values, ...options }).catch((error) =>
        options.log.debug({ err: error, requestId: call.requestId, path }, "the answer did not reach its client"),
      );
    } else if (options.isStarting && request.method === "GET" && path === alive.path) {
      sayAlive(response);
    } else if (options.isStarting) {
      refuseForNow(request, response, isRpcRequest(request, path));
    } else if (isRpcRequest(request, path)) {
      refuse(request, response, unknownMethod(path, options.handlers), { status: 404 });
    } else if (options.fallback) {
      options.fallback(request, response, {
        ...call,
        caller: options.identify(request),
        isDraining: options.isDraining,
      });
    } else {
      refuse(request, response, unknownPath(path));
    }
  };
}

function describeCall(request: NodeServerRequest): Call {
  const given = request.headers["x-request-id"];
  const requestId = typeof given === "string" && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
  const { remoteAddress, remotePort } = request.socket;
  return { requestId, peer: `${remoteAddress}:${remotePort}` };
}

/** Answers a request that may not be here; sets what the answer to a page needs. */
function admit(request: NodeServerRequest, response: NodeServerResponse, options: NodeHandlerOptions): boolean {
  const refused = objection(request, options);
  const { origin } = request.headers;
  if (!refused) {
    for (const [name, value] of Object.entries(origin === undefined ? {} : options.cors.responseHeaders(origin))) {
      response.setHeader(name, value);
    }
    return true;
  }
  const reason = findErrorInfo(refused)?.reason;
  options.log.warn({ host: request.headers.host, origin, reason }, "a request was refused");
  refuse(request, response, refused);
  return false;
}

function answerPreflight(request: NodeServerRequest, response: NodeServerResponse, cors: Cors): boolean {
  if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) {
    return false;
  }
  response.writeHead(204, cors.preflightHeaders(request.headers["access-control-request-headers"]));
  response.end();
  return true;
}

async function handleRpc(
  rpc: UniversalHandler,
  request: NodeServerRequest,
  response: NodeServerResponse,
  { values, large, readMaxBytes }: Pick<NodeHandlerOptions, "large" | "readMaxBytes"> & { values: ContextValues },
): Promise<void> {
  const universal = universalRequest(request, response, values);
  const answer = await rpc(large ? readLargeElsewhere(rpc, universal, values, { large, readMaxBytes }) : universal);
  const mismatch = describeMismatch(answer.status, rpc, request);
  if (mismatch && answer.body === undefined) {
    refuse(request, response, mismatch.error, mismatch);
  } else {
    await sendRpcAnswer(putHeldPayloads(answer, values.get(heldKey)!), response);
  }
}

/**
 * Connect destroys a request of HTTP/1.1 that it refuses before the end of its body. What is left of the body would then block
 * the connection, and with it the client's next call. Here it is read and dropped once the answer is out.
 */
function universalRequest(request: NodeServerRequest, response: NodeServerResponse, values: ContextValues) {
  const universal = universalRequestFromNodeRequest(request, response, undefined, values);
  dropFarDeadline(universal.header);
  if (request.httpVersionMajor !== 1) return { ...universal, body: asClientGone(request) };
  response.once("finish", () => request.resume());
  return { ...universal, body: asClientGone(request.iterator({ destroyOnReturn: false })) };
}

/**
 * The body, of which a failed read says that its client has left: nothing else makes one fail, and the call may not know it yet.
 * By hand, since a generator would cost every chunk an extra hop.
 */
function asClientGone(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = body[Symbol.asyncIterator]();
      const fail = (cause: unknown) => {
        throw clientGone(cause);
      };
      return {
        next: () => iterator.next().catch(fail),
        return: (value) => iterator.return?.(value).catch(fail) ?? Promise.resolve({ done: true, value }),
      };
    },
  };
}
