import { constants, type ServerHttp2Session } from "node:http2";
import type { NodeServerRequest } from "./node-messages.ts";
import type { OpenCalls } from "./open-calls.ts";

/** How long a client may take, in ms. */
export interface PatienceOptions {
  /** From a request's beginning to the end of its headers; over HTTP/1.1, as HTTP/2 has its own limits for that. */
  readonly headTimeoutMs: number;
  /** From a request's beginning to the end of its body. */
  readonly bodyTimeoutMs: number;
  /** How long a connection is kept on which there is no request. */
  readonly idleTimeoutMs: number;
}

export const defaultPatience: PatienceOptions = {
  headTimeoutMs: 15_000,
  bodyTimeoutMs: 120_000,
  idleTimeoutMs: 60_000,
};

/** Closes an HTTP/2 connection on which there is no call for so long; what was begun and not finished is no call. */
export function closeWhenIdle(session: ServerHttp2Session, calls: OpenCalls, idleTimeoutMs: number): void {
  let timer = lookIn(idleTimeoutMs);
  session.once("close", () => clearTimeout(timer));

  function lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(look, ms).unref();
  }

  function look(): void {
    const left = calls.count > 0 ? idleTimeoutMs : calls.quietSince + idleTimeoutMs - performance.now();
    if (left > 0) {
      timer = lookIn(left);
      return;
    }
    // Told to go, a client that is well meant opens another connection for its next call.
    session.close();
    session.destroy();
  }
}

/**
 * Resets a call of HTTP/2 whose client has not ended its request by then, so that no handler waits for it for ever. Whether the
 * request has been read does not matter: a stream of answers may begin without. HTTP/1.1 has a time-out of Node's own.
 */
export function limitBody(request: NodeServerRequest, bodyTimeoutMs: number): void {
  if (!("stream" in request) || request.stream.endAfterHeaders) return;
  const { stream } = request;
  const timer = setTimeout(() => {
    if (!stream.destroyed && !stream.state.remoteClose) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }, bodyTimeoutMs).unref();
  stream.once("close", () => clearTimeout(timer));
}
