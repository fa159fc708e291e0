import type { SecureContextOptions } from "node:tls";
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createReinsClientOn, type ReinsClient } from "./reins-client.ts";
import { type ApiKey, withKey } from "./send-key.ts";

export { enumName } from "./enum-name.ts";
export { errorInfo, errorReason } from "./error-reason.ts";
export { createGrpcJsClient, type GrpcJsCallOptions, type GrpcJsClient } from "./grpc-js-client.ts";
export * from "./messages.ts";
export { fromPayload, toPayload } from "./payload.ts";
export { createReinsClientOn, type ReinsClient } from "./reins-client.ts";
export { runEvents } from "./run-events.ts";
export type { ApiKey } from "./send-key.ts";
export { type CancelOptions, cancelUntilCreated, newRunId, type StartedRun, startRun } from "./start-run.ts";
export { until } from "./until.ts";

export interface ReinsClientOptions {
  /** Where the server is, for example "http://127.0.0.1:2024". */
  readonly baseUrl: string;
  /** Who calls, where the server wants to know: it goes with every call, as `Authorization: Bearer`. */
  readonly apiKey?: ApiKey;
  /** grpc unless said otherwise. All three are served on the same port. */
  readonly protocol?: "grpc" | "connect" | "grpc-web";
  /** 2 unless said otherwise. gRPC needs it; the other two also work over 1.1. */
  readonly httpVersion?: "1.1" | "2";
  /** Send JSON instead of binary messages. */
  readonly useBinaryFormat?: boolean;
  /**
   * For a baseUrl that begins with https: whom to trust, in place of the authorities that Node knows (`ca`), and the client's own
   * certificate (`cert`, `key`). All as PEM.
   */
  readonly tls?: Pick<SecureContextOptions, "ca" | "cert" | "key">;
  readonly interceptors?: Interceptor[];
}

/**
 * Makes a client for Node. Read streams through `runEvents` (or `until`), so that leaving the loop cancels the call; errors
 * are ConnectErrors, whose reason `errorReason` reads.
 *
 * @example
 * ```ts
 * const { runs } = createReinsClient({ baseUrl: "https://agents.example:2024", apiKey: key });
 * ```
 */
export function createReinsClient(options: ReinsClientOptions): ReinsClient {
  const { baseUrl, apiKey, protocol = "grpc", httpVersion = "2", useBinaryFormat = true, tls } = options;
  const common = { baseUrl, useBinaryFormat, interceptors: withKey(apiKey, options.interceptors) };
  // A server that vanished is noticed while a stream is silent. HTTP/1.1 has no such pings.
  const pings = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };
  // A message that does not fit in Node's 10 MB a connection would end all calls on it.
  const nodeOptions = { maxSessionMemory: 1000, ...tls };
  const http2 = { ...common, httpVersion: "2" as const, ...pings, nodeOptions };
  if (protocol === "grpc") {
    if (httpVersion !== "2") {
      throw new Error('The protocol "grpc" needs HTTP/2; use "connect" or "grpc-web" over HTTP/1.1.');
    }
    return createReinsClientOn(createGrpcTransport(http2));
  }
  const createTransport = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return createReinsClientOn(
    httpVersion === "2"
      ? createTransport(http2)
      : createTransport({ ...common, httpVersion: "1.1", nodeOptions: { ...tls } }),
  );
}
