import { randomUUID } from "node:crypto";
import { Code, type ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import type { Access } from "../access/access.ts";
import type { Called } from "../access/authorize.ts";
import { type Identity, identityKey, nobody, type Presented, requestIdKey } from "../access/identity.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { type AdmitOptions, objection, pathAndQuery } from "./admit.ts";
import { alive, sayAlive } from "./alive.ts";
import { setAnswerHeaders } from "./answer-headers.ts";
import { type Call, callKey } from "./call-gate.ts";
import { certificateOf } from "./client-certificate.ts";
import { clientGone } from "./client-gone.ts";
import type { Cors } from "./cors.ts";
import { createError, findErrorInfo } from "./error-info.ts";
import { dropFarDeadline } from "./far-deadline.ts";
import type { HostCheck } from "./host-check.ts";
import { heldKey, putHeldPayloads } from "./large-answers.ts";
import { readLargeElsewhere } from "./large-requests.ts";
import type { NodeHandlerFn, NodeServerRequest, NodeServerResponse } from "./node-messages.ts";
import { refuse, refuseCaller, refuseForNow } from "./refuse.ts";
import { sendRpcAnswer } from "./send-rpc-answer.ts";
import { limitBody } from "./slow-clients.ts";
import { describeMismatch, isRpcRequest, unknownMethod, unknownPath } from "./unserved.ts";

/** What is known of a request that is no RPC. */
export interface RequestFacts {
  /** As in Call. */
  readonly requestId: string;
  readonly peer: string;
  readonly identity: Identity;
  /** True once no new calls are taken. */
  readonly isDraining: () => boolean;
}

/** Answers every request that is no RPC, after the checks of host and origin. */
export interface Fallback {
  answer(request: NodeServerRequest, response: NodeServerResponse, facts: RequestFacts): void;
  /** The route that answers this; undefined where there is none, which only who is known is told. */
  find(method: string, path: string): Called | undefined;
}

export interface NodeHandlerOptions {
  /** One for each RPC. */
  readonly handlers: readonly UniversalHandler[];
  readonly isAllowedHost: HostCheck;
  readonly cors: Cors;
  readonly access: Access;
  /** Whether clients reach this by TLS. */
  readonly isTls: boolean;
  /** As in ServerOptions. */
  readonly mapError: (error: unknown) => ConnectError | undefined;
  /** Gets every request that is no RPC. */
  readonly fallback: Fallback | undefined;
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
    setAnswerHeaders(request, response, options.isTls);
    if (options.isDraining() && request.httpVersionMajor === 1) {
      response.setHeader("connection", "close");
    }
    const target = pathAndQuery(request.url ?? "");
    const path = target.split("?", 1)[0] ?? "";
    const rpc = rpcs.get(path);
    const { fallback, access } = options;
    // Where everybody may do everything, the route is looked for once, by whoever answers.
    const called = access.isOn ? (rpc?.method ?? fallback?.find(request.method ?? "", path)) : undefined;
    const isOpen = called !== undefined && access.policy.opens(called);
    const isShut = access.isOn && !isOpen;
    if (!admit(request, response, { ...options, isShut }) || answerPreflight(request, response, options.cors)) {
      return;
    }
    request.url = target;
    const { methodKind } = rpc?.method ?? {};
    if (methodKind !== "bidi_streaming" && methodKind !== "client_streaming") limitBody(request, options.bodyTimeoutMs);
    if (options.isStarting && !rpc && request.method === "GET" && path === alive.path) {
      sayAlive(response);
      return;
    }
    if (options.isStarting && !rpc) {
      refuseForNow(request, response, isRpcRequest(request, path));
      return;
    }
    const answer = (identity: Identity) => {
      // To whoever asked it is as if the connection broke, and to the run as if the client left.
      if (access.isOn)
        response.once(
          "close",
          access.opened(identity, () => response.destroy()),
        );
      if (rpc) {
        // Before its body is read, and also for what is no service of ours.
        access.policy.check(identity, rpc.method, call.requestId);
        const values = createContextValues()
          .set(callKey, call)
          .set(requestIdKey, call.requestId)
          .set(identityKey, identity)
          .set(heldKey, new Map());
        handleRpc(rpc, request, response, { values, ...options }).catch((error) =>
          options.log.debug({ err: error, requestId: call.requestId, path }, "the answer did not reach its client"),
        );
      } else if (isRpcRequest(request, path)) {
        refuse(request, response, unknownMethod(path, options.handlers), { status: 404 });
      } else if (fallback) {
        fallback.answer(request, response, { ...call, identity, isDraining: options.isDraining });
      } else {
        refuse(request, response, unknownPath(path));
      }
    };
    const fail = (error: unknown) => {
      if (response.headersSent || response.destroyed) return;
      // What is left of the body would block the connection.
      request.resume();
      refuseCaller(request, response, options.mapError(error) ?? createError(unknownFailure), rpc !== undefined);
    };
    if (isOpen) answer(nobody);
    else identified(access, { request, response, requestId: call.requestId }, answer, fail);
  };
}

const unknownFailure = { code: Code.Internal, reason: "INTERNAL", message: "Who calls cannot be found out." };

/** At once where nobody has to be asked, so that without access control no request waits for a turn. */
function identified(
  access: Access,
  { request, response, requestId }: { request: NodeServerRequest; response: NodeServerResponse; requestId: string },
  answer: (identity: Identity) => void,
  fail: (error: unknown) => void,
): void {
  const presented: Presented = {
    method: request.method ?? "",
    target: request.url ?? "",
    requestId,
    headers: request.headers,
    certificate: certificateOf(request),
  };
  try {
    const identity = access.identify(presented);
    if (!(identity instanceof Promise)) {
      answer(identity);
      return;
    }
    identity
      .then((found) => {
        // Nothing has listened for the client's leaving until now.
        if (!isGone(response)) answer(found);
      }, fail)
      .catch(fail);
  } catch (error) {
    fail(error);
  }
}

/** The response of HTTP/2 does not say so itself. */
const isGone = (response: NodeServerResponse): boolean =>
  "stream" in response ? response.stream.destroyed : response.destroyed;

function describeCall(request: NodeServerRequest): Call {
  const given = request.headers["x-request-id"];
  const requestId = typeof given === "string" && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
  const { remoteAddress, remotePort } = request.socket;
  return { requestId, peer: `${remoteAddress}:${remotePort}` };
}

/** Answers a request that may not be here; sets what the answer to a page needs. */
function admit(
  request: NodeServerRequest,
  response: NodeServerResponse,
  options: AdmitOptions & Pick<NodeHandlerOptions, "log">,
): boolean {
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
  response.writeHead(204, cors.preflightHeaders(request.headers));
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
