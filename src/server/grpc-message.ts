import { headerGrpcMessage } from "@connectrpc/connect/protocol-grpc";

/**
 * Writes grpc-message as the gRPC specification has it. Connect also escapes punctuation such as ":", which other clients
 * decode, but grpc-js shows to its user as "%3A".
 */
export function plainMessage(headers: Headers): Headers {
  const message = headers.get(headerGrpcMessage);
  if (message !== null) {
    headers.set(headerGrpcMessage, encodeURI(decodeURIComponent(message)));
  }
  return headers;
}
