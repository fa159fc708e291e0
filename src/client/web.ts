import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createReinsClientOn, type ReinsClient } from "./reins-client.ts";
import { type ApiKey, withKey } from "./send-key.ts";

export { enumName } from "./enum-name.ts";
export { errorInfo, errorReason } from "./error-reason.ts";
export * from "./messages.ts";
export { fromPayload, toPayload } from "./payload.ts";
export { createReinsClientOn, type ReinsClient } from "./reins-client.ts";
export { runEvents } from "./run-events.ts";
export type { ApiKey } from "./send-key.ts";
export { type CancelOptions, cancelUntilCreated, newRunId, type StartedRun, startRun } from "./start-run.ts";
export { until } from "./until.ts";

export interface ReinsWebClientOptions {
  /** Where the server is; the page's own origin when absent. */
  readonly baseUrl?: string;
  /**
   * Who calls, where the server wants to know: it goes with every call, as `Authorization: Bearer`. Whoever reads the page has it, so that it
   * should be the token of the page's user, and not a key.
   */
  readonly apiKey?: ApiKey;
  /** connect unless said otherwise. */
  readonly protocol?: "connect" | "grpc-web";
  /** JSON by default with Connect, which reads well in a browser's network panel; binary with gRPC-Web. */
  readonly useBinaryFormat?: boolean;
  readonly interceptors?: Interceptor[];
}

/**
 * Makes a client for browsers (and anything else with `fetch`). Read streams through `runEvents` (or `until`), so that leaving
 * the loop cancels the call.
 *
 * @example
 * ```ts
 * const { runs } = createReinsWebClient({ baseUrl: "https://agents.example:2024", apiKey: () => session.accessToken() });
 * ```
 */
export function createReinsWebClient(options: ReinsWebClientOptions = {}): ReinsClient {
  const { baseUrl = ownOrigin(), apiKey, protocol = "connect", useBinaryFormat } = options;
  const interceptors = withKey(apiKey, options.interceptors);
  const createTransport = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return createReinsClientOn(
    createTransport({ baseUrl, useBinaryFormat: useBinaryFormat ?? protocol === "grpc-web", interceptors }),
  );
}

/** Where the page came from. Written so that this also compiles without the types of browsers. */
function ownOrigin(): string {
  return (globalThis as { location?: { origin: string } }).location?.origin ?? "";
}
