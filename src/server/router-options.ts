import type { ConnectError, ConnectRouterOptions } from "@connectrpc/connect";
import type { Logger } from "pino";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import type { LargeBodies } from "../bodies/large-bodies.ts";
import { createCallGate } from "./call-gate.ts";
import { createErrorsInterceptor } from "./interceptors/errors.ts";
import { createValidationInterceptor } from "./interceptors/validation.ts";
import { createLargeAnswersInterceptor } from "./large-answers.ts";
import { createLargeRequestsInterceptor } from "./large-requests.ts";

export interface RouterOptions {
  readonly readMaxBytes: number;
  readonly writeMaxBytes: number;
  readonly mapError: (error: unknown) => ConnectError | undefined;
  readonly shutdownSignal: AbortSignal;
  readonly isDraining: () => boolean;
  readonly log: Logger;
  /** Writes large answers on another thread; without it they are written here. */
  readonly large?: LargeBodies | undefined;
}

/** What monitors ask all the time, and must be able to ask of a server that drains. */
const alwaysOpen = new Set([Health.typeName, ServerReflection.typeName, ServerReflectionV1Alpha.typeName]);

/** How every RPC of every protocol is served: gate, limits, and the chain of interceptors, outermost first. */
export function createRouterOptions(options: RouterOptions): ConnectRouterOptions {
  const { readMaxBytes, writeMaxBytes, mapError, shutdownSignal, isDraining, log, large } = options;
  return {
    readMaxBytes,
    writeMaxBytes,
    shutdownSignal,
    requestGate: createCallGate({ log, isDraining, alwaysOpen }),
    interceptors: [
      createErrorsInterceptor({ mapError, shutdownSignal, log }),
      createLargeAnswersInterceptor({ large, writeMaxBytes }),
      createLargeRequestsInterceptor(),
      createValidationInterceptor(),
    ],
    // Compressing 2 kB messages took eleven times the time of sending them as they are.
    acceptCompression: [],
    // A misspelt field or enum value is an error, not a default.
    jsonOptions: { ignoreUnknownFields: false },
  };
}
