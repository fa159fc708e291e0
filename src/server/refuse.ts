import { Code, type ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, endStreamFlag, endStreamToJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { createError } from "./error-info.ts";
import { fitTrailers } from "./fit-trailers.ts";
import { plainMessage } from "./grpc-message.ts";
import type { NodeServerRequest, NodeServerResponse } from "./node-messages.ts";
import { sendTrailersOnly } from "./send-rpc-answer.ts";

/** No longer one is repeated: with the status it must fit in what clients take of headers. */
const longestType = 100;

/**
 * Answers a request that reaches no handler with an error that its client can read: as a gRPC status, as the end of a Connect
 * stream, or as Connect's JSON with an HTTP status, which also suits curl and browsers.
 */
export function refuse(
  request: NodeServerRequest,
  response: NodeServerResponse,
  error: ConnectError,
  options: { status?: number; headers?: Record<string, string> } = {},
): void {
  fitTrailers(error);
  const contentType = request.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc")) {
    const status = plainMessage(setTrailerStatus(new Headers(), error));
    const type = contentType.length > longestType ? "application/grpc" : contentType;
    sendTrailersOnly(response, [["content-type", type], ...status]);
  } else if (contentType.startsWith("application/connect+")) {
    const end = new TextEncoder().encode(JSON.stringify(endStreamToJson(new Headers(), error, undefined)));
    response.writeHead(200, { "content-type": contentType });
    response.end(encodeEnvelope(endStreamFlag, end));
  } else {
    response.writeHead(options.status ?? codeToHttpStatus(error.code), {
      ...options.headers,
      "content-type": "application/json",
    });
    response.end(JSON.stringify(errorToJson(error, undefined)));
  }
}

/** Answers somebody who is not known, or whom nobody could find out about, in the form of what was asked for. */
export function refuseCaller(
  request: NodeServerRequest,
  response: NodeServerResponse,
  error: ConnectError,
  isRpc: boolean,
): void {
  const headers = Object.fromEntries(error.metadata);
  if (isRpc) {
    refuse(request, response, error, { headers });
    return;
  }
  // Whoever refuses may have chosen the status.
  const { httpStatus = codeToHttpStatus(error.code) } = (error.cause ?? {}) as { readonly httpStatus?: number };
  response.writeHead(httpStatus, { ...headers, "content-type": "application/json" });
  response.end(JSON.stringify({ detail: error.rawMessage }));
}

const starting = "The server is starting, and does not serve yet; repeat the request a little later.";
const startingHeaders = { "retry-after": "1" };

/** Answers what comes before there is anybody to serve it. */
export function refuseForNow(request: NodeServerRequest, response: NodeServerResponse, isRpc: boolean): void {
  // What is left of the body would block the connection.
  request.resume();
  if (isRpc) {
    const error = createError({ code: Code.Unavailable, reason: "STARTING", message: starting });
    refuse(request, response, error, { headers: startingHeaders });
  } else {
    response.writeHead(503, { ...startingHeaders, "content-type": "application/json" });
    response.end(JSON.stringify({ detail: starting }));
  }
}
