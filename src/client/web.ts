import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createReinsClientOn, type ReinsClient } from "./reins-client.ts";

export { enumName } from "./enum-name.ts";
export { errorInfo, errorReason } from "./error-reason.ts";
export * from "./messages.ts";
export { fromPayload, toPayload } from "./payload.ts";
export { createReinsClientOn, type ReinsClient } from "./reins-client.ts";
export { runEvents } from "./run-events.ts";
export { type CancelOptions, cancelUntilCreated, newRunId, type StartedRun, startRun } from "./start-run.ts";
export { until } from "./until.ts";

export interface ReinsWebClientOptions {
  /** Where the server is; the page's own origin when absent. */
  readonly baseUrl?: string;
  /** connect unless said otherwise. */
  readonly protocol?: "connect" | "grpc-web";
  /** JSON by default with Connect, which reads well in a browser's network panel; binary with gRPC-Web. */
  readonly useBinaryFormat?: boolean;
  readonly interceptors?: Interceptor[];
}

/**
 * Makes a client for browsers (and anything else with `fetch`). Read streams through `runEvents` (or `until`), so that leaving
 * the loop cancels the call.
 */
export function createReinsWebClient(options: ReinsWebClientOptions = {}): ReinsClient {
  const { baseUrl = ownOrigin(), protocol = "connect", useBinaryFormat, interceptors } = options;
  const createTransport = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return createReinsClientOn(
    createTransport({ baseUrl, useBinaryFormat: useBinaryFormat ?? protocol === "grpc-web", interceptors }),
  );
}

/** Where the page came from. Written so that this also compiles without the types of browsers. */
function ownOrigin(): string {
  return (globalThis as { location?: { origin: string } }).location?.origin ?? "";
}
