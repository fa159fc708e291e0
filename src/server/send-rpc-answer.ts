import { constants } from "node:http2";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { headerGrpcStatus } from "@connectrpc/connect/protocol-grpc";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { plainMessage } from "./grpc-message.ts";
import type { NodeServerResponse } from "./node-messages.ts";

/** Sends what an RPC has answered. Rejects when the client does not get it. */
export async function sendRpcAnswer(answer: UniversalServerResponse, response: NodeServerResponse): Promise<void> {
  const body = answer.body as AsyncIterable<Uint8Array> | undefined;
  const { trailer } = answer;
  // Only gRPC has a trailer outside of the body.
  if (!body || !trailer) return universalResponseToNodeResponse(answer, response);
  const iterator = body[Symbol.asyncIterator]();
  // Connect answers no sooner than the first message, or the error that comes instead of it, is there.
  const first = await iterator.next();
  if (first.done && trailer.get(headerGrpcStatus) !== "0") {
    sendTrailersOnly(response, [...(answer.header ?? []), ...plainMessage(trailer)]);
    return;
  }
  await universalResponseToNodeResponse(
    {
      ...answer,
      body: putBack(first, iterator),
      // Known only when the body has been sent.
      get trailer() {
        return plainMessage(trailer);
      },
    },
    response,
  );
}

/**
 * Ends a gRPC call with its status in the only HEADERS frame, as the protocol has it for a call without messages. An empty DATA
 * frame behind it makes clients on gRPC's C core report UNKNOWN in place of the status.
 */
export function sendTrailersOnly(response: NodeServerResponse, headers: Iterable<readonly [string, string]>): void {
  response.statusCode = 200;
  for (const [name, value] of headers) response.setHeader(name, value);
  // Without `writeHead`, which would send the frame before it is known to be the last one. The client need not send what is
  // left of its request (RFC 9113, section 8.1); Node says so by itself only behind an answer with a body.
  response.end(() => {
    if ("stream" in response) response.stream?.close(constants.NGHTTP2_NO_ERROR);
  });
}

/** The same messages again. By hand, since a generator would cost each of them an extra hop. */
function putBack<T>(first: IteratorResult<T>, rest: AsyncIterator<T>): AsyncIterable<T> {
  let taken: IteratorResult<T> | undefined = first;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (!taken) return rest.next();
        const again = taken;
        taken = undefined;
        return again;
      },
      throw: (error) => rest.throw?.(error) ?? Promise.reject(error),
      return: (value) => rest.return?.(value) ?? Promise.resolve({ done: true, value }),
    }),
  };
}
